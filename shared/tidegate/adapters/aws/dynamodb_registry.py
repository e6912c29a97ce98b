"""Queue policies, lanes and tokens in the registry table.

    item       pk                  sk
    queue      {tenant}#queues     name
    lane       lanes               {tenant}#{queue}
    token      token#{id}          token
    its entry  {tenant}#tokens     id

Tenants and queues are names without `#`.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence

from tidegate.domain.job import Ms
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Token

from .attributes import Item, Shape
from .expressions import UNUSED, Placeholders, equal_or_absent
from .keys import Key
from .tables import Table, place

_QUEUE: Shape[Queue] = Shape(Queue, sparse=False)
_TOKEN: Shape[Token] = Shape(Token, sparse=False)

_HOUR_MS = 3_600_000
TOUCH_EVERY_MS = _HOUR_MS
"""A process writes a lane's touch at most so often."""
KEPT_MS = 3 * _HOUR_MS
"""A lane is remembered so long after its last written touch: two hours after one that was left out."""
_REMEMBERED = 10_000


class DynamoQueues:
    """`Queues` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, tenant: str, name: str) -> Queue | None:
        """See `Queues.get`."""
        item = self._table.get(_queue_key(tenant, name))
        return None if item is None else _QUEUE.load(item)

    def list(self, tenant: str) -> Sequence[Queue]:
        """See `Queues.list`."""
        return [_QUEUE.load(item) for item in _partition(self._table, f"{tenant}#queues")]

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """See `Queues.put_if_unchanged`. The guard compares every field, so it needs no revision number."""
        item = {**place(_queue_key(queue.tenant, queue.name)), **_QUEUE.dump(queue)}
        condition = {"ConditionExpression": UNUSED} if seen is None else _still(seen)
        refused = self._table.put(item, **condition)
        if refused is None:
            return True
        return refused.retried and refused.image is not None and _QUEUE.load(refused.image) == queue


class DynamoLanes:
    """`Lanes` on the registry table. A process remembers what it touched, so doing it again costs nothing."""

    def __init__(self, table: Table, now: Callable[[], Ms]) -> None:
        self._table = table
        self._now = now
        self._touched: dict[Lane, Ms] = {}

    def touch(self, lane: Lane, now: Ms) -> None:
        """See `Lanes.touch`."""
        touched = self._touched.get(lane)
        if touched is not None and 0 <= now - touched < TOUCH_EVERY_MS:
            return
        marks = Placeholders()
        touched_at, value = marks.name("touched_at"), marks.number(now)
        self._table.put(
            {**place(_lane_key(lane)), "touched_at": {"N": str(now)}},
            ConditionExpression=f"attribute_not_exists({touched_at}) OR {touched_at} < {value}",
            **marks.arguments(),
        )
        if len(self._touched) >= _REMEMBERED:
            self._touched.clear()
        self._touched[lane] = now

    def all(self) -> Sequence[tuple[Lane, Ms]]:
        """See `Lanes.all`."""
        items = _partition(self._table, _LANES)
        return [(Lane(*item["sk"]["S"].split("#")), int(item["touched_at"]["N"])) for item in items]

    def drop_if_untouched(self, lane: Lane, seen: Ms) -> None:
        """See `Lanes.drop_if_untouched`. Nothing happens within `KEPT_MS`: some touches are not written."""
        if self._now() - seen >= KEPT_MS:
            self._table.delete(_lane_key(lane), **equal_or_absent({"touched_at": {"N": str(seen)}}))


class DynamoTokens:
    """`Tokens` on the registry table: one item by id, and an entry in the tenant's list."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, token_id: str) -> Token | None:
        """See `Tokens.get`."""
        item = self._table.get(_token_key(token_id))
        return None if item is None else _TOKEN.load(item)

    def put(self, token: Token) -> None:
        """See `Tokens.put`."""
        item = {**place(_token_key(token.id)), **_TOKEN.dump(token)}
        entry = place((f"{token.tenant}#tokens", token.id))
        self._table.transact([{"Put": {"Item": each}} for each in (item, entry)])

    def note_use(self, token_id: str, now: Ms) -> None:
        """See `Tokens.note_use`."""
        marks = Placeholders()
        self._table.update(
            _token_key(token_id),
            UpdateExpression=f"SET {marks.name('last_used_at')} = {marks.number(now)}",
            ConditionExpression="attribute_exists(pk)",
            **marks.arguments(),
        )

    def list(self, tenant: str) -> Sequence[Token]:
        """See `Tokens.list`."""
        entries = _partition(self._table, f"{tenant}#tokens")
        items = self._table.get_many(_token_key(entry["sk"]["S"]) for entry in entries)
        tokens = (_TOKEN.load(item) for item in items.values())
        mine = (token for token in tokens if token.tenant == tenant)
        return sorted(mine, key=lambda token: (token.created_at, token.id))


_LANES = "lanes"


def _queue_key(tenant: str, name: str) -> Key:
    return f"{tenant}#queues", name


def _lane_key(lane: Lane) -> Key:
    return _LANES, f"{lane.tenant}#{lane.queue}"


def _token_key(token_id: str) -> Key:
    return f"token#{token_id}", "token"


def _partition(table: Table, pk: str) -> builtins.list[Item]:
    return table.query(
        KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": pk}}, ConsistentRead=True
    )


def _still(seen: Queue) -> dict[str, object]:
    """The condition that a queue is stored as seen; a field it was stored without reads as its default."""
    marks = Placeholders()
    parts = []
    for name, default in ((name, _QUEUE.defaults.get(name)) for name in _QUEUE.names):
        attribute, value = marks.name(name), getattr(seen, name)
        stored = _QUEUE.attribute(name, value)
        equal = [] if stored is None else [f"{attribute} = {marks.value(stored)}"]
        absent = [f"attribute_not_exists({attribute})"] if value == default else []
        parts.append(f"({' OR '.join(equal + absent)})")
    return {"ConditionExpression": " AND ".join(parts), **marks.arguments()}
