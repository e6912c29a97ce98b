"""The job store on DynamoDB. Each guarded write is one UpdateItem whose condition is the guard."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

from tidegate.domain.guard import GuardedWrite, Outcome
from tidegate.domain.job import Job, Ms
from tidegate.domain.ticket import Lane
from tidegate.ports import NAMED_REACH, Glimpse, JobKey, JobPage, JobQuery, Ready

from .addresses import Addresses
from .attributes import Item
from .creation import Creation
from .expressions import ended, equal_or_absent, update_for, was_made_by
from .keys import DUE_SHARDS, due_board, job_key, order_text, parked_board, pointer_key
from .listing import Listing
from .records import job_of, live_job
from .spreads import Policies, Spreads
from .tables import Refused, Table, place
from .unique_keys import KeyTaking, blocker

INDEX = "board"


class DynamoJobs:
    """`JobStore` on one table and its sparse index."""

    def __init__(self, table: Table, now: Callable[[], Ms], policies: Policies) -> None:
        self._table = table
        self._now = now
        self._spreads = Spreads(policies, now)
        self._parallel = table.parallel
        self._addresses = Addresses(table)
        self._creation = Creation(table, self._parallel, now, self._spreads)
        self._listing = Listing(table, self._parallel, now)
        self._keys = KeyTaking(table, now)

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        """See `JobStore.create`."""
        return self._creation.create(jobs)

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        """See `JobStore.get`."""
        found = self._get(keys)
        if stale := self._addresses.forget(key for key in keys if key not in found):
            found |= self._get(stale)
        return [found.get(key) for key in keys]

    def glimpse(self, keys: Sequence[JobKey]) -> Sequence[Glimpse | None]:
        """See `JobStore.glimpse`. DynamoDB bills a part like the whole."""
        return [None if job is None else Glimpse(job.state, job.broken) for job in self.get(keys)]

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        """See `JobStore.apply`."""
        places = self._addresses.of(_target(write) for write in writes)
        return self._parallel.map(lambda write: self._apply(write, places.get(_target(write))), writes)

    def head(
        self, lane: Lane, limit: int, from_rank: int = 0, names: Collection[str] = (), keys: range | None = None
    ) -> Sequence[Ready]:
        """See `JobStore.head`. Several keys are asked at once. It knows no names: with some, the jobs are read."""
        boards = self._spreads.boards(lane, keys)
        if not names:
            return self._best(boards, limit, from_rank)
        ready = self._best(boards, max(limit, NAMED_REACH), from_rank)
        jobs = self.get([JobKey(lane.tenant, each.job_id) for each in ready]) if ready else ()
        fit = {job.id for job in jobs if job is not None and job.name in names}
        return [each for each in ready if each.job_id in fit][:limit]

    def parked(self, lane: Lane, key: str, limit: int) -> Sequence[Ready]:
        """See `JobStore.parked`."""
        return _ready(self._first(parked_board(lane, key), limit))

    def due(self, by: Ms, limit: int) -> Sequence[JobKey]:
        """See `JobStore.due`."""
        found = self._parallel.map(lambda shard: self._due(shard, by, limit), range(DUE_SHARDS))
        soonest = heapq.nsmallest(limit, (item for part in found for item in part), key=_order)
        return [JobKey(item["pk"]["S"].rpartition("#")[0], item["id"]["S"]) for item in soonest]

    def page(self, query: JobQuery) -> JobPage:
        """See `JobStore.page`. Listings of ended states but COMPLETED are ordered by when the jobs ended."""
        return self._listing.page(query)

    def erase_if_ended(self, key: JobKey) -> bool:
        """See `JobStore.erase_if_ended`."""
        sort_key = self._addresses.of([key]).get(key)
        if sort_key is None:
            return False
        self._addresses.forget([key])
        where = job_key(key.tenant, sort_key)
        if sort_key == key.job_id:
            refused = self._table.delete(where, **ended())
            return refused is None or (refused.retried and refused.image is None)
        pointed = equal_or_absent({"key": {"S": sort_key}})
        deletions = ({"Key": place(where), **ended()}, {"Key": place(pointer_key(*key)), **pointed})
        return self._table.transact([{"Delete": deletion} for deletion in deletions]) is None

    def _get(self, keys: Sequence[JobKey]) -> dict[JobKey, Job]:
        places = self._addresses.of(keys)
        items = self._table.get_many(job_key(key.tenant, sort_key) for key, sort_key in places.items())
        now = self._now()
        jobs = {key: live_job(items.get(job_key(key.tenant, sort_key)), now) for key, sort_key in places.items()}
        return {key: job for key, job in jobs.items() if job is not None}

    def _apply(self, write: GuardedWrite, sort_key: str | None) -> Outcome:
        outcome = self._update(write, sort_key)
        if outcome.job is None and self._addresses.forget([_target(write)]):
            sort_key = self._addresses.of([_target(write)]).get(_target(write))
            return self._update(write, sort_key)
        return outcome

    def _update(self, write: GuardedWrite, sort_key: str | None) -> Outcome:
        if sort_key is None:
            return Outcome(False)
        if write.takes_key:
            return self._update_with_key(write, sort_key)
        answer = self._table.update(job_key(write.tenant, sort_key), **update_for(write, sort_key, self._spreads))
        if not isinstance(answer, Refused):
            return Outcome(True, job_of(answer))
        job = live_job(answer.image, self._now())
        return Outcome(job is not None and answer.retried and was_made_by(write, job), job)

    def _update_with_key(self, write: GuardedWrite, sort_key: str) -> Outcome:
        where = job_key(write.tenant, sort_key)
        job = live_job(self._table.get(where), self._now())
        if job is None or not write.guard.holds(job):
            return Outcome(False, job)
        owner = self._keys.owner(job)
        if blocker(job, owner) is not None:
            return Outcome(False, job)
        update = {"Update": {"Key": place(where), **update_for(write, sort_key, self._spreads)}}
        refused = self._table.transact([update, *self._keys.actions(job, sort_key, owner)])
        return Outcome(refused is None, live_job(self._table.get(where), self._now()))

    def _best(self, boards: Sequence[str], limit: int, from_rank: int) -> list[Ready]:
        found = self._parallel.map(lambda board: self._first(board, limit, from_rank), boards)
        return _ready(heapq.nsmallest(limit, (item for part in found for item in part), key=_place))

    def _first(self, board: str, limit: int, from_rank: int = 0) -> list[Item]:
        return self._table.query(
            limit,
            IndexName=INDEX,
            KeyConditionExpression="board = :board AND board_at >= :first",
            ExpressionAttributeValues={":board": {"S": board}, ":first": {"S": order_text(from_rank)}},
        )

    def _due(self, shard: int, by: Ms, limit: int) -> list[Item]:
        return self._table.query(
            limit,
            IndexName=INDEX,
            KeyConditionExpression="board = :board AND board_at < :end",
            ExpressionAttributeValues={":board": {"S": due_board(shard)}, ":end": {"S": f"{by + 1:015d}"}},
        )


def _target(write: GuardedWrite) -> JobKey:
    return JobKey(write.tenant, write.job_id)


def _ready(items: Iterable[Item]) -> list[Ready]:
    return [Ready(_order(item), item["id"]["S"]) for item in items]


def _place(item: Mapping[str, Mapping[str, str]]) -> str:
    return item["board_at"]["S"]


def _order(item: Mapping[str, Mapping[str, str]]) -> int:
    return int(_place(item).partition("#")[0])
