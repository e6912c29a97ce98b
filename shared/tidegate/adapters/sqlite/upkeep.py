"""What maintenance asks of the jobs, on SQLite."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import TERMINAL, Job, Ms
from tidegate.ports import JobKey, JobQuery

from .codec import COLUMNS, job_of
from .database import Database
from .jobs import counting

MAX_COUNTED = 100_000
"""Jobs counted for one answer: some tens of milliseconds."""
_MARKS = ", ".join("?" * len(TERMINAL))


class SqliteUpkeep:
    """`Upkeep` on one file."""

    def __init__(self, database: Database, now: Callable[[], Ms]) -> None:
        self._database = database
        self._now = now

    def count(self, query: JobQuery) -> int | None:
        """See `Upkeep.count`. More than `MAX_COUNTED` are not counted."""
        sql, values = counting(replace(query, cursor=None), self._now(), MAX_COUNTED + 1)
        found = int(self._database.rows(sql, values)[0][0])
        return found if found <= MAX_COUNTED else None

    def erase_unchanged(self, jobs: Sequence[Job]) -> Sequence[bool]:
        """See `Upkeep.erase_unchanged`."""
        sql = (
            f"DELETE FROM jobs WHERE tenant = ? AND id = ? AND state IN ({_MARKS}) AND attempt = ? AND updated_at = ? "
            "RETURNING 1"
        )
        with self._database.transaction() as connection:
            rows = ((job.tenant, job.id, *TERMINAL, job.attempt, job.updated_at) for job in jobs)
            return [bool(connection.execute(sql, row).fetchall()) for row in rows]

    def outlived(self, by: Ms, limit: int) -> Sequence[Job]:
        """See `Upkeep.outlived`."""
        sql = (
            f"SELECT {COLUMNS} FROM jobs INDEXED BY jobs_outlived "
            "WHERE keep_until <= ? AND completed_at IS NOT NULL ORDER BY keep_until LIMIT ?"
        )
        return [job_of(row) for row in self._database.rows(sql, (by, limit))]

    def running(self, tenant: str, started_before: Ms, limit: int) -> Sequence[Job]:
        """See `Upkeep.running`."""
        sql = (
            f"SELECT {COLUMNS} FROM jobs INDEXED BY jobs_active "
            "WHERE tenant = ? AND state = 'ACTIVE' AND started_at < ? ORDER BY started_at, seq LIMIT ?"
        )
        return [job_of(row) for row in self._database.rows(sql, (tenant, started_before, limit))]

    def forget(self, keys: Sequence[JobKey]) -> None:
        """See `Upkeep.forget`: a deleted row leaves nothing behind."""

    def walk(self, after: str | None, limit: int) -> tuple[Sequence[Job], str | None]:
        """See `Upkeep.walk`."""
        if after is not None and not (after.isascii() and after.isdigit() and len(after) < 19):
            raise InvalidInput.field("after", "must be one that `walk` answered")
        sql = f"SELECT seq, {COLUMNS} FROM jobs WHERE seq > ? ORDER BY seq LIMIT ?"
        rows = self._database.rows(sql, (int(after or 0), limit))
        return [job_of(row[1:]) for row in rows], str(rows[-1][0]) if len(rows) == limit else None
