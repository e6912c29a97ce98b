"""Unique keys on SQLite: which job each belongs to."""

from __future__ import annotations

import sqlite3

from tidegate.domain.job import Job, Ms
from tidegate.domain.ticket import Lane
from tidegate.domain.uniqueness import stands_in_way

from .codec import COLUMNS, job_of
from .database import Database

_OWNER = (
    f"SELECT {COLUMNS} FROM jobs WHERE tenant = ? AND id = "
    "(SELECT job_id FROM unique_keys WHERE tenant = ? AND queue = ? AND key = ?) "
    "AND (keep_until IS NULL OR keep_until > ? OR completed_at IS NULL)"
)
_TAKE = "INSERT INTO unique_keys VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET job_id = excluded.job_id"


class SqliteUniqueKeys:
    """`UniqueKeys` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def holder(self, lane: Lane, key: str) -> str | None:
        """See `UniqueKeys.holder`."""
        sql = "SELECT job_id FROM unique_keys WHERE tenant = ? AND queue = ? AND key = ?"
        rows = self._database.rows(sql, (*lane, key))
        return rows[0][0] if rows else None

    def drop_if_held(self, lane: Lane, key: str, job_id: str) -> None:
        """See `UniqueKeys.drop_if_held`."""
        sql = "DELETE FROM unique_keys WHERE tenant = ? AND queue = ? AND key = ? AND job_id = ?"
        self._database.rows(sql, (*lane, key, job_id))


def blocker(connection: sqlite3.Connection, job: Job, now: Ms) -> Job | None:
    """The job that stands in the way of `job` by its unique key, as the open transaction sees it."""
    row = connection.execute(_OWNER, (job.tenant, job.tenant, job.queue, job.unique_key, now)).fetchone()
    other = job_of(row) if row else None
    return other if other is not None and stands_in_way(job, other) else None


def take(connection: sqlite3.Connection, job: Job) -> None:
    """Give the unique key to `job`, in the open transaction."""
    connection.execute(_TAKE, (job.tenant, job.queue, job.unique_key, job.id))
