"""The one place where the manager keeps and reads job logs: a small file beside the home's own."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tidegate.domain.errors import Unavailable

from .job import log_time

_SCHEMA = """
CREATE TABLE IF NOT EXISTS job_logs (
    log_id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, at INTEGER NOT NULL, level TEXT NOT NULL, message TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS job_logs_job ON job_logs (job_id, log_id);
"""


class LogFile:
    """Lines of all jobs of a folder. Safe to share between threads and processes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def append(self, job_id: str, at: int, level: str, message: str) -> None:
        """Keep a line; it is on disk when this returns."""
        with self._opened() as connection, connection:
            row = (job_id, at, level, message)
            connection.execute("INSERT INTO job_logs (job_id, at, level, message) VALUES (?, ?, ?, ?)", row)

    def read(self, job_id: str) -> Sequence[Mapping[str, Any]]:
        """The job's lines, oldest first."""
        sql = "SELECT log_id, job_id, at, level, message FROM job_logs WHERE job_id = ? ORDER BY log_id"
        with self._opened() as connection:
            rows = connection.execute(sql, (job_id,)).fetchall()
        names = ("log_id", "job_id", "timestamp", "level", "message")
        return [dict(zip(names, (log_id, of, log_time(at), *rest), strict=True)) for log_id, of, at, *rest in rows]

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._connection is None:
                    self._connection = sqlite3.connect(self._path, timeout=10.0, check_same_thread=False)
                    self._connection.execute("PRAGMA journal_mode = WAL")
                    self._connection.executescript(_SCHEMA)
                yield self._connection
            except sqlite3.OperationalError as error:
                raise Unavailable(f"the log cannot be used: {error}") from error
