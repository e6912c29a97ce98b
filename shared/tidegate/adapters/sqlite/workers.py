"""Who works, on SQLite."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.adapters.workers import KEPT_SECONDS, dump, load
from tidegate.domain.job import Ms
from tidegate.ports import Worker

from .database import Database


class SqliteWorkers:
    """`Workers` on one file. Whoever puts an entry also sweeps away the old ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, worker: Worker) -> None:
        """See `Workers.put`."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM workers WHERE seen_at <= ?", (worker.seen_at - KEPT_SECONDS * 1000,))
            connection.execute(
                "INSERT INTO workers VALUES (?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET seen_at = excluded.seen_at, worker = excluded.worker",
                (worker.tenant, worker.id, worker.seen_at, dump(worker)),
            )

    def list(self, seen_from: Ms) -> Sequence[Worker]:
        """See `Workers.list`."""
        rows = self._database.rows("SELECT worker FROM workers WHERE seen_at >= ? ORDER BY tenant, id", (seen_from,))
        return [load(row[0]) for row in rows]
