"""Limits of queues in the registry table.

    item        pk                            sk                        attributes
    semaphore   slots                         {tenant}#{queue}#{key}    holders (a set), waiting
    window      rate#{tenant}#{queue}         {begin}                   starts, ttl
    backlog     {tenant}#figures              backlog#{queue}           size, pending, admitted_at

A lane's own semaphore has an empty key. All semaphores are in one partition so that the clock finds them with one
query; DynamoDB splits it by sort key when it gets hot. An item of up to 1 KB, some 15 holders, costs one write
unit to take a slot and one to give it back, whatever becomes of the condition.
"""

from __future__ import annotations

from collections.abc import Sequence

from botocore.exceptions import ClientError  # type: ignore[import-untyped]

from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Ms
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane
from tidegate.ports import Grant, Holding, backlog_series

from .attributes import Item
from .expressions import Placeholders
from .keys import Key
from .records import TTL
from .tables import Refused, Table, pauses

_PARTITION = "slots"
_WINDOW_KEPT_SECONDS = 3_600
_ROUNDS = 5


class DynamoSlots:
    """`Slots` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def acquire_if_free(self, semaphore: Semaphore, holder: str, limit: int) -> Grant:
        """See `Slots.acquire_if_free`."""
        marks = Placeholders()
        holders, mine = marks.name("holders"), marks.text(holder)
        free = f"attribute_not_exists({holders}) OR size({holders}) < {marks.number(limit)}"
        answer = self._table.update(
            _key(semaphore),
            UpdateExpression=f"ADD {holders} {marks.value({'SS': [holder]})}",
            ConditionExpression=f"{free} OR contains({holders}, {mine})",
            **marks.arguments(),
        )
        if isinstance(answer, Refused):
            return Grant(False, _holding(semaphore, answer.image or {}))
        return Grant(True, _holding(semaphore, answer))

    def release(self, semaphore: Semaphore, holder: str) -> Holding | None:
        """See `Slots.release`. A repeated request that finds the slot gone has freed it the first time."""
        marks = Placeholders()
        holders = marks.name("holders")
        answer = self._table.update(
            _key(semaphore),
            UpdateExpression=f"DELETE {holders} {marks.value({'SS': [holder]})}",
            ConditionExpression=f"contains({holders}, {marks.text(holder)})",
            **marks.arguments(),
        )
        if isinstance(answer, Refused):
            return _holding(semaphore, answer.image or {}) if answer.retried else None
        return _holding(semaphore, answer)

    def get(self, semaphore: Semaphore) -> Holding:
        """See `Slots.get`."""
        return _holding(semaphore, self._table.get(_key(semaphore)) or {})

    def expect(self, semaphore: Semaphore, job_id: str) -> None:
        """See `Slots.expect`."""
        marks = Placeholders()
        change = f"SET {marks.name('waiting')} = {marks.text(job_id)}"
        self._table.update(_key(semaphore), UpdateExpression=change, **marks.arguments())

    def of_lane(self, lane: Lane, limit: int) -> Sequence[Holding]:
        """See `Slots.of_lane`."""
        return self._query(limit, "begins_with(sk, :sk)", _key(Semaphore(lane))[1], ConsistentRead=True)

    def all(self, after: Semaphore | None, limit: int) -> Sequence[Holding]:
        """See `Slots.all`. Half the price of a consistent read: what is done about a stale look is guarded."""
        return self._query(limit, "sk > :sk", _key(after)[1] if after else " ")

    def tidy(self, seen: Holding) -> None:
        """See `Slots.tidy`."""
        marks = Placeholders()
        holders, waiting = marks.name("holders"), marks.name("waiting")
        still = f"{waiting} = {marks.text(seen.waiting)}" if seen.waiting else f"attribute_not_exists({waiting})"
        if seen.holders:
            same = f"{holders} = {marks.value({'SS': sorted(seen.holders)})}"
            condition = {"UpdateExpression": f"REMOVE {waiting}", "ConditionExpression": f"{same} AND {still}"}
            self._table.update(_key(seen.semaphore), **condition, **marks.arguments())
        else:
            condition = {"ConditionExpression": f"attribute_not_exists({holders}) AND {still}"}
            self._table.delete(_key(seen.semaphore), **condition, **marks.arguments())

    def _query(self, limit: int, where: str, sort_key: str, **how: bool) -> list[Holding]:
        items = self._table.query(
            limit,
            KeyConditionExpression=f"pk = :pk AND {where}",
            ExpressionAttributeValues={":pk": {"S": _PARTITION}, ":sk": {"S": sort_key}},
            **how,
        )
        return [_holding(_semaphore(item), item) for item in items]


class DynamoRates:
    """`Rates` on the registry table: an item for each window in which something started, gone an hour later."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def take_if_left(self, lane: Lane, window: Ms, limit: int) -> bool:
        """See `Rates.take_if_left`. A request that is repeated may count twice: never too few."""
        marks = Placeholders()
        starts, ttl = marks.name("starts"), marks.name(TTL)
        forgotten = marks.number(window // 1000 + _WINDOW_KEPT_SECONDS)
        answer = self._table.update(
            _window_key(lane, window),
            UpdateExpression=f"ADD {starts} {marks.number(1)} SET {ttl} = {forgotten}",
            ConditionExpression=f"attribute_not_exists({starts}) OR {starts} < {marks.number(limit)}",
            **marks.arguments(),
        )
        return not isinstance(answer, Refused)

    def give_back(self, lane: Lane, window: Ms) -> None:
        """See `Rates.give_back`."""
        marks = Placeholders()
        starts = marks.name("starts")
        self._table.update(
            _window_key(lane, window),
            UpdateExpression=f"ADD {starts} {marks.number(-1)}",
            ConditionExpression=f"{starts} > {marks.number(0)}",
            **marks.arguments(),
        )

    def taken(self, lane: Lane, window: Ms) -> int:
        """See `Rates.taken`."""
        return _number(self._table.get(_window_key(lane, window)) or {}, "starts")


class DynamoBacklogs:
    """`Backlogs` on the registry table: figures, to which the change feed adds as well."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def admit_if_room(self, lane: Lane, count: int, limit: int, now: Ms) -> int:
        """See `Backlogs.admit_if_room`. Each round asks for what the last one said there was room for."""
        wanted = min(count, limit)
        for _ in range(_ROUNDS):
            if wanted <= 0:
                return 0
            refused = self._admit(lane, wanted, limit, now)
            if refused is None:
                return wanted
            wanted = min(wanted, limit - _number(refused.image or {}, "size"))
        return 0

    def withdraw(self, lane: Lane, count: int) -> None:
        """See `Backlogs.withdraw`."""
        marks = Placeholders()
        change = f"ADD {marks.name('size')} {marks.number(-count)}, {marks.name('pending')} {marks.number(-count)}"
        self._update(lane, UpdateExpression=change, **marks.arguments())

    def size(self, lane: Lane) -> int:
        """See `Backlogs.size`."""
        return _number(self._table.get(_backlog_key(lane)) or {}, "size")

    def correct(self, lane: Lane, before: Ms) -> int:
        """See `Backlogs.correct`."""
        item = self._table.get(_backlog_key(lane)) or {}
        pending, admitted_at = _number(item, "pending"), _number(item, "admitted_at")
        if not pending or admitted_at >= before:
            return 0
        marks = Placeholders()
        size, left, at = marks.name("size"), marks.name("pending"), marks.name("admitted_at")
        answer = self._update(
            lane,
            UpdateExpression=f"ADD {size} {marks.number(-pending)}, {left} {marks.number(-pending)}",
            ConditionExpression=f"{left} = {marks.number(pending)} AND {at} = {marks.number(admitted_at)}",
            **marks.arguments(),
        )
        return 0 if isinstance(answer, Refused) else pending

    def _admit(self, lane: Lane, count: int, limit: int, now: Ms) -> Refused | None:
        marks = Placeholders()
        size, pending, at = marks.name("size"), marks.name("pending"), marks.name("admitted_at")
        answer = self._update(
            lane,
            UpdateExpression=f"ADD {size} {marks.number(count)}, {pending} {marks.number(count)} "
            f"SET {at} = {marks.number(now)}",
            ConditionExpression=f"attribute_not_exists({size}) OR {size} <= {marks.number(limit - count)}",
            **marks.arguments(),
        )
        return answer if isinstance(answer, Refused) else None

    def _update(self, lane: Lane, **update: object) -> Item | Refused:
        """An update that waits while the change feed adds to the same item in a transaction."""
        for pause in pauses():
            try:
                return self._table.update(_backlog_key(lane), **update)
            except Unavailable as error:
                if not _is_conflict(error):
                    raise
                pause()
        raise AssertionError("pauses() raises before it ends")


def _is_conflict(error: Unavailable) -> bool:
    """Whether a request met a transaction: then it surely had no effect, and may be sent again."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and cause.response["Error"].get("Code") == "TransactionConflictException"


def _key(semaphore: Semaphore) -> Key:
    return _PARTITION, f"{semaphore.lane.tenant}#{semaphore.lane.queue}#{semaphore.key}"


def _semaphore(item: Item) -> Semaphore:
    tenant, queue, key = item["sk"]["S"].split("#", 2)
    return Semaphore(Lane(tenant, queue), key)


def _holding(semaphore: Semaphore, item: Item) -> Holding:
    holders = frozenset(item["holders"]["SS"]) if "holders" in item else frozenset()
    return Holding(semaphore, holders, item["waiting"]["S"] if "waiting" in item else None)


def _window_key(lane: Lane, window: Ms) -> Key:
    return f"rate#{lane.tenant}#{lane.queue}", f"{window:015d}"


def _backlog_key(lane: Lane) -> Key:
    return f"{lane.tenant}#figures", backlog_series(lane)


def _number(item: Item, name: str) -> int:
    return int(item[name]["N"]) if name in item else 0
