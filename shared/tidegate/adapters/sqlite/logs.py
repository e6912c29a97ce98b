"""Job logs on SQLite: a row is a chunk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tidegate.domain.job import Ms
from tidegate.domain.logs import Level, LogChunk, LogLine, LogOf, LogPlace, LogUsage

from .codec import compact
from .database import Database

_COLUMNS = "attempt, number, lines, blob, total_lines, total_size, overflows"
_OF = "tenant = ? AND job_id = ? AND created_at = ?"


class SqliteLogs:
    """`Logs` on one file. A job that goes takes its log with it, by a trigger, however it goes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> None:
        """See `Logs.append`. The job's own end of life is the log's."""
        self.append_if_free(log, chunk, keep_until)

    def append_if_free(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> bool:  # noqa: ARG002
        """See `Logs.append_if_free`."""
        usage = chunk.usage
        lines = compact(chunk.lines) if chunk.blob is None else None
        sql = f"INSERT INTO logs (tenant, job_id, created_at, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        row = (*log, *chunk.place, lines, chunk.blob, usage.lines, usage.size, usage.overflows)
        return bool(self._database.rows(f"{sql} ON CONFLICT DO NOTHING RETURNING number", row))

    def read(self, log: LogOf, after: LogPlace | None, limit: int) -> Sequence[LogChunk]:
        """See `Logs.read`."""
        sql = f"SELECT {_COLUMNS} FROM logs WHERE {_OF} AND (attempt, number) > (?, ?) ORDER BY attempt, number LIMIT ?"
        return [_chunk(*row) for row in self._database.rows(sql, (*log, *(after or (0, 0)), limit))]

    def last(self, log: LogOf) -> LogChunk | None:
        """See `Logs.last`."""
        sql = f"SELECT {_COLUMNS} FROM logs WHERE {_OF} ORDER BY attempt DESC, number DESC LIMIT 1"
        rows = self._database.rows(sql, log)
        return _chunk(*rows[0]) if rows else None

    def erase(self, tenant: str, job_id: str) -> None:
        """See `Logs.erase`."""
        self._database.rows("DELETE FROM logs WHERE tenant = ? AND job_id = ?", (tenant, job_id))


def _chunk(
    attempt: int, number: int, lines: str | None, blob: str | None, total: int, size: int, overflows: int
) -> LogChunk:
    found: list[list[Any]] = json.loads(lines) if lines is not None else []
    kept = tuple(LogLine(at, Level(level), message) for at, level, message in found)
    return LogChunk(LogPlace(attempt, number), kept, blob, LogUsage(total, size, overflows))
