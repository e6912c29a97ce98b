"""Runs of DAGs in the registry table.

item        pk                       sk
run         {tenant}#dags            id (a UUIDv7, so in the order of creation)
open entry  dags#open                {tenant}#{id}, while the run has not ended
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from tidegate.domain.dag.run import OPEN_RUNS, Run, RunState
from tidegate.domain.errors import InvalidInput
from tidegate.ports import RunPage

from .attributes import Shape
from .expressions import UNUSED, Placeholders, equal_or_absent
from .keys import Key, is_key
from .tables import Table, place

_RUN: Shape[Run] = Shape(Run, sparse=False)
_OPEN = "dags#open"


class DynamoDags:
    """`Dags` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def create_if_absent(self, run: Run) -> Run | None:
        """See `Dags.create_if_absent`. The open entry comes first: one without its run is forgotten by the clock."""
        self._table.put(place(_open_key(run)))
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
        """See `Dags.put_if_unchanged`. Every field is compared, so it needs no revision number."""
        item = {**place(_key(run.tenant, run.id)), **_RUN.dump(run)}
        if run.state in OPEN_RUNS and seen.state not in OPEN_RUNS:
            self._table.put(place(_open_key(run)))
        condition = equal_or_absent({name: _RUN.attribute(name, getattr(seen, name)) for name in _RUN.names})
        refused = self._table.put(item, **condition)
        stored = refused is None or (refused.retried and refused.image is not None and _RUN.load(refused.image) == run)
        if stored and run.state not in OPEN_RUNS:
            self._table.delete(_open_key(run))
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

    def open_runs(self, limit: int) -> Sequence[Run]:
        """See `Dags.open_runs`. Entries whose run has ended, or was never stored, are forgotten here."""
        marks = Placeholders()
        condition = f"{marks.name('pk')} = {marks.text(_OPEN)}"
        entries = self._table.query(limit, KeyConditionExpression=condition, **marks.arguments())
        runs = []
        for entry in entries:
            tenant, dag_id = entry["sk"]["S"].split("#")
            run = self.get(tenant, dag_id)
            if run is not None and run.state in OPEN_RUNS:
                runs.append(run)
            elif run is not None:
                self._table.delete((_OPEN, entry["sk"]["S"]))
        return sorted(runs, key=lambda run: run.id)


def _key(tenant: str, dag_id: str) -> Key:
    return f"{tenant}#dags", dag_id


def _open_key(run: Run) -> Key:
    return _OPEN, f"{run.tenant}#{run.id}"


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
