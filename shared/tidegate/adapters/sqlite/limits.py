"""Limits of queues on SQLite: slots, rates and sizes. What is looked at and what is written is one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from tidegate.domain.job import Ms
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane
from tidegate.ports import Grant, Holding, backlog_series

from .database import Database

_THE = "tenant = ? AND queue = ? AND key = ?"


class SqliteSlots:
    """`Slots` on one file: a row for each holder, and one for each semaphore that was ever held."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire_if_free(self, semaphore: Semaphore, holder: str, limit: int) -> Grant:
        """See `Slots.acquire_if_free`."""
        with self._database.transaction() as connection:
            found = _holding(connection, semaphore)
            if holder in found.holders:
                return Grant(True, found)
            if len(found.holders) >= limit:
                return Grant(False, found)
            connection.execute("INSERT INTO semaphores VALUES (?, ?, ?, NULL) ON CONFLICT DO NOTHING", _row(semaphore))
            connection.execute("INSERT INTO slots VALUES (?, ?, ?, ?)", (*_row(semaphore), holder))
            return Grant(True, Holding(semaphore, found.holders | {holder}, found.waiting))

    def release(self, semaphore: Semaphore, holder: str) -> Holding | None:
        """See `Slots.release`."""
        sql = f"DELETE FROM slots WHERE {_THE} AND holder = ? RETURNING 1"
        with self._database.transaction() as connection:
            had = connection.execute(sql, (*_row(semaphore), holder)).fetchall()
            return _holding(connection, semaphore) if had else None

    def get(self, semaphore: Semaphore) -> Holding:
        """See `Slots.get`."""
        with self._database.transaction() as connection:
            return _holding(connection, semaphore)

    def expect(self, semaphore: Semaphore, job_id: str) -> None:
        """See `Slots.expect`."""
        sql = "INSERT INTO semaphores VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET waiting = excluded.waiting"
        self._database.rows(sql, (*_row(semaphore), job_id))

    def of_lane(self, lane: Lane, limit: int) -> Sequence[Holding]:
        """See `Slots.of_lane`."""
        sql = "SELECT tenant, queue, key FROM semaphores WHERE tenant = ? AND queue = ? ORDER BY key LIMIT ?"
        return self._holdings(sql, (*lane, limit))

    def all(self, after: Semaphore | None, limit: int) -> Sequence[Holding]:
        """See `Slots.all`."""
        start = ("", "", "") if after is None else _row(after)
        sql = (
            "SELECT tenant, queue, key FROM semaphores WHERE (tenant, queue, key) > (?, ?, ?) "
            "ORDER BY tenant, queue, key LIMIT ?"
        )
        return self._holdings(sql, (*start, limit))

    def tidy(self, seen: Holding) -> None:
        """See `Slots.tidy`."""
        with self._database.transaction() as connection:
            if _holding(connection, seen.semaphore) != seen:
                return
            if seen.holders:
                connection.execute(f"UPDATE semaphores SET waiting = NULL WHERE {_THE}", _row(seen.semaphore))
            else:
                connection.execute(f"DELETE FROM semaphores WHERE {_THE}", _row(seen.semaphore))

    def _holdings(self, sql: str, parameters: Sequence[object]) -> list[Holding]:
        with self._database.transaction() as connection:
            rows = connection.execute(sql, parameters).fetchall()
            return [_holding(connection, Semaphore(Lane(tenant, queue), key)) for tenant, queue, key in rows]


class SqliteRates:
    """`Rates` on one file, which remembers the last window of each lane."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take_if_left(self, lane: Lane, window: Ms, limit: int) -> bool:
        """See `Rates.take_if_left`."""
        sql = (
            "INSERT INTO rates VALUES (?, ?, ?, 1) ON CONFLICT DO UPDATE SET "
            'starts = CASE WHEN "window" = excluded."window" THEN starts + 1 ELSE 1 END, "window" = excluded."window" '
            'WHERE "window" < excluded."window" OR ("window" = excluded."window" AND starts < ?) RETURNING 1'
        )
        return bool(self._database.rows(sql, (*lane, window, limit)))

    def give_back(self, lane: Lane, window: Ms) -> None:
        """See `Rates.give_back`."""
        sql = 'UPDATE rates SET starts = starts - 1 WHERE tenant = ? AND queue = ? AND "window" = ? AND starts > 0'
        self._database.rows(sql, (*lane, window))

    def taken(self, lane: Lane, window: Ms) -> int:
        """See `Rates.taken`."""
        sql = 'SELECT starts FROM rates WHERE tenant = ? AND queue = ? AND "window" = ?'
        rows = self._database.rows(sql, (*lane, window))
        return int(rows[0][0]) if rows else 0


class SqliteBacklogs:
    """`Backlogs` on one file: figures, to which the change feed adds as well."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def admit_if_room(self, lane: Lane, count: int, limit: int, now: Ms) -> int:
        """See `Backlogs.admit_if_room`."""
        with self._database.transaction() as connection:
            admitted = max(0, min(count, limit - _figures(connection, lane).get("size", 0)))
            if admitted:
                _add(connection, lane, size=admitted, pending=admitted)
                _set(connection, lane, admitted_at=now)
            return admitted

    def withdraw(self, lane: Lane, count: int) -> None:
        """See `Backlogs.withdraw`."""
        with self._database.transaction() as connection:
            _add(connection, lane, size=-count, pending=-count)

    def size(self, lane: Lane) -> int:
        """See `Backlogs.size`."""
        with self._database.transaction() as connection:
            return _figures(connection, lane).get("size", 0)

    def correct(self, lane: Lane, before: Ms) -> int:
        """See `Backlogs.correct`."""
        with self._database.transaction() as connection:
            found = _figures(connection, lane)
            pending = found.get("pending", 0)
            if not pending or found.get("admitted_at", 0) >= before:
                return 0
            _add(connection, lane, size=-pending, pending=-pending)
            return pending


def _row(semaphore: Semaphore) -> tuple[str, str, str]:
    return (*semaphore.lane, semaphore.key)


def _holding(connection: sqlite3.Connection, semaphore: Semaphore) -> Holding:
    row = _row(semaphore)
    holders = connection.execute(f"SELECT holder FROM slots WHERE {_THE}", row).fetchall()
    waiting = connection.execute(f"SELECT waiting FROM semaphores WHERE {_THE}", row).fetchone()
    return Holding(semaphore, frozenset(each[0] for each in holders), waiting[0] if waiting else None)


def _figures(connection: sqlite3.Connection, lane: Lane) -> dict[str, int]:
    sql = "SELECT field, amount FROM figures WHERE tenant = ? AND series = ?"
    return dict(connection.execute(sql, (lane.tenant, backlog_series(lane))).fetchall())


def _add(connection: sqlite3.Connection, lane: Lane, **amounts: int) -> None:
    sql = "INSERT INTO figures VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount"
    connection.executemany(sql, [(lane.tenant, backlog_series(lane), name, n) for name, n in amounts.items()])


def _set(connection: sqlite3.Connection, lane: Lane, **values: int) -> None:
    sql = "INSERT INTO figures VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = excluded.amount"
    connection.executemany(sql, [(lane.tenant, backlog_series(lane), name, n) for name, n in values.items()])
