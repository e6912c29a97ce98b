"""The secrets of webhooks: pk `{tenant}#webhooks`, sk the queue's name in the registry table say where each is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tidegate.domain.webhook import WebhookSecret

from .attributes import Item
from .expressions import UNUSED, Placeholders
from .keys import Key
from .parameters import Parameters
from .tables import Table, place


class DynamoWebhookSecrets:
    """`WebhookSecrets`: the table decides which secret is the current one, the Parameter Store keeps it.

    A process that dies in between leaves a parameter that nothing names.
    """

    def __init__(self, table: Table, parameters: Parameters) -> None:
        self._table, self._parameters = table, parameters

    def get(self, tenant: str, queue: str) -> WebhookSecret | None:
        """See `WebhookSecrets.get`."""
        item = self._table.get(_key(tenant, queue))
        return None if item is None else self._secret(item)

    def put_if_unchanged(self, secret: WebhookSecret, seen: WebhookSecret | None) -> bool:
        """See `WebhookSecrets.put_if_unchanged`."""
        item = self._table.get(_key(secret.tenant, secret.queue))
        if (None if item is None else self._secret(item)) != seen:
            return False
        name = self._parameters.keep(json.dumps(asdict(secret)))
        stored = self._point_to(name, secret, item)
        outdated = name if not stored else None if item is None else _name(item)
        if outdated is not None:
            self._parameters.forget(outdated)
        return stored

    def _point_to(self, name: str, secret: WebhookSecret, seen: Item | None) -> bool:
        item = {**place(_key(secret.tenant, secret.queue)), "parameter": {"S": name}}
        refused = self._table.put(item, **({"ConditionExpression": UNUSED} if seen is None else _still(seen)))
        return refused is None or (refused.retried and refused.image is not None and _name(refused.image) == name)

    def _secret(self, item: Item) -> WebhookSecret:
        return WebhookSecret(**json.loads(self._parameters.read(_name(item))))


def _name(item: Item) -> str:
    return str(item["parameter"]["S"])


def _still(seen: Item) -> Mapping[str, Any]:
    marks = Placeholders()
    return {"ConditionExpression": f"{marks.name('parameter')} = {marks.text(_name(seen))}", **marks.arguments()}


def _key(tenant: str, queue: str) -> Key:
    return f"{tenant}#webhooks", queue
