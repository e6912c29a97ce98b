"""What the routes of webhooks answer."""

from __future__ import annotations

from pydantic import Field

from tidegate.domain.job import State

from .base import Answer, Status, Table, Time, Told


class Webhook(Answer):
    """An address that is told of changes; of every way to end unless it names its events."""

    url: str
    events: list[str] = Field(default=[])


class WebhookSecret(Told):
    """What the messages about a queue's jobs are signed with."""

    queue: str
    secret: str
    previous: str | None = Field(description="The one before, for a day after it was replaced.")
    rotated_at: Time


class Delivery(Answer):
    """A message to a webhook."""

    id: str = Field(description="The `webhook-id` of the message, and the id of the job that delivers it.")
    event: str
    url: str
    state: State
    status: Status
    attempt: int
    response_status: int | None
    error_message: str | None
    created_at: Time
    completed_at: Time | None
    next_attempt_at: Time | None


class DeliveryList(Told):
    """The messages about a job."""

    deliveries: list[Delivery]


ANSWERS: Table = {
    "get_webhook_secret": {200: WebhookSecret},
    "rotate_webhook_secret": {200: WebhookSecret},
    "list_deliveries": {200: DeliveryList},
}
