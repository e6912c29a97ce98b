"""The secrets of webhooks in the registry table: pk `{tenant}#webhooks`, sk the queue's name."""

from __future__ import annotations

from typing import Any

from tidegate.domain.webhook import WebhookSecret

from .attributes import Shape
from .expressions import UNUSED, Placeholders
from .keys import Key
from .tables import Table, place

_SECRET: Shape[WebhookSecret] = Shape(WebhookSecret, sparse=False)


class DynamoWebhookSecrets:
    """`WebhookSecrets` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, tenant: str, queue: str) -> WebhookSecret | None:
        """See `WebhookSecrets.get`."""
        item = self._table.get(_key(tenant, queue))
        return None if item is None else _SECRET.load(item)

    def put_if_unchanged(self, secret: WebhookSecret, seen: WebhookSecret | None) -> bool:
        """See `WebhookSecrets.put_if_unchanged`. Secrets are random, so the current one tells all states apart."""
        item = {**place(_key(secret.tenant, secret.queue)), **_SECRET.dump(secret)}
        refused = self._table.put(item, **({"ConditionExpression": UNUSED} if seen is None else _still(seen)))
        if refused is None:
            return True
        return refused.retried and refused.image is not None and _SECRET.load(refused.image) == secret


def _still(seen: WebhookSecret) -> dict[str, Any]:
    marks = Placeholders()
    return {"ConditionExpression": f"{marks.name('current')} = {marks.text(seen.current)}", **marks.arguments()}


def _key(tenant: str, queue: str) -> Key:
    return f"{tenant}#webhooks", queue
