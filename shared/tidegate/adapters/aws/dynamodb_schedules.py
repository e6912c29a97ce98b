"""Schedules in the registry table.

    item         pk                          sk
    definition   {tenant}#schedules          name     what people define
    state        {tenant}#schedule-states    name     what changes with every run; its `version` guards both
    its id       {tenant}#schedule-ids       id       attribute `name`
    due entry    schedules#due#{shard}       {look_at}#{tenant}#{name}
    hold         {tenant}#schedule-hold      hold     all schedules of the tenant are paused

A run rewrites the state and moves the due entry: one transaction, 6 write units, whatever the job's data weighs.
A minute in which nothing is due costs one query a shard, however many schedules there are.
"""

from __future__ import annotations

import builtins
import hashlib
import heapq
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

from tidegate.adapters.schedules import definition_of, hold_of, hold_text, schedule_of, state_of
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Ms
from tidegate.domain.schedule import Schedule
from tidegate.ports import Hold, ScheduleKey

from .attributes import Item
from .expressions import UNUSED, Placeholders
from .keys import Key
from .tables import Table, place

DUE_SHARDS = 4
"""A partition takes 1,000 write units a second: 4 let some 600 schedules a second move on."""
_ROUNDS = 5
Action = Mapping[str, Mapping[str, Any]]


class DynamoSchedules:
    """`Schedules` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._parallel = table.parallel

    def create(self, schedule: Schedule) -> bool:
        """See `Schedules.create`."""
        unused = {"ConditionExpression": UNUSED}
        identity = {**place(_id_key(schedule)), "name": {"S": schedule.name}}
        actions: builtins.list[Action] = [
            {"Put": {"Item": _state_item(schedule), **unused}},
            {"Put": {"Item": _definition_item(schedule), **unused}},
            {"Put": {"Item": identity, **unused}},
            *_due_moves(schedule, None),
        ]
        return self._table.transact(actions) is None

    def get(self, keys: Sequence[ScheduleKey]) -> Sequence[Schedule | None]:
        """See `Schedules.get`. A definition and a state that do not belong together are read again."""
        found: dict[ScheduleKey, Schedule] = {}
        wanted = list(dict.fromkeys(keys))
        for _ in range(_ROUNDS):
            items = self._table.get_many(place_of(key) for key in wanted for place_of in (_definition_key, _state_key))
            wanted = [key for key in wanted if not _joined(items, key, found)]
            if not wanted:
                return [found.get(key) for key in keys]
        raise Unavailable("a schedule keeps changing")

    def name_of(self, tenant: str, schedule_id: str) -> str | None:
        """See `Schedules.name_of`."""
        item = self._table.get((f"{tenant}#schedule-ids", schedule_id))
        return None if item is None else str(item["name"]["S"])

    def list(self, tenant: str, after: str, limit: int) -> Sequence[Schedule]:
        """See `Schedules.list`."""
        items = self._table.query(
            limit,
            KeyConditionExpression="pk = :pk AND sk > :after",
            ExpressionAttributeValues={":pk": {"S": f"{tenant}#schedule-states"}, ":after": {"S": after or " "}},
            ConsistentRead=True,
        )
        found = self.get([ScheduleKey(tenant, item["sk"]["S"]) for item in items])
        return [schedule for schedule in found if schedule is not None]

    def replace_if_unchanged(self, changes: Sequence[tuple[Schedule, Schedule]]) -> Sequence[bool]:
        """See `Schedules.replace_if_unchanged`."""
        return self._parallel.map(lambda change: self._replace(*change), changes)

    def delete_if_unchanged(self, seen: Schedule) -> bool:
        """See `Schedules.delete_if_unchanged`."""
        key = ScheduleKey(seen.tenant, seen.name)
        actions: builtins.list[Action] = [
            {"Delete": {"Key": place(_state_key(key)), **_still(seen)}},
            {"Delete": {"Key": place(_definition_key(key))}},
            {"Delete": {"Key": place(_id_key(seen))}},
        ]
        if seen.look_at is not None:
            actions.append({"Delete": {"Key": place(_due_key(seen, seen.look_at))}})
        return self._table.transact(actions) is None

    def due(self, by: Ms, limit: int) -> Sequence[ScheduleKey]:
        """See `Schedules.due`."""
        found = self._parallel.map(lambda shard: self._due(shard, by, limit), range(DUE_SHARDS))
        soonest = heapq.nsmallest(limit, (entry for part in found for entry in part))
        return [ScheduleKey(*entry.split("#")[1:]) for entry in soonest]

    def hold_of(self, tenant: str) -> Hold | None:
        """See `Schedules.hold_of`."""
        item = self._table.get(_hold_key(tenant))
        return None if item is None else hold_of(item["hold"]["S"])

    def set_hold(self, tenant: str, hold: Hold | None) -> None:
        """See `Schedules.set_hold`."""
        if hold is None:
            self._table.delete(_hold_key(tenant))
        else:
            self._table.put({**place(_hold_key(tenant)), "hold": {"S": hold_text(hold)}})

    def _replace(self, new: Schedule, seen: Schedule) -> bool:
        state: Action = {"Put": {"Item": _state_item(new), **_still(seen)}}
        actions = [state, *_due_moves(new, seen)]
        if definition_of(new) != definition_of(seen):
            actions.append({"Put": {"Item": _definition_item(new)}})
        if len(actions) > 1:
            return self._table.transact(actions) is None
        refused = self._table.put(**_as_call(state["Put"]))
        if refused is None:
            return True
        return refused.retried and refused.image == _state_item(new)

    def _due(self, shard: int, by: Ms, limit: int) -> builtins.list[str]:
        items = self._table.query(
            limit,
            KeyConditionExpression="pk = :pk AND sk < :end",
            ExpressionAttributeValues={":pk": {"S": f"schedules#due#{shard}"}, ":end": {"S": f"{by + 1:015d}"}},
            ConsistentRead=True,
        )
        return [item["sk"]["S"] for item in items]


def _joined(items: Mapping[Key, Item], key: ScheduleKey, found: dict[ScheduleKey, Schedule]) -> bool:
    """Put the schedule of these items among `found`; False when its parts were written at different times."""
    definition, state = items.get(_definition_key(key)), items.get(_state_key(key))
    if definition is None and state is None:
        return True
    if definition is None or state is None:
        return False
    text = definition["definition"]["S"]
    if _digest(text) != state["digest"]["S"]:
        return False
    found[key] = schedule_of(int(state["version"]["N"]), text, state["state"]["S"])
    return True


def _definition_item(schedule: Schedule) -> Item:
    key = ScheduleKey(schedule.tenant, schedule.name)
    return {**place(_definition_key(key)), "definition": {"S": definition_of(schedule)}}


def _state_item(schedule: Schedule) -> Item:
    return {
        **place(_state_key(ScheduleKey(schedule.tenant, schedule.name))),
        "schedule_id": {"S": schedule.id},
        "version": {"N": str(schedule.version)},
        "digest": {"S": _digest(definition_of(schedule))},
        "state": {"S": state_of(schedule)},
    }


def _digest(definition: str) -> str:
    return hashlib.sha256(definition.encode()).hexdigest()[:16]


def _still(seen: Schedule) -> dict[str, Any]:
    """The condition that this very schedule is stored in the version seen."""
    marks = Placeholders()
    same_id = f"{marks.name('schedule_id')} = {marks.text(seen.id)}"
    same_version = f"{marks.name('version')} = {marks.number(seen.version)}"
    return {"ConditionExpression": f"{same_id} AND {same_version}", **marks.arguments()}


def _due_moves(new: Schedule, seen: Schedule | None) -> builtins.list[Action]:
    """What moves the due entry from where it was seen to where it belongs; nothing if that is the same."""
    old_at = None if seen is None else seen.look_at
    if old_at == new.look_at:
        return []
    moves: builtins.list[Action] = []
    if old_at is not None:
        moves.append({"Delete": {"Key": place(_due_key(new, old_at))}})
    if new.look_at is not None:
        moves.append({"Put": {"Item": place(_due_key(new, new.look_at))}})
    return moves


def _as_call(put: Mapping[str, Any]) -> dict[str, Any]:
    return {"item" if name == "Item" else name: value for name, value in put.items()}


def _definition_key(key: ScheduleKey) -> Key:
    return f"{key.tenant}#schedules", key.name


def _state_key(key: ScheduleKey) -> Key:
    return f"{key.tenant}#schedule-states", key.name


def _id_key(schedule: Schedule) -> Key:
    return f"{schedule.tenant}#schedule-ids", schedule.id


def _due_key(schedule: Schedule, at: Ms) -> Key:
    shard = crc32(f"{schedule.tenant}#{schedule.name}".encode()) % DUE_SHARDS
    return f"schedules#due#{shard}", f"{at:015d}#{schedule.tenant}#{schedule.name}"


def _hold_key(tenant: str) -> Key:
    return f"{tenant}#schedule-hold", "hold"
