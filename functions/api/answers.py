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


class Health(Answer):
    """The API answers."""

    success: Literal[True]
    status: Literal["ok"]
    version: str
    time: Time


class ClaimedJob(Job):
    """A job that was started for the worker that claimed it."""

    timeout: float = Field(description="Seconds that the attempt may take.")
    lease_until: Time = Field(description="Another worker may start it then, unless a heartbeat comes before.")
    omitted: list[Literal["data", "result"]] = Field(
        default=[], description="`data` when it is large: GET /jobs/{job_id}/data has it."
    )


class Claimed(Told):
    """The jobs that were started."""

    jobs: list[ClaimedJob]
    lease_seconds: float = Field(description="By how much a heartbeat moves the end of a lease on.")
    longest_wait_seconds: float = Field(description="How long this server lets a claim wait.")


class LeaseExtended(Told):
    """The lease after a heartbeat."""

    job_id: str
    lease_until: Time
    cancel_requested: bool = Field(description="Whether someone asked the job to stop.")


class JobData(Told):
    """The data of a held job."""

    job_id: str
    data: Any


class Running(Answer):
    """A job that a worker runs."""

    job_id: str
    name: str
    queue: str
    attempt: int
    started_at: Time
    progress: Progress | None


class Worker(Answer):
    """A worker that was seen in the last minute."""

    id: str
    kind: Literal["embedded", "lambda", "pull", "http"] = Field(
        description="`pull` has access to the tables; `http` works with a token alone."
    )
    pool: str
    queues: list[str] = Field(description="None: all of its pool.")
    host: str
    version: str
    concurrency: int = Field(description="How many jobs it runs at once, at most.")
    busy: int = Field(description="How many it ran when it was last seen, of all tenants and users.")
    started_at: Time
    seen_at: Time
    running: list[Running] = Field(description="What it still runs of that, as far as the caller may see it.")


class WorkerList(Told):
    """Who works."""

    workers: list[Worker]


class WorkerTold(Told):
    """The worker is known."""

    worker_id: str


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
    "get_stats": {200: StatsAnswer},
    "claim_jobs": {200: Claimed},
    "heartbeat": {200: LeaseExtended},
    "get_job_data": {200: JobData},
    "complete_job": {200: JobAnswer},
    "fail_job": {200: JobAnswer},
    "snooze_job": {200: JobAnswer},
    "skip_job": {200: JobAnswer},
    "job_stopped": {200: JobAnswer},
    "list_workers": {200: WorkerList},
    "put_worker": {200: WorkerTold},
    "health": {200: Health},
}
"""By the `operation_id` of a route: the statuses of success and what each carries."""
