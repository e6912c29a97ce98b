"""Definitions on SQLite: one row for each version."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from tidegate.domain.definition import Definition

from .codec import compact
from .database import Database


class SqliteDefinitions:
    """`Definitions` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, name: str, version: int | None = None) -> Definition | None:
        """See `Definitions.get`."""
        which, values = ("", ()) if version is None else ("AND version = ? ", (version,))
        sql = f"SELECT definition FROM definitions WHERE tenant = ? AND name = ? {which}ORDER BY version DESC LIMIT 1"
        rows = self._database.rows(sql, (tenant, name, *values))
        return Definition(**json.loads(rows[0][0])) if rows else None

    def list(self, tenant: str) -> Sequence[Definition]:
        """See `Definitions.list`."""
        sql = (
            "SELECT definition FROM definitions AS own WHERE tenant = ? AND version = "
            "(SELECT MAX(version) FROM definitions WHERE tenant = own.tenant AND name = own.name) ORDER BY name"
        )
        return [Definition(**json.loads(row[0])) for row in self._database.rows(sql, (tenant,))]

    def add(self, definition: Definition) -> bool:
        """See `Definitions.add`."""
        row = (definition.tenant, definition.name, definition.version, compact(asdict(definition)))
        sql = (
            "INSERT INTO definitions SELECT ?, ?, ?, ? WHERE ? = "
            "(SELECT COALESCE(MAX(version), 0) FROM definitions WHERE tenant = ? AND name = ?) RETURNING 1"
        )
        return bool(self._database.rows(sql, (*row, definition.version - 1, definition.tenant, definition.name)))
