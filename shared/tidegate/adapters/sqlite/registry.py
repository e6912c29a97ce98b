"""Queues, lanes, timers, figures and tokens on SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache

from tidegate.domain.job import HardMiss, Ms
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Addition, Timer, Token

from .codec import compact
from .database import Database


class SqliteQueues:
    """`Queues` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, name: str) -> Queue | None:
        """See `Queues.get`."""
        rows = self._database.rows("SELECT policy FROM queues WHERE tenant = ? AND name = ?", (tenant, name))
        return _queue(rows[0][0]) if rows else None

    def list(self, tenant: str) -> Sequence[Queue]:
        """See `Queues.list`."""
        rows = self._database.rows("SELECT policy FROM queues WHERE tenant = ? ORDER BY name", (tenant,))
        return [_queue(row[0]) for row in rows]

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """See `Queues.put_if_unchanged`."""
        key, policy = (queue.tenant, queue.name), compact(asdict(queue))
        if seen is None:
            sql = "INSERT INTO queues (tenant, name, policy) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
            return bool(self._database.rows(sql, (*key, policy)))
        sql = "UPDATE queues SET policy = ? WHERE tenant = ? AND name = ? AND policy = ? RETURNING 1"
        return bool(self._database.rows(sql, (policy, *key, compact(asdict(seen)))))


class SqliteLanes:
    """`Lanes` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._touched: dict[Lane, Ms] = {}

    def touch(self, lane: Lane, now: Ms) -> None:
        """See `Lanes.touch`."""
        if now - self._touched.get(lane, 0) < _TOUCH_EVERY_MS:
            return
        sql = "INSERT INTO lanes VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET touched_at = excluded.touched_at"
        self._database.rows(sql, (*lane, now))
        if len(self._touched) >= _REMEMBERED:
            self._touched.clear()
        self._touched[lane] = now

    def all(self) -> Sequence[tuple[Lane, Ms]]:
        """See `Lanes.all`."""
        rows = self._database.rows("SELECT tenant, queue, touched_at FROM lanes")
        return [(Lane(tenant, queue), touched) for tenant, queue, touched in rows]

    def drop_if_untouched(self, lane: Lane, seen: Ms) -> None:
        """See `Lanes.drop_if_untouched`."""
        self._database.rows("DELETE FROM lanes WHERE tenant = ? AND queue = ? AND touched_at = ?", (*lane, seen))


_TOUCH_EVERY_MS = 3_600_000
_REMEMBERED = 10_000


class SqliteTimers:
    """`Timers` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def set(self, timers: Sequence[Timer]) -> None:
        """See `Timers.set`."""
        self._database.many("INSERT INTO timers VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", _rows(timers))

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """See `Timers.due`."""
        sql = "SELECT at, tenant, job_id, attempt FROM timers WHERE at <= ? ORDER BY at LIMIT ?"
        return [Timer(*row) for row in self._database.rows(sql, (by, limit))]

    def clear(self, timers: Sequence[Timer]) -> None:
        """See `Timers.clear`."""
        sql = "DELETE FROM timers WHERE at = ? AND tenant = ? AND job_id = ? AND attempt = ?"
        self._database.many(sql, _rows(timers))


class SqliteFigures:
    """`Figures` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        """See `Figures.add_once`."""
        rows = [(each.tenant, each.series, name, n) for each in additions for name, n in each.amounts.items()]
        firsts = [(each.tenant, each.series, name, n) for each in additions for name, n in each.first.items()]
        with self._database.transaction() as connection:
            if not connection.execute(
                "INSERT INTO batches VALUES (?) ON CONFLICT DO NOTHING RETURNING 1", (batch,)
            ).fetchall():
                return False
            connection.executemany(
                "INSERT INTO figures VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
                rows,
            )
            connection.executemany("INSERT INTO figures VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", firsts)
            return True

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        """See `Figures.read`."""
        sql = "SELECT field, amount FROM figures WHERE tenant = ? AND series = ? AND amount <> 0"
        return dict(self._database.rows(sql, (tenant, series)))

    def drop(self, tenant: str, series: str) -> None:
        """See `Figures.drop`."""
        self._database.rows("DELETE FROM figures WHERE tenant = ? AND series = ?", (tenant, series))

    def between(self, tenant: str, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """See `Figures.between`."""
        sql = (
            "SELECT series, field, amount FROM figures WHERE tenant = ? AND series BETWEEN ? AND ? AND amount <> 0 "
            "ORDER BY series"
        )
        found: dict[str, dict[str, int]] = {}
        for series, field, amount in self._database.rows(sql, (tenant, first, last)):
            found.setdefault(series, {})[field] = amount
        return found


class SqliteTokens:
    """`Tokens` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, token_id: str) -> Token | None:
        """See `Tokens.get`."""
        rows = self._database.rows("SELECT token FROM tokens WHERE id = ?", (token_id,))
        return _token(rows[0][0]) if rows else None

    def put(self, token: Token) -> None:
        """See `Tokens.put`."""
        text = compact({**asdict(token), "scopes": sorted(token.scopes)})
        sql = "INSERT INTO tokens VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET token = excluded.token"
        self._database.rows(sql, (token.id, token.tenant, token.created_at, text))

    def note_use(self, token_id: str, now: Ms) -> None:
        """See `Tokens.note_use`."""
        sql = "UPDATE tokens SET token = json_set(token, '$.last_used_at', ?) WHERE id = ?"
        self._database.rows(sql, (now, token_id))

    def list(self, tenant: str) -> Sequence[Token]:
        """See `Tokens.list`."""
        rows = self._database.rows("SELECT token FROM tokens WHERE tenant = ? ORDER BY created_at, id", (tenant,))
        return [_token(row[0]) for row in rows]


def _queue(policy: str) -> Queue:
    values = json.loads(policy)
    enums = {"ordering": Ordering(values["ordering"]), "on_hard_miss": HardMiss(values["on_hard_miss"])}
    return Queue(**{**values, **enums})


@lru_cache(_REMEMBERED)
def _token(text: str) -> Token:
    values = json.loads(text)
    return Token(**{**values, "scopes": frozenset(values["scopes"])})


def _rows(timers: Sequence[Timer]) -> list[tuple[Ms, str, str, int]]:
    return [(timer.at, timer.tenant, timer.job_id, timer.attempt) for timer in timers]
