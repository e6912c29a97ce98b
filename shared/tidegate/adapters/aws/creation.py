"""New jobs in DynamoDB, each stored once, whatever is sent again.

No write here is unconditional. A BatchWriteItem would be cheaper to write, but a repetition of it, by botocore
or late from the network, puts the job as it was made over the job as a worker has since claimed it.

- one job whose id is its key: a conditional PutItem
- several of them: PartiQL INSERTs, 25 in one request, each refused alone when its key is taken
- an id that is no key: job and pointer in one transaction, so that neither is ever without the other
- a job that takes a unique key: job, pointer if need be, and the key's record in one transaction
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Job, Ms
from tidegate.domain.uniqueness import takes_key
from tidegate.ports import JobKey

from .attributes import Item
from .expressions import UNUSED, creation, equal_or_absent
from .keys import is_key, job_key, key_for, pointer_key
from .parallel import Parallel
from .records import item_of, job_of, live_job
from .spreads import Spreads
from .tables import WRITE_LIMIT, Table, chunks
from .unique_keys import Action, KeyTaking, blocker

_ROUNDS = 5
"""How often a creation looks again when the job that stood in its way has gone in the meantime."""


class Creation:
    """Stores new jobs."""

    def __init__(self, table: Table, parallel: Parallel, now: Callable[[], Ms], spreads: Spreads) -> None:
        self._table = table
        self._parallel = parallel
        self._now = now
        self._spreads = spreads
        self._keys = KeyTaking(table, now)

    def create(self, jobs: Sequence[Job]) -> list[Job | None]:
        """See `JobStore.create`. An id named twice belongs to the first."""
        answers: list[Job | None] = [None] * len(jobs)
        for positions in _rounds(jobs):
            round_jobs = [jobs[position] for position in positions]
            for position, answer in zip(positions, self._create_distinct(round_jobs), strict=True):
                answers[position] = answer
        return answers

    def _create_distinct(self, jobs: Sequence[Job]) -> list[Job | None]:
        unique = [job for job in jobs if takes_key(job)]
        plain = [job for job in jobs if not takes_key(job)]
        keyed = [job for job in plain if is_key(job.id)]
        tasks: list[Callable[[], Mapping[JobKey, Job | None]]] = [
            partial(self._create_keyed, chunk) for chunk in chunks(keyed, WRITE_LIMIT)
        ]
        tasks += [partial(self._create_named, job) for job in plain if not is_key(job.id)]
        if unique:
            tasks.append(partial(self._create_unique, unique))
        answers: dict[JobKey, Job | None] = {}
        for part in self._parallel.map(lambda task: task(), tasks):
            answers |= part
        return [answers[_identity(job)] for job in jobs]

    def _create_keyed(self, jobs: Sequence[Job]) -> Mapping[JobKey, Job | None]:
        if len(jobs) == 1:
            return {_identity(jobs[0]): self._put(jobs[0], perhaps_before=False)}
        failed = self._table.insert([item_of(job, job.id, self._spreads) for job in jobs])
        return {
            _identity(job): None if why is None else self._put(job, perhaps_before=why.perhaps_before)
            for job, why in zip(jobs, failed, strict=True)
        }

    def _put(self, job: Job, *, perhaps_before: bool) -> Job | None:
        """Store a job whose id is its key.

        If it may have been sent before, finding the very same job stored means that it was.
        """
        item = item_of(job, job.id, self._spreads)
        refused = self._table.put(item, **creation(self._now()))
        if refused is None or refused.image is None:
            return None
        existing = job_of(refused.image)
        ours = (refused.retried or perhaps_before) and existing == job_of(item)
        return None if ours else existing

    def _create_named(self, job: Job) -> Mapping[JobKey, Job | None]:
        """Store a job under an id that is no key, unless its pointer already leads to a job."""
        pointed: str | None = None
        for _ in range(_ROUNDS):
            if self._table.transact(self._naming(job, pointed)) is None:
                return {_identity(job): None}
            pointer = self._table.get(pointer_key(job.tenant, job.id))
            pointed = pointer["key"]["S"] if pointer else None
            if pointed and (existing := self._live(job.tenant, pointed)):
                return {_identity(job): existing}
        raise Unavailable("the id is being created and erased by others at the same time")

    def _create_unique(self, jobs: Sequence[Job]) -> Mapping[JobKey, Job | None]:
        """Store jobs that take a unique key, one after the other: of two with the same key the first gets it."""
        return {_identity(job): self._create_one_unique(job) for job in jobs}

    def _create_one_unique(self, job: Job) -> Job | None:
        for _ in range(_ROUNDS):
            pointed, same = self._same_id(job)
            if same is not None:
                return same
            owner = self._keys.owner(job)
            if (other := blocker(job, owner)) is not None:
                return other
            puts: list[Action] = (
                [{"Put": {"Item": item_of(job, job.id, self._spreads), **creation(self._now())}}]
                if is_key(job.id)
                else self._naming(job, pointed)
            )
            if self._table.transact([*puts, *self._keys.actions(job, key_for(job), owner)]) is None:
                return None
        raise Unavailable("the unique key is being taken by others at the same time")

    def _same_id(self, job: Job) -> tuple[str | None, Job | None]:
        """Where the job's id leads to, and the job there."""
        if is_key(job.id):
            return job.id, self._live(job.tenant, job.id)
        pointer = self._table.get(pointer_key(job.tenant, job.id))
        pointed = pointer["key"]["S"] if pointer else None
        return pointed, self._live(job.tenant, pointed) if pointed else None

    def _naming(self, job: Job, pointed: str | None) -> list[Action]:
        """Job and pointer, if the pointer is still as seen: absent, or left behind by a job whose time has passed."""
        key = key_for(job)
        pk, sk = pointer_key(job.tenant, job.id)
        pointer: Item = {"pk": {"S": pk}, "sk": {"S": sk}, "key": {"S": key}}
        unchanged = {"ConditionExpression": UNUSED} if pointed is None else equal_or_absent({"key": {"S": pointed}})
        return [
            {"Put": {"Item": pointer, **unchanged}},
            {"Put": {"Item": item_of(job, key, self._spreads), **creation(self._now())}},
        ]

    def _live(self, tenant: str, key: str) -> Job | None:
        return live_job(self._table.get(job_key(tenant, key)), self._now())


def _identity(job: Job) -> JobKey:
    return JobKey(job.tenant, job.id)


def _rounds(jobs: Sequence[Job]) -> list[list[int]]:
    """The positions of the jobs, so that no round names an id twice and repeated ids keep their order."""
    rounds: list[list[int]] = []
    seen: dict[JobKey, int] = {}
    for position, job in enumerate(jobs):
        number = seen.get(_identity(job), 0)
        seen[_identity(job)] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(position)
    return rounds
