"""What the API answers, as models for its description; the routes themselves never import them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.events import EVENT_TYPES
from tidegate.domain.history import Ending
from tidegate.domain.job import COARSE, ErrorType, State
from tidegate.domain.logs import Level
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
    failures: list[Failure] = Field(
        default=[], description="The last failed attempts, 20 at most; only GET /jobs/{job_id} shows them."
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


class LogLine(Answer):
    """What a handler told."""

    time: Time
    level: Level
    attempt: int
    message: str


class LogPage(Told):
    """Part of a job's log, oldest first."""

    job_id: str
    lines: list[LogLine]
    next_after: str | None = Field(description="Goes on after the last line, also later. Null while there is none.")
    more: bool = Field(description="Whether there is more already.")
    ended: bool = Field(description="Whether the job had ended before this was read: then no more will come.")


class Attempt(Answer):
    """An attempt of a job, as far as it is known."""

    attempt: int
    worker_id: str | None
    started_at: Time | None
    ended_at: Time | None
    outcome: Ending
    error_type: ErrorType | None
    error_message: str | None


class StateChange(Answer):
    """A state that a job came to."""

    at: Time
    state: State
    attempt: int | None
    note: str | None


class JobHistory(Told):
    """A job's past, oldest first."""

    job_id: str
    attempts: list[Attempt]
    changes: list[StateChange]
    forgotten: int = Field(description="Attempts that left no record: they snoozed, or are older than 20 failures.")


class JobInEvent(BaseModel):
    """The job that an event is about, after the change; what it does not have is left out from `priority` on."""

    id: str
    name: str
    queue: str
    owner: str
    old_state: State | None
    state: State | None
    status: Status | None
    attempt: int
    priority: int | None = None
    worker_id: str | None = None
    started_at: Time | None = None
    error_type: ErrorType | None = None
    error_message: str | None = None
    reason: str | None = None
    dag_id: str | None = None
    node: str | None = None
    tags: list[str] | None = None


class Event(BaseModel):
    """The `data` of one server-sent event, and the `detail` of one on EventBridge. New fields may come."""

    version: Literal[1]
    id: str = Field(description="The same however often the event is delivered.")
    type: Literal[EVENT_TYPES]  # type: ignore[valid-type]
    time: Time
    tenant: str
    job: JobInEvent


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


class DagProgress(Answer):
    """The figures of a run: `progress_pct` counts every job that ended."""

    total_jobs: int
    completed: int = Field(description="COMPLETED and SKIPPED jobs.")
    active: int
    failed: int
    progress_pct: float


class DagNode(BaseModel):
    """One job of a run."""

    model_config = ConfigDict(extra="forbid")

    id: str
    job_id: str
    state: State
    depends_on: list[str]
    reason: str | None = None


class Dag(Answer):
    """A run of a DAG."""

    id: str
    name: str
    state: RunState
    reason: str | None
    failure_policy: FailurePolicy
    tags: list[str]
    metadata: dict[str, str]
    created_at: Time
    updated_at: Time
    completed_at: Time | None
    soft_sla: Time | None
    hard_sla: Time | None
    progress: DagProgress
    nodes: list[DagNode] | None = Field(None, description="Only where the jobs were read.")


class DagSubmitted(Told):
    """An accepted run."""

    dag_id: str
    dag: Dag


class DagAnswer(Told):
    """One run."""

    dag: Dag


class DagList(Told):
    """A page of runs."""

    dags: list[Dag]
    next_cursor: str | None


class DagFigures(DagProgress):
    """The figures of one run."""

    dag_id: str


class DagProgressAnswer(Told):
    """How far a run is."""

    progress: DagFigures


class DagNext(Told):
    """The next ready job of a run."""

    job: Job | None


class DagGraph(Told):
    """A run as a picture."""

    format: Literal["json", "mermaid", "dot"]
    graph: dict[str, Any] | str = Field(description="Nodes and edges, or text for a drawing program.")


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


class Error(Answer):
    """Every error."""

    success: Literal[False]
    code: str = Field(description="For programs.")
    message: str = Field(description="For people.")
    details: dict[str, Any] = Field(description="For an invalid request: `errors`, each with `field` and `rule`.")


ANSWERS: dict[str, dict[int, type[BaseModel]]] = {
    "submit_job": {201: JobSubmitted, 200: JobSubmitted},
    "submit_jobs": {200: BatchAnswer},
    "list_jobs": {200: JobPage},
    "get_job": {200: JobAnswer},
    "delete_job": {200: JobDeleted},
    "get_job_logs": {200: LogPage},
    "get_job_history": {200: JobHistory},
    "stream_events": {200: Event},
    "cancel_job": {200: JobAnswer},
    "retry_job": {200: JobAnswer},
    "reprioritise_job": {200: JobAnswer},
    "submit_dag": {201: DagSubmitted, 200: DagSubmitted},
    "list_dags": {200: DagList},
    "get_dag": {200: DagAnswer},
    "get_dag_progress": {200: DagProgressAnswer},
    "get_dag_next": {200: DagNext},
    "get_dag_graph": {200: DagGraph},
    "cancel_dag": {200: DagAnswer},
    "resume_dag": {200: DagAnswer},
    "list_queues": {200: QueueList},
    "get_queue": {200: QueueAnswer},
    "put_queue": {200: QueueAnswer},
    "patch_queue": {200: QueueAnswer},
    "pause_queue": {200: QueueAnswer},
    "resume_queue": {200: QueueAnswer},
    "get_stats": {200: StatsAnswer},
    "health": {200: Health},
}
"""By the `operation_id` of a route: the statuses of success and what each carries."""
