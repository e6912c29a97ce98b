"""The newest events of the embedded home, for those who listen to `GET /events`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields
from operator import attrgetter

from tidegate.domain.dag.run import RunState
from tidegate.domain.events import AnyEvent, BudgetEvent, Event, RunEvent
from tidegate.domain.job import State
from tidegate.ports import Announced

from .codec import compact
from .database import Database

KEPT = 10_000
"""So many events are kept, of all tenants together."""
_NAMES = {kind: tuple(each.name for each in fields(kind)) for kind in (Event, RunEvent, BudgetEvent)}
_FIELDS = {kind: (names, attrgetter(*names)) for kind, names in _NAMES.items()}


class SqliteEvents:
    """`EventBus` and `EventStream` on one file: a table of the newest events, in the order of their commits."""

    def __init__(self, database: Database, kept: int = KEPT) -> None:
        self._database = database
        self._kept = kept

    def publish(self, events: Sequence[AnyEvent]) -> None:
        """See `EventBus.publish`. An event that is known is left alone, so each is kept once."""
        if not events:
            return
        rows = [(event.id, event.tenant, _text(event)) for event in events]
        sql = "INSERT INTO events (id, tenant, event) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        with self._database.transaction() as connection:
            connection.executemany(sql, rows)
            connection.execute(
                "DELETE FROM events WHERE position <= (SELECT MAX(position) FROM events) - ?", (self._kept,)
            )

    def read(self, tenant: str, after: int, limit: int) -> tuple[Sequence[Announced], int]:
        """See `EventStream.read`."""
        sql = "SELECT position, tenant, event FROM events WHERE position > ? ORDER BY position LIMIT ?"
        rows = self._database.rows(sql, (after, limit))
        mine = [Announced(position, _event(text)) for position, of, text in rows if of == tenant]
        return mine, rows[-1][0] if rows else after

    def bounds(self) -> tuple[int, int]:
        """See `EventStream.bounds`."""
        ((oldest, newest),) = self._database.rows("SELECT MIN(position), MAX(position) FROM events")
        return oldest or 0, newest or 0


def _text(event: AnyEvent) -> str:
    names, values = _FIELDS[type(event)]
    return compact(dict(zip(names, values(event), strict=True)))


def _event(text: str) -> AnyEvent:
    values = json.loads(text)
    if "dag_id" in values:
        return RunEvent(**{**values, "state": RunState(values["state"]), "tags": tuple(values["tags"])})
    if "period" in values:
        return BudgetEvent(**values)
    states = {name: None if values[name] is None else State(values[name]) for name in ("old_state", "state")}
    return Event(**{**values, **states})
