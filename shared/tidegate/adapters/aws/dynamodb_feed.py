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
from typing import Any, NamedTuple
from zlib import crc32

from tidegate.domain.job import Ms
from tidegate.ports import Addition, Timer

from .attributes import Item
from .expressions import UNUSED, Placeholders
from .keys import Key
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
        self._parallel = table.parallel

    def set(self, timers: Sequence[Timer]) -> None:
        """See `Timers.set`."""
        self._table.write_many([{"PutRequest": {"Item": place(key)}} for key in _timer_keys(timers)])

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """See `Timers.due`. Read eventually, at half the price: a timer that is not seen yet is seen a minute later."""
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
        )
        return [timer_of(item["sk"]["S"]) for item in items]


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
        return _numbers(self._table.get(_figures_key(tenant, series)) or {})

    def drop(self, tenant: str, series: str) -> None:
        """See `Figures.drop`."""
        self._table.delete(_figures_key(tenant, series))

    def between(self, tenant: str, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """See `Figures.between`. Read eventually: nothing that it is asked for must be up to date."""
        items = self._table.query(
            KeyConditionExpression="pk = :pk AND sk BETWEEN :first AND :last",
            ExpressionAttributeValues={
                ":pk": {"S": _figures_key(tenant, "")[0]},
                ":first": {"S": first},
                ":last": {"S": last},
            },
        )
        found = {item["sk"]["S"]: _numbers(item) for item in items}
        return {series: totals for series, totals in found.items() if totals}

    def _add_step(self, name: str, totals: Sequence[tuple[tuple[str, str], Totals]]) -> bool:
        expires = {TTL: {"N": str(self._now() // 1000 + _BATCH_KEPT_SECONDS)}}
        mark = {"Put": {"Item": {**place((f"batches#{name}", "batch")), **expires}, "ConditionExpression": UNUSED}}
        updates = [{"Update": _addition(_figures_key(*series), total)} for series, total in totals]
        return self._table.transact([mark, *updates]) is None


class Totals(NamedTuple):
    """What is to be added to one series, and what is set there where it is absent."""

    amounts: Counter[str]
    first: dict[str, int]


def _totals(additions: Sequence[Addition]) -> dict[tuple[str, str], Totals]:
    """The amounts of each series: a transaction may name an item once."""
    totals: dict[tuple[str, str], Totals] = {}
    for addition in additions:
        if addition.amounts or addition.first:
            total = totals.setdefault((addition.tenant, addition.series), Totals(Counter(), {}))
            total.amounts.update(addition.amounts)
            total.first.update({name: total.first.get(name, first) for name, first in addition.first.items()})
    return totals


def _addition(key: Key, total: Totals) -> dict[str, Any]:
    marks = Placeholders()
    adds = [f"{marks.name(name)} {marks.number(amount)}" for name, amount in total.amounts.items()]
    sets = [
        f"{marks.name(name)} = if_not_exists({marks.name(name)}, {marks.number(first)})"
        for name, first in total.first.items()
    ]
    clauses = (("SET", sets), ("ADD", adds))
    update = " ".join(f"{verb} {', '.join(parts)}" for verb, parts in clauses if parts)
    return {"Key": place(key), "UpdateExpression": update, **marks.arguments()}


def _numbers(item: Item) -> dict[str, int]:
    totals = {name: int(value["N"]) for name, value in item.items() if "N" in value}
    return {name: total for name, total in totals.items() if total}


def _figures_key(tenant: str, series: str) -> Key:
    return f"{tenant}#figures", series


def _timer_keys(timers: Sequence[Timer]) -> list[Key]:
    """Where the timers are kept, each once: a request may not name an item twice."""
    return list(dict.fromkeys(_timer_key(timer) for timer in timers))


def _timer_key(timer: Timer) -> Key:
    name = f"{timer.tenant}#{timer.job_id}#{timer.attempt}"
    return f"timers#{crc32(name.encode()) % TIMER_SHARDS}", f"{timer.at:015d}#{name}"


def timer_of(text: str) -> Timer:
    """The timer that a sort key names."""
    at, tenant, job_id, attempt = text.split("#")
    return Timer(int(at), tenant, job_id, int(attempt))
