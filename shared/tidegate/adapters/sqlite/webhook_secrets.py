"""The secrets of webhooks on SQLite."""

from __future__ import annotations

import json
from dataclasses import asdict

from tidegate.domain.webhook import WebhookSecret

from .codec import compact
from .database import Database


class SqliteWebhookSecrets:
    """`WebhookSecrets` on one file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, tenant: str, queue: str) -> WebhookSecret | None:
        """See `WebhookSecrets.get`."""
        sql = "SELECT secret FROM webhook_secrets WHERE tenant = ? AND queue = ?"
        rows = self._database.rows(sql, (tenant, queue))
        return WebhookSecret(**json.loads(rows[0][0])) if rows else None

    def put_if_unchanged(self, secret: WebhookSecret, seen: WebhookSecret | None) -> bool:
        """See `WebhookSecrets.put_if_unchanged`."""
        key, text = (secret.tenant, secret.queue), compact(asdict(secret))
        if seen is None:
            sql = "INSERT INTO webhook_secrets VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
            return bool(self._database.rows(sql, (*key, text)))
        sql = "UPDATE webhook_secrets SET secret = ? WHERE tenant = ? AND queue = ? AND secret = ? RETURNING 1"
        return bool(self._database.rows(sql, (text, *key, compact(asdict(seen)))))
