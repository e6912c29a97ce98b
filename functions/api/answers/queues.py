"""What the routes of queues answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tidegate.domain.job import HardMiss
from tidegate.domain.priority import Ordering

from .base import Answer, Table, Time, Told
from .webhooks import Webhook


class QueueUse(Answer):
    """What is in use of a queue's limits, beside them. Null: there is no such limit, so nobody counts."""

    running: int | None = Field(description="Running jobs, of `slots`.")
    slots: int | None
    keys: dict[str, int] = Field(description="Running jobs by `concurrency_key`, up to 100 keys.")
    key_slots: int | None
    starts: int | None = Field(description="Starts in the present second or minute, of `rate_limit`.")
    rate_limit: int | None
    size: int | None = Field(description="Jobs accepted and not yet started, of `max_queue_size`; a second late.")
    max_queue_size: int | None


class Queue(Answer):
    """A queue's policy. Durations are seconds."""

    name: str
    pool: str
    retry_limit: int
    retry_delay: float
    retry_backoff: bool
    retry_delay_max: float
    retry_jitter: bool
    timeout: float
    expire_in_seconds: float | None
    keep_seconds: float
    ordering: Ordering
    aging_seconds: float
    age_floor_seconds: float
    soft_sla_seconds: float | None
    hard_sla_seconds: float | None
    on_hard_miss: HardMiss
    paused: bool
    paused_by: str | None
    paused_reason: str | None
    created_at: Time | None = Field(description="Null for the default queue as long as nobody has changed it.")
    updated_at: Time | None
    webhook: Webhook | None
    slots: int | None
    key_slots: int | None
    rate_limit: int | None
    rate_period: Literal["second", "minute"]
    max_queue_size: int | None
    timeout_retry_limit: int | None
    shards: int
    shards_asked: int = Field(description="Keys that a claim asks: more than `shards` until those left are empty.")
    use: QueueUse | None = Field(default=None, description="In the answer of GET /queues/{name} alone.")


class QueueAnswer(Told):
    """One queue."""

    queue: Queue


class QueueList(Told):
    """All queues."""

    queues: list[Queue]


ANSWERS: Table = {
    "list_queues": {200: QueueList},
    "get_queue": {200: QueueAnswer},
    "put_queue": {200: QueueAnswer},
    "patch_queue": {200: QueueAnswer},
    "pause_queue": {200: QueueAnswer},
    "resume_queue": {200: QueueAnswer},
}
