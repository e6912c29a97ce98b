"""The executor that delivers webhooks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.domain.errors import InvalidInput
from tidegate.domain.webhook import WEBHOOK_EXECUTOR, signatures
from tidegate.ports import Ports
from tidegate.service.webhook_secrets import webhook_secret

from .context import JobContext, PermanentError
from .registry import Executor

GONE = 410

Post = Callable[[str, bytes, Mapping[str, str]], int]
"""Sends a body to an address and answers the status; raises InvalidInput for an address that must not be called,
Unavailable when there was no answer."""


class NotAccepted(Exception):
    """The receiver did not take the message; it is sent again later."""


def webhook_executor(ports: Ports, post: Post) -> Executor:
    """The executor of deliveries: signs the message anew for each attempt and sends it."""

    def deliver(job: JobContext) -> Any:
        secret = webhook_secret(ports, job.tenant, job.data["queue"])
        now = ports.now()
        body = json.dumps(job.data["message"], separators=(",", ":"), ensure_ascii=False).encode()
        headers = {
            "content-type": "application/json",
            "user-agent": "Tidegate-Webhooks",
            "webhook-id": job.id,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": signatures(secret.at(now), job.id, now // 1000, body),
        }
        try:
            status = post(job.data["url"], body, headers)
        except InvalidInput as error:
            raise PermanentError(error.message) from error
        if status == GONE:
            raise PermanentError("the receiver answered 410: it wants no more messages")
        if not 200 <= status < 300:
            raise NotAccepted(f"the receiver answered {status}")
        return {"status": status}

    return Executor(WEBHOOK_EXECUTOR, deliver)
