"""The audit log on SQLite: a table that refuses to be changed, and the head of each tenant's chain."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tidegate.domain.audit import NONE, AuditEntry, Head

from .codec import compact
from .database import Database


class SqliteAudit:
    """`AuditLog` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def head(self, tenant: str) -> Head:
        """See `AuditLog.head`."""
        rows = self._database.rows("SELECT number, hash FROM audit_heads WHERE tenant = ?", (tenant,))
        return Head(*rows[0]) if rows else NONE

    def append_if_next(self, entry: AuditEntry) -> bool:
        """See `AuditLog.append_if_next`."""
        with self._database.transaction() as connection:
            if self.head(entry.tenant) != Head(entry.number - 1, entry.previous):
                return False
            values = (entry.tenant, entry.number, entry.hash, compact(asdict(entry)))
            connection.execute("INSERT INTO audit (tenant, number, hash, entry) VALUES (?, ?, ?, ?)", values)
            connection.execute(
                "INSERT INTO audit_heads VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET number = excluded.number, hash = excluded.hash",
                values[:3],
            )
            return True

    def read(self, tenant: str, after: int, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog.read`."""
        sql = "SELECT entry FROM audit WHERE tenant = ? AND number > ? ORDER BY number LIMIT ?"
        return [_entry(row) for row in self._database.rows(sql, (tenant, after, limit))]

    def read_back(self, tenant: str, before: int, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog.read_back`."""
        sql = "SELECT entry FROM audit WHERE tenant = ? AND number < ? ORDER BY number DESC LIMIT ?"
        return [_entry(row) for row in self._database.rows(sql, (tenant, before, limit))]


def _entry(row: tuple[Any, ...]) -> AuditEntry:
    return AuditEntry(**json.loads(row[0]))
