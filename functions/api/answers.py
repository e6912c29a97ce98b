"""What the API answers, as models for its description; the routes themselves never import them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from tidegate.domain.caller import Scope
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.events import EVENT_TYPES, RUN_EVENT_TYPES
from tidegate.domain.history import Ending
from tidegate.domain.job import COARSE, ErrorType, HardMiss, State, UniquePolicy
from tidegate.domain.logs import Level
from tidegate.domain.priority import Band, Ordering
from tidegate.domain.why.gate import GateName

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Status = Annotated[str, WithJsonSchema({"enum": list(dict.fromkeys(COARSE.values()))})]


class Answer(BaseModel):
    """The base of all answers."""

    model_config = ConfigDict(extra="forbid")


class Told(Answer):
    """Every success says so."""

    success: Literal[True]
    message: str


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
    progress: Progress | None
    created_at: Time
    started_at: Time | None
    completed_at: Time | None
    updated_at: Time
    start_after: Time | None
    wake_at: Time | None = Field(description="While it waits: not before this time.")
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


class Refused(Answer):
    """A job that nothing was done to."""

    id: str
    code: str
    message: str
    details: dict[str, Any]


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


class Gate(Answer):
    """One thing that keeps the job from running (`holds`), or that it has passed."""

    gate: GateName
    holds: bool
    message: str = Field(description="A clause about the job, for people.")
    facts: dict[str, Any] = Field(description="The figures behind it; those named …_at, …_until, …_after are times.")


class Why(Answer):
    """Why a job is not running, why it still runs, or why it ended as it did."""

    job_id: str
    state: State
    verdict: str = Field(description="One sentence, for people.")
    gates: list[Gate]
    expected_start: Time | None = Field(
        description="An estimate from what started lately; null where nothing tells, and for jobs that do not wait."
    )


class WhyAnswer(Told):
    """The explanation."""

    why: Why


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
    correlation_id: str | None = None


class RunInEvent(BaseModel):
    """The run that an event is about; what it does not have is left out from `reason` on."""

    id: str
    name: str
    owner: str
    state: RunState
    reason: str | None = None
    soft_sla: Time | None = None
    hard_sla: Time | None = None
    tags: list[str] | None = None
    correlation_id: str | None = None


class Event(BaseModel):
    """The `data` of one server-sent event, and the `detail` of one on EventBridge. New fields may come."""

    version: Literal[1]
    id: str = Field(description="The same however often the event is delivered.")
    type: Literal[EVENT_TYPES + RUN_EVENT_TYPES]  # type: ignore[valid-type]
    time: Time
    tenant: str
    job: JobInEvent | None = Field(None, description="In the events job.*.")
    dag: RunInEvent | None = Field(None, description="In the events dag.*.")


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
    slots: int | None
    key_slots: int | None
    rate_limit: int | None
    rate_period: Literal["second", "minute"]
    max_queue_size: int | None
    timeout_retry_limit: int | None
    use: QueueUse | None = Field(default=None, description="In the answer of GET /queues/{name} alone.")


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
    warned_at: Time | None = Field(description="When it was noticed that the soft deadline had passed.")
    resumed: int = Field(description="How often it was resumed.")
    correlation_id: str | None = Field(description="The X-Request-Id of the request that made it.")
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


class Identity(Told):
    """Whose token it is."""

    tenant: str
    user: str
    scopes: list[Scope]
    stage: str = Field(description="`local` embedded, else the name of the deployed stage.")
    version: str
    streams: bool = Field(description="Whether `GET /events` streams here.")


class ClaimedJob(Job):
    """A job that was started for the worker that claimed it."""

    timeout: float = Field(description="Seconds that the attempt may take.")
    lease_until: Time = Field(description="Another worker may start it then, unless a heartbeat comes before.")
    cancel_requested: bool = Field(description="Whether it was started only to be cleaned up and `stopped`.")
    traceparent: str | None = Field(description="Where the request that made it stands in a trace, if it was traced.")
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


class Upstream(Answer):
    """A node that a held job depends on."""

    node: str
    job_id: str
    state: State
    result: Any


class JobUpstream(Told):
    """The nodes that a held job depends on, as many as one answer carries."""

    job_id: str
    nodes: list[Upstream]
    next_after: int | None = Field(description="Where to go on; null: these are all.")


class JobEntries(Told):
    """What a held job gathers, as many as one answer carries."""

    job_id: str
    results: list[Any] = Field(description="In order; null for an entry that was skipped.")
    next_after: int | None = Field(description="Where to go on; null: these are all.")


class LogKept(Answer):
    """How much of a job's log is kept, all attempts together."""

    lines: int
    bytes: int
    overflows: int = Field(description="Chunks beside the table: once there is one, write every ten seconds at most.")


class LogAppended(Told):
    """The lines are kept, unless they were before."""

    job_id: str
    number: int = Field(description="Of the attempt's last request that was kept.")
    kept: LogKept


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
    names: list[str] = Field(description="The jobs that it has handlers for. None: it did not tell.")
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


class Metrics(Answer):
    """What became of the jobs since the counters began."""

    active_jobs: int
    completed_jobs: int
    failed_jobs: int
    retried_jobs: int = Field(description="Jobs that needed retries, however many.")
    total_processed: int = Field(description="Completed and failed jobs.")
    success_rate: float = Field(description="Percent of the processed jobs that completed.")
    uptime_seconds: int = Field(description="Since the first change was counted.")
    jobs_per_minute: float = Field(description="Processed jobs per minute of uptime.")


class PipelineStatus(Answer):
    """The pipeline now."""

    is_running: bool = Field(description="Whether any queue is not paused.")
    queue_size: int = Field(description="Jobs that wait to be started, those between two attempts included.")
    scheduled_jobs: int = Field(description="Jobs that wait for a time of their own.")
    active_jobs: int
    max_concurrent_jobs: int
    worker_count: int
    metrics: Metrics


class PipelineStatusAnswer(Told):
    """How the pipeline is doing."""

    status: PipelineStatus
    timestamp: Time


class ShortMetrics(Answer):
    """What became of the jobs, in short."""

    completed_jobs: int
    failed_jobs: int
    success_rate: float
    jobs_per_minute: float


class PipelineInfo(Answer):
    """The pipeline, in short."""

    is_running: bool
    worker_count: int
    max_concurrent_jobs: int


class PipelineMetricsAnswer(Told):
    """How the pipeline is doing, in short."""

    metrics: ShortMetrics
    pipeline_info: PipelineInfo
    timestamp: Time


class Retried(Answer):
    """Stored jobs of one name that have used retries."""

    name: str
    avg_retries: float
    max_retries: int
    total_jobs: int


class RetryAnalysis(Told):
    """Retries by name."""

    retries: list[Retried]


class Hour(Answer):
    """One hour."""

    hour: Time
    completed_jobs: int
    failed_jobs: int
    avg_run_seconds: float | None = Field(description="How long completed jobs' last attempts took; null if none did.")
    p50_run_seconds: float | None = Field(description="Half of them took at most so long.")
    p99_run_seconds: float | None = Field(description="99 of 100 took at most so long.")


class Throughput(Told):
    """Jobs completed by hour."""

    throughput: list[Hour]


class TimelinePoint(Answer):
    """One step of a timeline."""

    at: Time
    completed: int
    failed: int


class TimelineFigures(Answer):
    """What became of jobs over time, and of all of them together."""

    step_seconds: int
    points: list[TimelinePoint]
    completed: int
    failed: int
    success_rate: float | None = Field(description="Percent; null where no job completed or failed.")
    p50_run_seconds: float | None = Field(description="Half of the completed jobs ran at most so long.")
    p99_run_seconds: float | None = Field(description="99 of 100 completed jobs ran at most so long.")


class TimelineAnswer(Told):
    """Completed and failed jobs over time."""

    timeline: TimelineFigures


class DepthFigures(Answer):
    """Jobs that wait for a worker, or for their next attempt."""

    total: int
    bands: dict[Band, int]
    priorities: dict[str, int] = Field(description="By priority, those that have any.")
    oldest_seconds: float | None = Field(
        description="How long the one that is ready longest has been; null if none is."
    )
    oldest_job: Job | None = Field(description="That job; null where the caller may not see it.")


class DepthAnswer(Told):
    """How many jobs wait."""

    depth: DepthFigures


class SlaFigures(Answer):
    """Jobs that met or missed their deadlines so far, and those at risk now. A job may miss both."""

    met: int = Field(description="Completed within their first deadline. What ended otherwise in time is left out.")
    missed_soft: int
    missed_hard: int
    at_risk: int


class QueueSla(SlaFigures):
    """Those of one queue."""

    queue: str


class SlaOfAll(SlaFigures):
    """Those of all queues together, and of each that had jobs with deadlines."""

    queues: list[QueueSla]


class SlaAnswer(Told):
    """Deadlines met, missed and at risk."""

    sla: SlaOfAll


class CommonError(Answer):
    """Error messages that differ in numbers and ids only."""

    message: str
    count: int
    error_type: ErrorType | None
    names: list[str]
    last_at: Time
    job_id: str = Field(description="The newest job that ended with it.")


class CommonErrors(Told):
    """The most common error messages."""

    errors: list[CommonError]
    jobs_looked_at: int


class StuckJobs(Told):
    """Jobs that run for too long."""

    jobs: list[Job]


class QueueFigures(Answer):
    """One queue."""

    queue: str
    depth: int = Field(description="Jobs that wait.")
    running: int
    ended: int = Field(description="Ended jobs that are still stored.")
    states: dict[State, int]


class QueueFiguresAnswer(Told):
    """Jobs by queue."""

    queues: list[QueueFigures]


class Maintained(Told):
    """What one request did, or would do."""

    action: Literal["purge", "archive", "retry"]
    dry_run: bool
    matched: int = Field(description="Jobs found.")
    done: int = Field(description="Jobs acted on; the others changed meanwhile.")
    archives: list[str] = Field(description="Keys of the files written.")
    continuation: str | None = Field(description="Null at the end.")


class Reset(Told):
    """What became of stuck jobs."""

    dry_run: bool
    matched: int
    done: int
    job_ids: list[str]


class DeadLetter(Answer):
    """A message that was no ticket."""

    id: str
    body: str
    source: str = Field(description="The queue that gave it up.")
    reason: str
    at: Time


class DeadLetters(Told):
    """Dead letters that were put aside."""

    dead_letters: list[DeadLetter]


class Redriven(Answer):
    """What became of one dead letter."""

    id: str
    result: Literal["renewed", "spent", "unreadable", "dropped"] | None = Field(description="Null in a dry run.")


class RedriveAnswer(Told):
    """What became of dead letters."""

    dry_run: bool
    results: list[Redriven]


class InvokedParameters(Answer):
    """The accepted job."""

    job_id: str
    status: Literal["submitted"]


class Invoked(Answer):
    """An accepted job, in the words of Marie's gateway."""

    header: dict[str, Any]
    parameters: InvokedParameters
    data: None


class JobsOrJob(Told):
    """A page of jobs where the path names a state, else one job."""

    jobs: list[Job] = []
    total_count: int | None = None
    next_cursor: str | None = None
    job: Job | None = None


class Capacity(Answer):
    """Slots of all pools."""

    slots: int
    used: int
    available: int
    queued: int


class CapacityAnswer(Told):
    """How many slots are taken."""

    capacity: Capacity


ANSWERS: dict[str, dict[int, type[BaseModel]]] = {
    "submit_job": {201: JobSubmitted, 200: JobSubmitted},
    "submit_jobs": {200: BatchAnswer},
    "bulk": {200: BulkAnswer},
    "list_jobs": {200: JobPage},
    "get_job": {200: JobAnswer},
    "delete_job": {200: JobDeleted},
    "get_job_logs": {200: LogPage},
    "get_job_history": {200: JobHistory},
    "get_job_why": {200: WhyAnswer},
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
    "claim_jobs": {200: Claimed},
    "heartbeat": {200: LeaseExtended},
    "get_job_data": {200: JobData},
    "get_job_upstream": {200: JobUpstream},
    "get_job_entries": {200: JobEntries},
    "append_job_logs": {200: LogAppended},
    "complete_job": {200: JobAnswer},
    "fail_job": {200: JobAnswer},
    "snooze_job": {200: JobAnswer},
    "skip_job": {200: JobAnswer},
    "job_stopped": {200: JobAnswer},
    "list_workers": {200: WorkerList},
    "put_worker": {200: WorkerTold},
    "health": {200: Health},
    "whoami": {200: Identity},
    "pipeline_status": {200: PipelineStatusAnswer},
    "pipeline_metrics": {200: PipelineMetricsAnswer},
    "retry_analysis": {200: RetryAnalysis},
    "throughput": {200: Throughput},
    "timeline": {200: TimelineAnswer},
    "depth": {200: DepthAnswer},
    "sla_figures": {200: SlaAnswer},
    "common_errors": {200: CommonErrors},
    "stuck_jobs": {200: StuckJobs},
    "queue_figures": {200: QueueFiguresAnswer},
    "purge": {200: Maintained},
    "archive": {200: Maintained},
    "retry_jobs": {200: Maintained},
    "reset_stuck": {200: Reset},
    "dead_letters": {200: DeadLetters},
    "redrive": {200: RedriveAnswer},
    "invoke": {200: Invoked},
    "marie_list_jobs": {200: JobPage},
    "marie_jobs": {200: JobsOrJob},
    "marie_stop_job": {200: JobAnswer},
    "capacity": {200: CapacityAnswer},
}
"""By the `operation_id` of a route: the statuses of success and what each carries."""
