"""Runs of DAGs in the registry table.

item        pk                       sk
run         {tenant}#dags            id (a UUIDv7, so in the order of creation)
entry       dags#watched             {tenant}#{id}, until the run has ended and was let go
kept        dags#kept                {until when, 15 digits}#{tenant}#{id}, from then on
key         {tenant}#dag-keys        what a run's id is kept under: the digest of an Idempotency-Key

An entry tells how often its run was resumed, and the next deadline if there is one: the clock finds with one query
what it must look at.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState, next_deadline
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Ms
from tidegate.ports import RunPage, Watched

from .attributes import Item, Shape
from .expressions import UNUSED, Placeholders, equal_or_absent
from .keys import Key, is_key
from .tables import Table, place

_RUN: Shape[Run] = Shape(Run, sparse=False)
_WATCHED = "dags#watched"
_KEPT = "dags#kept"


class DynamoDags:
    """`Dags` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_if_absent(self, run: Run) -> Run | None:
        """See `Dags.create_if_absent`. The entry comes first, so that no run is stored that nobody watches."""
        self._table.put(_entry(run), ConditionExpression=UNUSED)
        item = {**place(_key(run.tenant, run.id)), **_RUN.dump(run)}
        refused = self._table.put(item, ConditionExpression=UNUSED)
        if refused is None:
            return None
        stored = self.get(run.tenant, run.id)
        return None if refused.retried and stored == run else stored

    def get(self, tenant: str, dag_id: str) -> Run | None:
        """See `Dags.get`."""
        item = self._table.get(_key(tenant, dag_id))
        return None if item is None else _RUN.load(item)

    def put_if_unchanged(self, run: Run, seen: Run) -> bool:
        """See `Dags.put_if_unchanged`. Every field is compared, so it needs no revision number.

        The entry of a run that is open again comes first; one whose deadline changed is told after, if it is there.
        """
        item = {**place(_key(run.tenant, run.id)), **_RUN.dump(run)}
        opened = run.state in OPEN_RUNS and seen.state not in OPEN_RUNS
        if opened:
            self._table.put(_entry(run))
        refused = self._table.put(item, **_as_seen(seen))
        stored = refused is None or (refused.retried and refused.image is not None and _RUN.load(refused.image) == run)
        if stored and not opened and run.state in OPEN_RUNS and next_deadline(run) != next_deadline(seen):
            self._table.put(_entry(run), **_entry_of(run.resumed))
        return stored

    def page(self, tenant: str, states: frozenset[RunState], limit: int, cursor: str | None) -> RunPage:
        """See `Dags.page`."""
        marks = Placeholders()
        condition = f"{marks.name('pk')} = {marks.text(f'{tenant}#dags')}"
        if cursor:
            condition += f" AND {marks.name('sk')} < {marks.text(_position(cursor))}"
        query = {"KeyConditionExpression": condition, "ScanIndexForward": False}
        if states:
            wanted = ", ".join(marks.text(state) for state in sorted(states))
            query["FilterExpression"] = f"{marks.name('state')} IN ({wanted})"
        items = self._table.query(limit + 1, **query, **marks.arguments())
        runs = [_RUN.load(item) for item in items]
        more = len(runs) > limit
        return RunPage(runs[:limit], _cursor(runs[limit - 1].id) if more else None)

    def watched(self, after: Watched | None, limit: int) -> Sequence[Watched]:
        """See `Dags.watched`. A crash between entry and run may have left an entry without one."""
        marks = Placeholders()
        condition = f"{marks.name('pk')} = {marks.text(_WATCHED)}"
        if after is not None:
            condition += f" AND {marks.name('sk')} > {marks.text(f'{after.tenant}#{after.dag_id}')}"
        return [
            _watched(item) for item in self._table.query(limit, KeyConditionExpression=condition, **marks.arguments())
        ]

    def due(self, by: Ms, limit: int) -> Sequence[Watched]:
        """See `Dags.due`."""
        marks = Placeholders()
        condition = f"{marks.name('pk')} = {marks.text(_WATCHED)}"
        filtered = f"{marks.name('look_at')} <= {marks.number(by)}"
        found = self._table.query(KeyConditionExpression=condition, FilterExpression=filtered, **marks.arguments())
        return [_watched(item) for item in found[:limit]]

    def id_under(self, tenant: str, key: str) -> str | None:
        """See `Dags.id_under`."""
        item = self._table.get(_pointer_key(tenant, key))
        return None if item is None else item["dag_id"]["S"]

    def keep_under(self, tenant: str, key: str, dag_id: str) -> str:
        """See `Dags.keep_under`."""
        item = {**place(_pointer_key(tenant, key)), "dag_id": {"S": dag_id}}
        refused = self._table.put(item, ConditionExpression=UNUSED)
        return dag_id if refused is None else self.id_under(tenant, key) or dag_id

    def let_go(self, watched: Watched, resumed: int, keep_until: Ms | None = None) -> None:
        """See `Dags.let_go`. What `outlived` finds comes first: no run is forgotten by both."""
        if keep_until is not None:
            self._table.put(place(_kept_key(watched._replace(look_at=keep_until))))
        self._table.delete(_watched_key(watched.tenant, watched.dag_id), **_entry_of(resumed))

    def outlived(self, by: Ms, limit: int) -> Sequence[Watched]:
        """See `Dags.outlived`. A resumption leaves the entry of the life before it behind."""
        marks = Placeholders()
        condition = f"{marks.name('pk')} = {marks.text(_KEPT)} AND {marks.name('sk')} < {marks.text(f'{by + 1:015d}')}"
        found = self._table.query(limit, KeyConditionExpression=condition, **marks.arguments())
        parts = [item["sk"]["S"].split("#") for item in found]
        return [Watched(tenant, dag_id, int(at)) for at, tenant, dag_id in parts]

    def erase_if_unchanged(self, outlived: Watched, seen: Run | None) -> bool:
        """See `Dags.erase_if_unchanged`. The entry goes last, so that what a crash leaves is found again."""
        erased = False
        if seen is not None:
            refused = self._table.delete(_key(seen.tenant, seen.id), **_as_seen(seen))
            if refused is not None and not (refused.retried and refused.image is None):
                return False
            erased = True
            if seen.key is not None:
                kept = equal_or_absent({"dag_id": {"S": seen.id}})
                self._table.delete(_pointer_key(seen.tenant, seen.key), **kept)
        self._table.delete(_kept_key(outlived))
        return erased


def _as_seen(run: Run) -> dict[str, Any]:
    """The condition that a run is still as it was read."""
    return equal_or_absent({name: _RUN.attribute(name, getattr(run, name)) for name in _RUN.names})


def _entry(run: Run) -> Item:
    look_at = next_deadline(run)
    told: Item = {"resumed": {"N": str(run.resumed)}}
    if look_at is not None:
        told["look_at"] = {"N": str(look_at)}
    return {**place(_watched_key(run.tenant, run.id)), **told}


def _entry_of(resumed: int) -> dict[str, Any]:
    """The condition that an entry is there, of a run that was not resumed more often than that."""
    marks = Placeholders()
    return {
        "ConditionExpression": f"{marks.name('resumed')} <= {marks.number(resumed)}",
        **marks.arguments(),
    }


def _watched(entry: Item) -> Watched:
    tenant, dag_id = entry["sk"]["S"].split("#")
    return Watched(tenant, dag_id, int(entry["look_at"]["N"]) if "look_at" in entry else None)


def _key(tenant: str, dag_id: str) -> Key:
    return f"{tenant}#dags", dag_id


def _pointer_key(tenant: str, key: str) -> Key:
    return f"{tenant}#dag-keys", key


def _watched_key(tenant: str, dag_id: str) -> Key:
    return _WATCHED, f"{tenant}#{dag_id}"


def _kept_key(outlived: Watched) -> Key:
    return _KEPT, f"{outlived.look_at or 0:015d}#{outlived.tenant}#{outlived.dag_id}"


def _cursor(dag_id: str) -> str:
    return base64.urlsafe_b64encode(dag_id.encode()).decode().rstrip("=")


def _position(cursor: str) -> str:
    try:
        dag_id = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        dag_id = ""
    if not is_key(dag_id):
        raise InvalidInput.field("cursor", "must be one that a listing answered")
    return dag_id
