"""Job logs in the registry table: an item is a chunk.

    item     pk                        sk
    chunk    {tenant}#logs#{job id}    {job's created_at}#{attempt}#{number}

What a chunk costs is what it weighs: one write unit a KB, at most one item a second and running job.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from tidegate.domain.job import Ms
from tidegate.domain.logs import Level, LogChunk, LogLine, LogOf, LogPlace, LogUsage

from .attributes import Item
from .keys import Key
from .records import TTL, ttl_of
from .tables import Table, place

_LEAST_MS = 86_400_000
"""A chunk is kept at least a day, however soon its job may go: the job may still be running."""


class DynamoLogs:
    """`Logs` on the registry table. Chunks of jobs that DynamoDB deletes by their `keep_until` go with them."""

    def __init__(self, table: Table, now: Callable[[], Ms]) -> None:
        self._table = table
        self._now = now

    def append(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> None:
        """See `Logs.append`."""
        self._table.put(self._made(log, chunk, keep_until))

    def append_if_free(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> bool:
        """See `Logs.append_if_free`."""
        item = self._made(log, chunk, keep_until)
        return self._table.put(item, ConditionExpression="attribute_not_exists(pk)") is None

    def read(self, log: LogOf, after: LogPlace | None, limit: int) -> Sequence[LogChunk]:
        """See `Logs.read`."""
        return [_chunk(item) for item in self._query(log, after, limit, forward=True)]

    def last(self, log: LogOf) -> LogChunk | None:
        """See `Logs.last`."""
        found = self._query(log, None, 1, forward=False)
        return _chunk(found[0]) if found else None

    def erase(self, tenant: str, job_id: str) -> None:
        """See `Logs.erase`. One query where there is no log; else a request for every 25 chunks besides."""
        keys = self._table.query(
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": _partition(tenant, job_id)}},
            ProjectionExpression="pk, sk",
            ConsistentRead=True,
        )
        self._table.write_many([{"DeleteRequest": {"Key": key}} for key in keys])

    def _made(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> Item:
        item = {**place(_key(log, chunk.place)), **_item(chunk)}
        if keep_until is not None:
            item[TTL] = ttl_of(max(keep_until, self._now() + _LEAST_MS))
        return item

    def _query(self, log: LogOf, after: LogPlace | None, limit: int, *, forward: bool) -> Sequence[Item]:
        first, end = _sort(log, after or LogPlace(0, 0)), f"{log.created_at:015d}$"
        return self._table.query(
            limit,
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :end",
            ExpressionAttributeValues={
                ":pk": {"S": _partition(log.tenant, log.job_id)},
                ":first": {"S": f"{first}~"},  # the place itself is not after itself
                ":end": {"S": end},
            },
            ScanIndexForward=forward,
            ConsistentRead=True,
        )


def _partition(tenant: str, job_id: str) -> str:
    return f"{tenant}#logs#{job_id}"


def _sort(log: LogOf, at: LogPlace) -> str:
    return f"{log.created_at:015d}#{at.attempt:08d}#{at.number:08d}"


def _key(log: LogOf, at: LogPlace) -> Key:
    return _partition(log.tenant, log.job_id), _sort(log, at)


def _item(chunk: LogChunk) -> Item:
    usage = chunk.usage
    numbers = {"total_lines": usage.lines, "total_size": usage.size, "overflows": usage.overflows}
    item: Item = {name: {"N": str(number)} for name, number in numbers.items()}
    if chunk.blob is not None:
        return {**item, "blob": {"S": chunk.blob}}
    return {**item, "lines": {"S": json.dumps(chunk.lines, separators=(",", ":"), ensure_ascii=False)}}


def _chunk(item: Item) -> LogChunk:
    _, attempt, number = item["sk"]["S"].split("#")
    found = json.loads(item["lines"]["S"]) if "lines" in item else []
    lines = tuple(LogLine(at, Level(level), message) for at, level, message in found)
    usage = LogUsage(*(int(item[name]["N"]) for name in ("total_lines", "total_size", "overflows")))
    return LogChunk(LogPlace(int(attempt), int(number)), lines, item["blob"]["S"] if "blob" in item else None, usage)
