"""What the change feed keeps in the registry table: timers and figures.

    item      pk                   sk
    timer     timers#{shard}       {at}#{tenant}#{job id}#{attempt}
    figures   {tenant}#figures     series; every other attribute is a total
    mark      batches#{name}       batch

A mark says that a batch was added.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from zlib import crc32

from tidegate.domain.job import Ms
from tidegate.ports import Addition, Timer

from .expressions import UNUSED, Placeholders
from .keys import Key
from .parallel import Parallel
from .records import TTL
from .tables import TRANSACTION_LIMIT, Table, chunks, place

TIMER_SHARDS = 8
_BATCH_KEPT_SECONDS = 2 * 86_400
"""Twice as long as DynamoDB keeps a stream's records, after which none of a batch can come again."""
_SERIES_A_STEP = TRANSACTION_LIMIT - 1

Actions = Sequence[Mapping[str, Mapping[str, Any]]]


class DynamoTimers:
    """`Timers` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._parallel = Parallel()

    def set(self, timers: Sequence[Timer]) -> None:
        """See `Timers.set`."""
        self._table.write_many([{"PutRequest": {"Item": place(key)}} for key in _timer_keys(timers)])

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """See `Timers.due`."""
        found = self._parallel.map(lambda shard: self._due(shard, by, limit), range(TIMER_SHARDS))
        return heapq.nsmallest(limit, (timer for part in found for timer in part), key=lambda timer: timer.at)

    def clear(self, timers: Sequence[Timer]) -> None:
        """See `Timers.clear`."""
        self._table.write_many([{"DeleteRequest": {"Key": place(key)}} for key in _timer_keys(timers)])

    def _due(self, shard: int, by: Ms, limit: int) -> list[Timer]:
        items = self._table.query(
            limit,
            KeyConditionExpression="pk = :pk AND sk < :end",
            ExpressionAttributeValues={":pk": {"S": f"timers#{shard}"}, ":end": {"S": f"{by + 1:015d}"}},
            ConsistentRead=True,
        )
        return [_timer(item["sk"]["S"]) for item in items]


class DynamoFigures:
    """`Figures` on the registry table."""

    def __init__(self, table: Table, now: Callable[[], Ms]) -> None:
        self._table = table
        self._now = now

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        """See `Figures.add_once`.

        A transaction takes 100 actions. A batch of more series is added in steps, each with a mark of its own:
        one that is cut short is completed, and nothing added twice, when the same batch comes again.
        """
        totals = sorted(_totals(additions).items())
        steps = list(chunks(totals, _SERIES_A_STEP)) or [[]]
        added = [self._add_step(f"{batch}#{number}", step) for number, step in enumerate(steps)]
        return any(added)

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        """See `Figures.read`."""
        item = self._table.get(_figures_key(tenant, series)) or {}
        totals = {name: int(value["N"]) for name, value in item.items() if "N" in value}
        return {name: total for name, total in totals.items() if total}

    def _add_step(self, name: str, totals: Sequence[tuple[tuple[str, str], Mapping[str, int]]]) -> bool:
        expires = {TTL: {"N": str(self._now() // 1000 + _BATCH_KEPT_SECONDS)}}
        mark = {"Put": {"Item": {**place((f"batches#{name}", "batch")), **expires}, "ConditionExpression": UNUSED}}
        updates = [{"Update": _addition(_figures_key(*series), amounts)} for series, amounts in totals]
        return self._table.transact([mark, *updates]) is None


def _totals(additions: Sequence[Addition]) -> dict[tuple[str, str], Counter[str]]:
    """The amounts of each series: a transaction may name an item once."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    for addition in additions:
        if addition.amounts:
            totals.setdefault((addition.tenant, addition.series), Counter()).update(addition.amounts)
    return totals


def _addition(key: Key, amounts: Mapping[str, int]) -> dict[str, Any]:
    marks = Placeholders()
    parts = [f"{marks.name(name)} {marks.number(amount)}" for name, amount in amounts.items()]
    return {"Key": place(key), "UpdateExpression": f"ADD {', '.join(parts)}", **marks.arguments()}


def _figures_key(tenant: str, series: str) -> Key:
    return f"{tenant}#figures", series


def _timer_keys(timers: Sequence[Timer]) -> list[Key]:
    """Where the timers are kept, each once: a request may not name an item twice."""
    return list(dict.fromkeys(_timer_key(timer) for timer in timers))


def _timer_key(timer: Timer) -> Key:
    name = f"{timer.tenant}#{timer.job_id}#{timer.attempt}"
    return f"timers#{crc32(name.encode()) % TIMER_SHARDS}", f"{timer.at:015d}#{name}"


def _timer(text: str) -> Timer:
    at, tenant, job_id, attempt = text.split("#")
    return Timer(int(at), tenant, job_id, int(attempt))
