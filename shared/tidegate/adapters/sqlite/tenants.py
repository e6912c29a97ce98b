"""Limits of tenants on SQLite, and how much of their rate is used up."""

from __future__ import annotations

import json
from dataclasses import asdict

from tidegate.domain.bucket import Bucket
from tidegate.domain.job import Ms
from tidegate.domain.tenant import Tenant
from tidegate.ports import Admitted

from .codec import compact
from .database import Database


class SqliteTenants:
    """`Tenants` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str) -> Tenant | None:
        """See `Tenants.get`."""
        rows = self._database.rows("SELECT limits FROM tenants WHERE name = ?", (name,))
        return Tenant(**json.loads(rows[0][0])) if rows else None

    def put_if_unchanged(self, tenant: Tenant, seen: Tenant | None) -> bool:
        """See `Tenants.put_if_unchanged`."""
        row = (tenant.version, compact(asdict(tenant)))
        if seen is None:
            sql = "INSERT INTO tenants (version, limits, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
            return bool(self._database.rows(sql, (*row, tenant.name)))
        sql = "UPDATE tenants SET version = ?, limits = ? WHERE name = ? AND version = ? RETURNING 1"
        return bool(self._database.rows(sql, (*row, tenant.name, seen.version)))

    def admit(self, name: str, bucket: Bucket, wanted: int, now: Ms) -> Admitted:
        """See `Tenants.admit`."""
        with self._database.transaction() as connection:
            row = connection.execute("SELECT full_at FROM buckets WHERE tenant = ?", (name,)).fetchone()
            full_at = int(row[0]) if row else 0
            count = min(wanted, bucket.room(full_at, now))
            if count:
                full_at = bucket.after(full_at, now, count)
                sql = "INSERT INTO buckets VALUES (?, ?) ON CONFLICT DO UPDATE SET full_at = excluded.full_at"
                connection.execute(sql, (name, full_at))
            return Admitted(count, full_at)
