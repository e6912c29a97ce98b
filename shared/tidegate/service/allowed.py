"""What nobody but Tidegate itself may ask for in a job, wherever it is asked for."""

from __future__ import annotations

from tidegate.domain.errors import InvalidInput
from tidegate.domain.spec import JobSpec
from tidegate.domain.webhook import RESERVED_PREFIX, WEBHOOK_QUEUE, parse_target
from tidegate.ports import Ports


def check_allowed(ports: Ports, spec: JobSpec, within: str = "", *, built_in: bool = False) -> None:
    """Refuse a name and a queue that are Tidegate's own, and a webhook to where none may go.

    `within` is what the errors say before the field, such as `job.`; `built_in` that Tidegate itself gave the name.
    Raises InvalidInput.
    """
    if not built_in and spec.name.startswith(RESERVED_PREFIX):
        raise InvalidInput.field(f"{within}name", f"must not start with '{RESERVED_PREFIX}'")
    if spec.queue == WEBHOOK_QUEUE:
        raise InvalidInput.field(f"{within}queue", "is kept for the deliveries of webhooks")
    if spec.webhook is not None:
        parse_target(f"{within}webhook.url", spec.webhook["url"], development=ports.development)
