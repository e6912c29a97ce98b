"""What requests about queues, definitions, lists, maintenance and events may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.domain.job import HardMiss
from tidegate.domain.logs import Level
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import DEFAULT_QUEUE, Queue
from tidegate.service.letters import MAX_LETTERS
from tidegate.service.maintenance import MAX_JOBS

from .bodies import (
    MAX_LIMIT,
    MAX_OFFSET,
    Body,
    LogLevel,
    Time,
    Word,
)
from .job_models import JobRequest, Webhook

_QUEUE = Queue(tenant="-", name=DEFAULT_QUEUE)


class QueueSettings(Body):
    """What jobs of a queue inherit unless they say otherwise. Durations are seconds."""

    pool: str = _QUEUE.pool
    retry_limit: int = _QUEUE.retry_limit
    retry_delay: float = _QUEUE.retry_delay
    retry_backoff: bool = _QUEUE.retry_backoff
    retry_delay_max: float = _QUEUE.retry_delay_max
    retry_jitter: bool = _QUEUE.retry_jitter
    timeout: float = _QUEUE.timeout
    expire_in_seconds: float | None = _QUEUE.expire_in_seconds
    keep_seconds: float = _QUEUE.keep_seconds
    ordering: Annotated[Ordering, Field(strict=False)] = _QUEUE.ordering
    aging_seconds: float = _QUEUE.aging_seconds
    webhook: Webhook | None = Field(None, description="Who is told of the changes of its jobs.")
    age_floor_seconds: float = Field(
        _QUEUE.age_floor_seconds, description="In `deadline` order no job ranks as if due so long after it was made."
    )
    soft_sla_seconds: float | None = Field(None, description="The soft deadline of jobs that say none.")
    hard_sla_seconds: float | None = Field(None, description="The hard deadline of jobs that say none.")
    on_hard_miss: Annotated[HardMiss, Field(strict=False)] = _QUEUE.on_hard_miss
    slots: int | None = Field(_QUEUE.slots, description="Most jobs that run at once.")
    key_slots: int | None = Field(_QUEUE.key_slots, description="Most jobs of one `concurrency_key` that run at once.")
    rate_limit: int | None = Field(_QUEUE.rate_limit, description="Most starts in one `rate_period`.")
    rate_period: Literal["second", "minute"] = "second"
    max_queue_size: int | None = Field(_QUEUE.max_queue_size, description="Most jobs accepted and not yet started.")
    timeout_retry_limit: int | None = Field(
        _QUEUE.timeout_retry_limit, description="Retries after attempts that took too long; null: as retry_limit."
    )
    shards: int = Field(
        _QUEUE.shards, description="Keys of the index that its ready jobs stand on: each takes 500 jobs a second."
    )

    def given(self) -> dict[str, Any]:
        """The settings that the request names."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value.value() if isinstance(value, Webhook) else value for name, value in found.items()}


class DefinitionRequest(Body):
    """A template of jobs."""

    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of `data`, draft 2020-12.")
    job: JobRequest | None = Field(None, description="What its jobs have unless they say otherwise.")
    dag: dict[str, Any] | None = Field(None, description="The body of a run, where runs are made from it.")
    description: str = ""


class ListQuery(BaseModel):
    """Which jobs to list, newest first. `metadata.KEY=value` may be added any number of times."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    state: list[str] = Field(
        default_factory=list, description="Fine (ACTIVE) or coarse (running) names; repeated, or with commas."
    )
    queue: Word | None = None
    name: Word | None = None
    tag: Word | None = None
    dag_id: Word | None = None
    owner: Word | None = None
    created_from: Time | None = Field(None, description="Made at this time or later.")
    created_to: Time | None = Field(None, description="Made before this time.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Word | None = Field(None, description="`next_cursor` of the page before.")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Jobs to leave out first; a cursor is cheaper.")
    count: bool = Field(
        True, description="Whether to tell `total_count`; it is null otherwise, and the answer quicker."
    )
    brief: bool = Field(False, description="Leave out data and result.")
    result_as: Literal["json", "string"] = Field("json", description="`string`: each result as a JSON text.")


States = Annotated[
    list[str], Field(default_factory=list, description="Fine (FAILED) or coarse (failed) names of ended states.")
]


class MaintenanceRequest(Body):
    """Which ended jobs to act on. Without `confirm` nothing is done: the answer says what would be."""

    states: States
    queue: Word | None = None
    name: Word | None = None
    tag: Word | None = None
    older_than: float | None = Field(None, ge=0, le=3_660 * 86_400, description="Seconds since they ended.")
    all: bool = Field(False, description="Must be true when no filter is given.")
    confirm: bool = Field(False, description="Do it.")
    limit: int = Field(MAX_JOBS, ge=1, le=MAX_JOBS, description="Jobs to act on with this request.")
    continuation: Word | None = Field(None, description="From the answer before; the rest of the request as it was.")


class ResetRequest(Body):
    """Which running jobs to take from their attempts. Without `confirm` nothing is done."""

    older_than: float = Field(3_600, ge=0, le=3_660 * 86_400, description="Seconds since the attempt started.")
    confirm: bool = Field(False, description="Do it.")


class RedriveRequest(Body):
    """Which dead letters to deal with: those of `ids`, or `all`. Without `confirm` nothing is done."""

    ids: Annotated[list[str], Field(max_length=MAX_LETTERS)] = Field(default_factory=list)
    all: bool = False
    drop: bool = Field(False, description="Delete them instead of sending them on their way again.")
    confirm: bool = Field(False, description="Do it.")


class InvokeParameters(BaseModel):
    """What to run: all but `command` becomes the job's data."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    command: Word = Field(description="Which handler runs it.")


class InvokeRequest(Body):
    """A job in the words of Marie's gateway."""

    header: dict[str, Any] | None = None
    parameters: InvokeParameters


MAX_LINES = 1_000


class LogQuery(BaseModel):
    """Which lines of a job's log."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    after: Word | None = Field(None, description="`next_after` of the page before.")
    limit: int = Field(200, ge=1, le=MAX_LINES)
    level: LogLevel = Field(Level.DEBUG, description="Lines that matter at least so much.")


class EventQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job: Word | None = Field(None, description="Of this job alone, by its id.")
    queue: Word | None = Field(None, description="Of jobs of this queue alone.")
    dag: Word | None = Field(None, description="Of this run and its jobs alone, by the run's id.")
    after: int | None = Field(
        None, ge=0, description="Events after this id; 0 for all that are kept. Else from now on."
    )
