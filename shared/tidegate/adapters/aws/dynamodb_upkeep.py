"""What maintenance asks of the jobs, on DynamoDB.

item       pk         sk             in the registry
progress   upkeep     retention      where the walk over outlived jobs is, and when the next one begins
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, Ms, State
from tidegate.ports import DEADLINES, JobKey, JobQuery

from .addresses import Addresses
from .attributes import Item
from .dynamodb_feed import TIMER_SHARDS, timer_of
from .expressions import Placeholders, equal_or_absent, unchanged
from .keys import Key, is_key, job_key, pointer_key
from .records import TTL, job_of
from .tables import Table, place

_SLICE = 1_000
"""Items looked at by one request of a walk: about 1 MB, 128 read units."""
PASS_EVERY_MS = 6 * 3_600_000
"""How long the walk over outlived jobs rests when it is through: DynamoDB's own TTL does most of the work."""
_MOST_RUNNING = 10_000
_PROGRESS: Key = ("upkeep", "retention")


class DynamoUpkeep:
    """`Upkeep` on the jobs table, and the registry's timers."""

    def __init__(self, jobs: Table, registry: Table, now: Callable[[], Ms]) -> None:
        self._jobs = jobs
        self._registry = registry
        self._now = now
        self._parallel = jobs.parallel
        self._addresses = Addresses(jobs)

    def count(self, query: JobQuery) -> int | None:  # noqa: ARG002
        """See `Upkeep.count`: DynamoDB counts by reading, so this home leaves it to the counters."""
        return None

    def erase_unchanged(self, jobs: Sequence[Job]) -> Sequence[bool]:
        """See `Upkeep.erase_unchanged`. One or two write units a job, as many again for its place in the index."""
        keys = [JobKey(job.tenant, job.id) for job in jobs]
        places = self._addresses.of(keys)
        self._addresses.forget(keys)
        pairs = list(zip(jobs, (places.get(key) for key in keys), strict=True))
        return self._parallel.map(lambda pair: self._erase(*pair), pairs)

    def outlived(self, by: Ms, limit: int) -> Sequence[Job]:
        """See `Upkeep.outlived`. Looks at one slice of the table; rests for `PASS_EVERY_MS` once it has seen all."""
        progress = self._registry.get(_PROGRESS) or {}
        if "next" in progress and int(progress["next"]["N"]) > self._now():
            return []
        marks = Placeholders()
        part = self._jobs.scan(
            min(_SLICE, limit),
            after=_decoded(progress["after"]["S"]) if "after" in progress else None,
            FilterExpression=f"{marks.name(TTL)} <= {marks.number(by // 1000)}",
            **marks.arguments(),
        )
        self._note(part.last)
        return [job_of(item) for item in part.items if "state" in item]

    def running(self, tenant: str, started_before: Ms, limit: int) -> Sequence[Job]:
        """See `Upkeep.running`. Found by their timers: running jobs are in no index."""
        found = self._parallel.map(self._timed, range(TIMER_SHARDS))
        keys = {key for part in found for key in part if key.tenant == tenant}
        places = self._addresses.of(keys)
        items = self._jobs.get_many(job_key(key.tenant, sort_key) for key, sort_key in places.items())
        jobs = [job_of(item) for item in items.values()]
        started = [(job.started_at or 0, job.id, job) for job in jobs if job.state is State.ACTIVE]
        return [job for at, _, job in sorted(started, key=lambda each: each[:2]) if at < started_before][:limit]

    def forget(self, keys: Sequence[JobKey]) -> None:
        """See `Upkeep.forget`. An id that was no sort key leaves its pointer behind when DynamoDB deletes the job."""
        named = [pointer_key(*key) for key in dict.fromkeys(keys) if not is_key(key.job_id)]
        if not named:
            return
        tenants = {pointer_key(*key): key.tenant for key in keys}
        pointers = self._jobs.get_many(named)
        targets = {pointer: job_key(tenants[pointer], item["key"]["S"]) for pointer, item in pointers.items()}
        kept = self._jobs.get_many(targets.values())
        left = [(pointer, target[1]) for pointer, target in targets.items() if target not in kept]
        self._parallel.map(lambda each: self._jobs.delete(each[0], **equal_or_absent({"key": {"S": each[1]}})), left)

    def walk(self, after: str | None, limit: int) -> tuple[Sequence[Job], str | None]:
        """See `Upkeep.walk`."""
        part = self._jobs.scan(limit, after=None if after is None else _decoded(after), ConsistentRead=True)
        jobs = [job_of(item) for item in part.items if "state" in item]
        return jobs, None if part.last is None else _encoded(part.last)

    def _erase(self, job: Job, sort_key: str | None) -> bool:
        if sort_key is None:
            return False
        where = job_key(job.tenant, sort_key)
        if sort_key == job.id:
            refused = self._jobs.delete(where, **unchanged(job))
            return refused is None or (refused.retried and refused.image is None)
        pointer, pointed = pointer_key(job.tenant, job.id), equal_or_absent({"key": {"S": sort_key}})
        deletions = ({"Key": place(where), **unchanged(job)}, {"Key": place(pointer), **pointed})
        return self._jobs.transact([{"Delete": deletion} for deletion in deletions]) is None

    def _note(self, last: Item | None) -> None:
        """Remember how far the walk is. Two walks at once do no harm: each slice may be looked at twice."""
        item = place(_PROGRESS)
        if last is None:
            item["next"] = {"N": str(self._now() + PASS_EVERY_MS)}
        else:
            item["after"] = {"S": _encoded(last)}
        self._registry.put(item)

    def _timed(self, shard: int) -> list[JobKey]:
        items = self._registry.query(
            _MOST_RUNNING,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"timers#{shard}"}},
        )
        timers = [timer_of(item["sk"]["S"]) for item in items]
        return [JobKey(timer.tenant, timer.job_id) for timer in timers if timer.attempt != DEADLINES]


def _encoded(key: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([key["pk"]["S"], key["sk"]["S"]]).encode()).decode()


def _decoded(text: str) -> Item:
    try:
        pk, sk = json.loads(base64.b64decode(text, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidInput.field("after", "must be one that `walk` answered") from error
    return place((str(pk), str(sk)))
