"""What the webhooks of each queue are signed with: made when first asked for, replaced on demand."""

from __future__ import annotations

import secrets
from dataclasses import replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Conflict, Unavailable
from tidegate.domain.webhook import SECRET_BYTES, WebhookSecret, secret_of
from tidegate.ports import Ports

from .audit import Act
from .policies import queue_named

_TRIES = 5


def webhook_secret(ports: Ports, tenant: str, queue: str) -> WebhookSecret:
    """What messages about the queue's jobs are signed with; made when first asked for."""
    for _ in range(_TRIES):
        found = ports.webhook_secrets.get(tenant, queue)
        if found is not None:
            return found
        fresh = WebhookSecret(tenant=tenant, queue=queue, current=_fresh(), rotated_at=ports.now())
        if ports.webhook_secrets.put_if_unchanged(fresh, None):
            return fresh
    raise Unavailable("the webhook's secret keeps changing")


def get_secret(ports: Ports, caller: Caller, queue: str) -> WebhookSecret:
    """The secret of a queue's webhooks. Raises NotFound when there is no such queue."""
    caller.require(Scope.OPERATE)
    queue_named(ports, caller.tenant, queue)
    return webhook_secret(ports, caller.tenant, queue)


def rotate_secret(ports: Ports, caller: Caller, queue: str) -> WebhookSecret:
    """Replace the secret; messages are signed with both for a day. Raises NotFound, Conflict."""
    caller.require(Scope.OPERATE)
    queue_named(ports, caller.tenant, queue)
    act = Act(ports, caller, "webhook.rotate", queue)
    for _ in range(_TRIES):
        seen = webhook_secret(ports, caller.tenant, queue)
        fresh = replace(seen, current=_fresh(), previous=seen.current, rotated_at=ports.now())
        act.note()
        if ports.webhook_secrets.put_if_unchanged(fresh, seen):
            return fresh
    raise Conflict(f"the secret of queue '{queue}' is being changed by someone else", queue=queue)


def _fresh() -> str:
    return secret_of(secrets.token_bytes(SECRET_BYTES))
