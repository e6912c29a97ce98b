"""The job store on SQLite. Each guarded write is one UPDATE whose WHERE is the guard."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tidegate.domain.guard import GuardedWrite, Outcome
from tidegate.domain.job import RESTARTABLE, TERMINAL, Job, Ms, State
from tidegate.domain.ticket import Lane
from tidegate.domain.uniqueness import takes_key
from tidegate.ports import Glimpse, JobKey, JobPage, JobQuery, Ready

from .codec import COLUMNS, compact, job_of
from .cursors import cursor_of, position_of
from .database import Database
from .job_writes import insert_of, update_of
from .unique_keys import blocker, take

_SELECT = f"SELECT {COLUMNS} FROM jobs WHERE tenant = ? AND id = ?"
_KEPT = "(keep_until IS NULL OR keep_until > ? OR completed_at IS NULL)"
_GLIMPSE = "SELECT id, state, broken FROM jobs WHERE tenant = ? AND id IN (SELECT value FROM json_each(?)) AND " + _KEPT
_DELETE_UNKEPT = f"DELETE FROM jobs WHERE tenant = ? AND id = ? AND NOT {_KEPT}"
_SHELVED = RESTARTABLE | {State.SKIPPED}


class SqliteJobs:
    """`JobStore` on one file; its index never lags."""

    def __init__(self, database: Database, now: Callable[[], Ms]) -> None:
        self._database = database
        self._now = now

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        """See `JobStore.create`."""
        now = self._now()
        with self._database.transaction() as connection:
            return [_create(connection, job, now) for job in jobs]

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        """See `JobStore.get`."""
        now = self._now()
        found = (self._database.rows(f"{_SELECT} AND {_KEPT}", (*key, now)) for key in keys)
        return [job_of(rows[0]) if rows else None for rows in found]

    def glimpse(self, keys: Sequence[JobKey]) -> Sequence[Glimpse | None]:
        """See `JobStore.glimpse`."""
        ids: defaultdict[str, list[str]] = defaultdict(list)
        for tenant, job_id in keys:
            ids[tenant].append(job_id)
        found: dict[tuple[str, str], Glimpse] = {}
        for tenant, of_tenant in ids.items():
            for job_id, state, broken in self._database.rows(_GLIMPSE, (tenant, compact(of_tenant), self._now())):
                found[tenant, job_id] = Glimpse(State(state), bool(broken))
        return [found.get(key) for key in keys]

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        """See `JobStore.apply`."""
        if len(writes) == 1:
            return [self._apply(writes[0])]
        with self._database.transaction():
            return [self._apply(write) for write in writes]

    def _apply(self, write: GuardedWrite) -> Outcome:
        if not write.takes_key:
            return self._update(write)
        with self._database.transaction() as connection:
            rows = connection.execute(_SELECT, (write.tenant, write.job_id)).fetchall()
            if rows and blocker(connection, job_of(rows[0]), self._now()) is not None:
                return Outcome(False, job_of(rows[0]))
            outcome = self._update(write)
            if outcome.applied and outcome.job is not None:
                take(connection, outcome.job)
            return outcome

    def _update(self, write: GuardedWrite) -> Outcome:
        rows = self._database.rows(*update_of(write))
        if rows:
            return Outcome(True, job_of(rows[0]))
        rows = self._database.rows(_SELECT, (write.tenant, write.job_id))
        return Outcome(False, job_of(rows[0]) if rows else None)

    def head(
        self, lane: Lane, limit: int, from_rank: int = 0, names: Collection[str] = (), keys: range | None = None
    ) -> Sequence[Ready]:
        """See `JobStore.head`."""
        if keys is not None and 0 not in keys:
            return []
        named = f"AND name IN ({', '.join('?' * len(names))}) " if names else ""
        sql = (
            "SELECT place_order, id FROM jobs WHERE place = 'ready' AND tenant = ? AND queue = ? AND place_order >= ? "
            f"{named}ORDER BY place_order, seq LIMIT ?"
        )
        return [Ready(*row) for row in self._database.rows(sql, (*lane, from_rank, *names, limit))]

    def parked(self, lane: Lane, key: str, limit: int) -> Sequence[Ready]:
        """See `JobStore.parked`."""
        sql = (
            "SELECT place_order, id FROM jobs WHERE place = 'parked' AND tenant = ? AND queue = ? "
            "AND concurrency_key = ? ORDER BY place_order, seq LIMIT ?"
        )
        return [Ready(*row) for row in self._database.rows(sql, (*lane, key, limit))]

    def due(self, by: Ms, limit: int) -> Sequence[JobKey]:
        """See `JobStore.due`."""
        sql = "SELECT tenant, id FROM jobs WHERE place = 'due' AND place_order <= ? ORDER BY place_order, seq LIMIT ?"
        return [JobKey(*row) for row in self._database.rows(sql, (by, limit))]

    def page(self, query: JobQuery) -> JobPage:
        """See `JobStore.page`."""
        where, values = _where(query, self._now())
        index = _index_for(query)
        sql = f"SELECT seq, {COLUMNS} FROM jobs INDEXED BY {index} WHERE {where} ORDER BY seq DESC LIMIT ?"
        rows = self._database.rows(sql, (*values, query.limit + 1))
        more = len(rows) > query.limit
        shown = rows[: query.limit]
        return JobPage([job_of(row[1:]) for row in shown], cursor_of(shown[-1][0]) if more else None)

    def erase_if_ended(self, key: JobKey) -> bool:
        """See `JobStore.erase_if_ended`."""
        sql = f"DELETE FROM jobs WHERE tenant = ? AND id = ? AND state IN ({_marks(TERMINAL)}) RETURNING seq"
        return bool(self._database.rows(sql, (*key, *TERMINAL)))


def counting(query: JobQuery, now: Ms, most: int) -> tuple[str, list[Any]]:
    """The statement that counts the jobs of a query, up to `most`, and its values."""
    where, values = _where(query, now)
    sql = f"SELECT COUNT(*) FROM (SELECT 1 FROM jobs INDEXED BY {_index_for(query)} WHERE {where} LIMIT ?)"
    return sql, [*values, most]


def _create(connection: sqlite3.Connection, job: Job, now: Ms) -> Job | None:
    if takes_key(job) and (other := blocker(connection, job, now)) is not None:
        same = connection.execute(f"{_SELECT} AND {_KEPT}", (job.tenant, job.id, now)).fetchone()
        return job_of(same) if same else other
    existing = _insert(connection, job, now)
    if existing is None and takes_key(job):
        take(connection, job)
    return existing


def _insert(connection: sqlite3.Connection, job: Job, now: Ms) -> Job | None:
    insert = insert_of(job)
    if connection.execute(*insert).rowcount:
        return None
    connection.execute(_DELETE_UNKEPT, (job.tenant, job.id, now))
    if connection.execute(*insert).rowcount:
        return None
    return job_of(connection.execute(_SELECT, (job.tenant, job.id)).fetchone())


def _index_for(query: JobQuery) -> str:
    """The index that holds the fewest jobs besides those asked for, each already newest first."""
    if query.dag_id is not None:
        return "jobs_dag"
    if query.states == {State.ACTIVE}:
        return "jobs_active"
    return "jobs_shelf" if len(query.states) == 1 and query.states <= _SHELVED else "jobs_tenant"


def _where(query: JobQuery, now: Ms) -> tuple[str, list[Any]]:
    parts, values = ["tenant = ?", _KEPT], list[Any]([query.tenant, now])
    for condition, value in (
        ("queue = ?", query.queue),
        ("name = ?", query.name),
        ("owner = ?", query.owner),
        ("dag_id = ?", query.dag_id),
        ("created_at >= ?", query.created_from),
        ("created_at < ?", query.created_to),
        ("completed_at < ?", query.ended_before),
        ("EXISTS (SELECT 1 FROM json_each(jobs.tags) WHERE value = ?)", query.tag),
        ("seq < ?", None if query.cursor is None else position_of(query.cursor)),
    ):
        if value is not None:
            parts.append(condition)
            values.append(value)
    for key, value in query.metadata.items():
        parts.append("EXISTS (SELECT 1 FROM json_each(jobs.metadata) AS pair WHERE pair.key = ? AND pair.value = ?)")
        values += [key, value]
    if query.states:
        parts.append(f"state IN ({_marks(query.states)})")
        values += sorted(query.states)
        if query.states <= _SHELVED:
            parts.append("place = 'shelf'")
        if query.states == {State.ACTIVE}:
            parts.append("state = 'ACTIVE'")
    return " AND ".join(parts), values


def _marks(values: frozenset[State]) -> str:
    return ", ".join("?" * len(values))
