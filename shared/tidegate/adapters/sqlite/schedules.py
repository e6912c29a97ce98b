"""Schedules on SQLite: one row each, with an index over those that the clock must look at."""

from __future__ import annotations

import builtins
from collections.abc import Sequence

from tidegate.adapters.schedules import definition_of, hold_of, hold_text, schedule_of, state_of
from tidegate.domain.job import Ms
from tidegate.domain.schedule import Schedule
from tidegate.ports import Hold, ScheduleKey

from .database import Database

_SELECT = "SELECT version, definition, state FROM schedules WHERE tenant = ?"


class SqliteSchedules:
    """`Schedules` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, schedule: Schedule) -> bool:
        """See `Schedules.create`."""
        sql = "INSERT INTO schedules VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
        row = (schedule.tenant, schedule.name, schedule.id, *_changing(schedule))
        return bool(self._database.rows(sql, row))

    def get(self, keys: Sequence[ScheduleKey]) -> Sequence[Schedule | None]:
        """See `Schedules.get`."""
        found = (self._database.rows(f"{_SELECT} AND name = ?", key) for key in keys)
        return [schedule_of(*rows[0]) if rows else None for rows in found]

    def name_of(self, tenant: str, schedule_id: str) -> str | None:
        """See `Schedules.name_of`."""
        rows = self._database.rows("SELECT name FROM schedules WHERE tenant = ? AND id = ?", (tenant, schedule_id))
        return str(rows[0][0]) if rows else None

    def list(self, tenant: str, after: str, limit: int) -> Sequence[Schedule]:
        """See `Schedules.list`."""
        sql = f"{_SELECT} AND name > ? ORDER BY name LIMIT ?"
        return [schedule_of(*row) for row in self._database.rows(sql, (tenant, after, limit))]

    def replace_if_unchanged(self, changes: Sequence[tuple[Schedule, Schedule]]) -> Sequence[bool]:
        """See `Schedules.replace_if_unchanged`."""
        sql = (
            "UPDATE schedules SET version = ?, look_at = ?, definition = ?, state = ? "
            "WHERE tenant = ? AND name = ? AND id = ? AND version = ? RETURNING 1"
        )
        stored: builtins.list[bool] = []
        with self._database.transaction() as connection:
            for new, seen in changes:
                values = (*_changing(new), seen.tenant, seen.name, seen.id, seen.version)
                stored.append(bool(connection.execute(sql, values).fetchall()))
        return stored

    def delete_if_unchanged(self, seen: Schedule) -> bool:
        """See `Schedules.delete_if_unchanged`."""
        sql = "DELETE FROM schedules WHERE tenant = ? AND name = ? AND id = ? AND version = ? RETURNING 1"
        return bool(self._database.rows(sql, (seen.tenant, seen.name, seen.id, seen.version)))

    def due(self, by: Ms, limit: int) -> Sequence[ScheduleKey]:
        """See `Schedules.due`."""
        sql = "SELECT tenant, name FROM schedules WHERE look_at <= ? ORDER BY look_at LIMIT ?"
        return [ScheduleKey(*row) for row in self._database.rows(sql, (by, limit))]

    def hold_of(self, tenant: str) -> Hold | None:
        """See `Schedules.hold_of`."""
        rows = self._database.rows("SELECT hold FROM schedule_holds WHERE tenant = ?", (tenant,))
        return hold_of(rows[0][0]) if rows else None

    def set_hold(self, tenant: str, hold: Hold | None) -> None:
        """See `Schedules.set_hold`."""
        if hold is None:
            self._database.rows("DELETE FROM schedule_holds WHERE tenant = ?", (tenant,))
            return
        sql = "INSERT INTO schedule_holds VALUES (?, ?) ON CONFLICT DO UPDATE SET hold = excluded.hold"
        self._database.rows(sql, (tenant, hold_text(hold)))


def _changing(schedule: Schedule) -> tuple[int, Ms | None, str, str]:
    return schedule.version, schedule.look_at, definition_of(schedule), state_of(schedule)
