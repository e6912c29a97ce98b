"""What the routes of jobs answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, RootModel

from tidegate.domain.job import ErrorType, State, UniquePolicy

from .base import Answer, Status, Table, Time, Told
from .webhooks import Webhook

Standing = Literal["in_time", "at_risk", "met", "soft_missed", "hard_missed"]


class Progress(Answer):
    """How far a running job is."""

    fraction: float = Field(ge=0, le=1)
    message: str


class Failure(Answer):
    """A failed attempt."""

    attempt: int
    worker_id: str
    started_at: Time
    ended_at: Time
    error_type: ErrorType
    error_message: str


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
    reason: str | None = Field(description="Why it was cancelled, skipped or expired.")
    error_message: str | None
    error_type: ErrorType | None
    attempt: int = Field(description="Attempts started so far, over all of the job's life.")
    retry_count: int
    retry_limit: int
    timeout: float = Field(description="Seconds that an attempt may take.")
    worker_id: str | None
    owner: str = Field(description="The user who submitted it.")
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
    wake_at: Time | None = Field(description="While it waits: not before this time.")
    blocked: bool = Field(description="Whether it waits for jobs before it in its run.")
    expires_at: Time | None = Field(description="EXPIRED if it still waits at this time.")
    cancel_requested: bool = Field(description="Whether its handler was asked to stop.")
    soft_sla: Time | None
    hard_sla: Time | None
    sla: Standing | None = Field(description="How it stands, or stood at its end, to its deadlines; null without any.")
    concurrency_key: str | None
    unique_key: str | None
    policy: UniquePolicy | None
    timeout_retry_limit: int | None
    correlation_id: str | None = Field(description="The X-Request-Id of the request that made it; null if none did.")
    trace_id: str | None = Field(description="The W3C trace that it is part of; null if nobody traced the request.")
    cost: float = Field(
        description="Dollars that it has cost so far, estimated: to take it in, its attempts, their handlers' time."
    )
    omitted: list[Literal["data", "result"]] = Field(
        default=[], description="Values left out here, as asked or because they are large; GET /jobs/{job_id} has them."
    )
    failures: list[Failure] = Field(
        default=[], description="The last failed attempts, 20 at most; only GET /jobs/{job_id} shows them."
    )


class JobSubmitted(Told):
    """The accepted job."""

    job_id: str
    job: Job


class Refusal(Answer):
    """Why something was not done."""

    code: str
    message: str
    details: dict[str, Any]


class Rejected(Refusal):
    """A job of a batch that was not accepted."""

    index: int = Field(description="Its place in the batch, from 0.")


class BatchAnswer(Answer):
    """What became of a batch."""

    success: bool = Field(description="Whether no job was rejected.")
    message: str
    accepted: list[str] = Field(description="Ids of the accepted jobs, in the order of the batch.")
    rejected: list[Rejected]


class Refused(Refusal):
    """A job that nothing was done to."""

    id: str


class BulkAnswer(Answer):
    """What became of many jobs."""

    success: bool = Field(description="Whether none was refused.")
    message: str
    done: list[str] = Field(description="Ids of those that it was done to, in the order asked for.")
    refused: list[Refused]


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


class Estimate(Answer):
    """What one job will use in the cloud if its first attempt succeeds, at list prices, free tier aside."""

    dollars: float = Field(description="Without storage, transfer and log lines.")
    requests: float = Field(description="To AWS, of Tidegate's own code.")
    write_units: float
    read_units: float
    handler_ms: int = Field(description="What 95 of 100 jobs of the name did not pass lately; 0 where none completed.")
    memory_mb: int = Field(description="Of a worker of its pool; 0 where the pool has no Lambda.")
    prices_as_of: str
    region: str


class JobEstimated(Told):
    """What a job would cost that was not submitted."""

    estimate: Estimate


class AcceptedBeforeOrEstimated(RootModel[JobSubmitted | JobEstimated]):
    """The job as it was accepted before; with `dry_run` what it would cost."""


ANSWERS: Table = {
    "submit_job": {201: JobSubmitted, 200: AcceptedBeforeOrEstimated},
    "submit_jobs": {200: BatchAnswer},
    "bulk": {200: BulkAnswer},
    "list_jobs": {200: JobPage},
    "get_job": {200: JobAnswer},
    "delete_job": {200: JobDeleted},
    "cancel_job": {200: JobAnswer},
    "retry_job": {200: JobAnswer},
    "reprioritise_job": {200: JobAnswer},
}
