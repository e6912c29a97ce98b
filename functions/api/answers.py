"""What the API answers, as models for its description; the routes themselves never import them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tidegate.domain.job import COARSE, ErrorType, State
from tidegate.domain.priority import Ordering

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Status = Annotated[str, WithJsonSchema({"enum": list(dict.fromkeys(COARSE.values()))})]


class Answer(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Told(Answer):
    """Every success says so."""

    success: Literal[True]
    message: str


class Progress(Answer):
    """How far a running job is."""

    fraction: float = Field(ge=0, le=1)
    message: str


class Webhook(Answer):
    """An address that is told of changes; of every way to end unless it names its events."""

    url: str
    events: list[str] = Field(default=[])


class Job(Answer):
    """A job. Times are RFC 3339 in UTC."""

    id: str
    name: str
    queue: str
    state: State
    status: Status = Field(description="The coarse view of `state`.")
    priority: int
    data: Any
    tags: list[str]
    metadata: dict[str, str]
    result: Any
    error_message: str | None
    error_type: ErrorType | None
    attempt: int = Field(description="Attempts started so far, over all of the job's life.")
    retry_count: int
    retry_limit: int
    worker_id: str | None
    dag_id: str | None
    node: str | None
    dependencies: list[str]
    definition: str | None = Field(description="`name@version` of the definition it was made from.")
    webhook: Webhook | None
    progress: Progress | None
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    updated_at: Time
    start_after: Time | None
    soft_sla: Time | None
    hard_sla: Time | None
    omitted: list[Literal["data", "result"]] = Field(
        default=[], description="Values left out here because they are large; GET /jobs/{job_id} has them."
    )


class JobSubmitted(Told):
    """The accepted job."""

    job_id: str
    job: Job


class Rejected(Answer):
    """A job of a batch that was not accepted."""

    index: int = Field(description="Its place in the batch, from 0.")
    code: str
    message: str
    details: dict[str, Any]


class BatchAnswer(Answer):
    """What became of a batch."""

    success: bool = Field(description="Whether no job was rejected.")
    message: str
    accepted: list[str] = Field(description="Ids of the accepted jobs, in the order of the batch.")
    rejected: list[Rejected]


class JobPage(Told):
    """Part of a listing."""

    jobs: list[Job]
    total_count: int | None = Field(description="Null where only reading all pages could tell it.")
    next_cursor: str | None = Field(description="Null at the end.")


class JobAnswer(Told):
    """One job."""

    job: Job


class JobDeleted(Told):
    """What deleting did."""

    job_id: str
    action: Literal["cancelled", "cancel_requested", "erased"]


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
    paused: bool
    paused_by: str | None
    paused_reason: str | None
    created_at: Time | None = Field(description="Null for the default queue as long as nobody has changed it.")
    updated_at: Time | None
    webhook: Webhook | None


class QueueAnswer(Told):
    """One queue."""

    queue: Queue


class QueueList(Told):
    """All queues."""

    queues: list[Queue]


class Stats(Answer):
    """How many jobs stand where."""

    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    skipped: int
    expired: int
    total: int
    states: dict[State, int]


class StatsAnswer(Told):
    """Counts of jobs."""

    stats: Stats


class Definition(Answer):
    """One version of a definition."""

    name: str
    version: int
    reference: str = Field(description="`name@version`, to be given as a job's `definition`.")
    data_schema: dict[str, Any] | None = Field(alias="schema")
    job: dict[str, Any]
    description: str
    created_at: Time
    created_by: str


class DefinitionAnswer(Told):
    """One definition."""

    definition: Definition


class DefinitionList(Told):
    """All definitions."""

    definitions: list[Definition]


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


class Health(Answer):
    """The API answers."""

    success: Literal[True]
    status: Literal["ok"]
    version: str
    time: Time


class Error(Answer):
    """Every error."""

    success: Literal[False]
    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")
    details: dict[str, Any] = Field(description="For an invalid request: `errors`, each with `field` and `rule`.")


ANSWERS: dict[str, dict[int, type[Answer]]] = {
    "submit_job": {201: JobSubmitted, 200: JobSubmitted},
    "submit_jobs": {200: BatchAnswer},
    "list_jobs": {200: JobPage},
    "get_job": {200: JobAnswer},
    "delete_job": {200: JobDeleted},
    "cancel_job": {200: JobAnswer},
    "retry_job": {200: JobAnswer},
    "reprioritise_job": {200: JobAnswer},
    "list_queues": {200: QueueList},
    "get_queue": {200: QueueAnswer},
    "put_queue": {200: QueueAnswer},
    "patch_queue": {200: QueueAnswer},
    "pause_queue": {200: QueueAnswer},
    "resume_queue": {200: QueueAnswer},
    "list_definitions": {200: DefinitionList},
    "get_definition": {200: DefinitionAnswer},
    "put_definition": {200: DefinitionAnswer, 201: DefinitionAnswer},
    "get_webhook_secret": {200: WebhookSecret},
    "rotate_webhook_secret": {200: WebhookSecret},
    "list_deliveries": {200: DeliveryList},
    "get_stats": {200: StatsAnswer},
    "health": {200: Health},
}
"""By the `operation_id` of a route: the statuses of success and what each carries."""
