"""What requests may say. Strict: no unknown field, no text for a number, no boolean for an integer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, WithJsonSchema
from pydantic_core import PydanticCustomError

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import HardMiss, Ms, UniquePolicy
from tidegate.domain.logs import Level, level_named
from tidegate.domain.priority import DEFAULT, HIGHEST, LOWEST, NAMES, Ordering, parse_priority
from tidegate.domain.queue import DEFAULT_QUEUE, Queue
from tidegate.domain.spec import HORIZON_SECONDS, MAX_BATCH, JobSpec
from tidegate.domain.uniqueness import policy_named
from tidegate.service.letters import MAX_LETTERS
from tidegate.service.maintenance import MAX_JOBS

from .wire import TIME_RULE, parse_time

MAX_REASON = 500
MAX_LIMIT = 200
MAX_OFFSET = 10_000
PRIORITY_RULE = f"must be an integer from {LOWEST} to {HIGHEST}, or one of {', '.join(NAMES)}"


def rule_by(parse: Callable[[Any], Any], rule: str) -> BeforeValidator:
    """Let `parse` of the domain read a value; `rule` is what a wrong one is told."""

    def read(value: Any) -> Any:
        try:
            return parse(value)
        except InvalidInput:
            raise PydanticCustomError("rule", "{rule}", {"rule": rule}) from None

    return BeforeValidator(read)


_PRIORITY_SCHEMA = {"anyOf": [{"type": "integer", "minimum": LOWEST, "maximum": HIGHEST}, {"enum": list(NAMES)}]}
Priority = Annotated[int, rule_by(parse_priority, PRIORITY_RULE), WithJsonSchema(_PRIORITY_SCHEMA)]
Time = Annotated[Ms, rule_by(parse_time, TIME_RULE), WithJsonSchema({"type": "string", "format": "date-time"})]
LEVEL_RULE = f"must be one of {', '.join(Level)}"
LogLevel = Annotated[Level, rule_by(level_named, LEVEL_RULE), WithJsonSchema({"enum": list(Level)})]
_POLICY_RULE = f"must be one of {', '.join(UniquePolicy)}"
Policy = Annotated[UniquePolicy, rule_by(policy_named, _POLICY_RULE), WithJsonSchema({"enum": list(UniquePolicy)})]
Word = Annotated[str, Field(min_length=1)]


def parse_deadline(value: Any) -> Ms | float:
    """A time as RFC 3339 has it (an int), or a number of seconds (a float). Raises InvalidInput."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return parse_time(value)
    if not 0 < value <= HORIZON_SECONDS:
        raise InvalidInput(DEADLINE_RULE)
    return float(value)


DEADLINE_RULE = f"{TIME_RULE}, or a number of seconds, above 0 and at most {HORIZON_SECONDS:.0f}"
_DEADLINE_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "number", "exclusiveMinimum": 0}]}
Deadline = Annotated[Ms | float, rule_by(parse_deadline, DEADLINE_RULE), WithJsonSchema(_DEADLINE_SCHEMA)]


class Body(BaseModel):
    """The base of all bodies. Schemas are built when first used, which keeps a cold start short."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True, allow_inf_nan=False)

    def __repr__(self) -> str:
        """Powertools writes requests into its debug log: a payload has no place there, and is dear to print."""
        return type(self).__name__


class Webhook(Body):
    """An address that is told of changes."""

    url: str = Field(description="https, to a public host.")
    events: list[str] | None = Field(None, description="Such as job.failed; every way to end unless given.")

    def value(self) -> dict[str, Any]:
        """As the domain keeps it."""
        return {"url": self.url} if self.events is None else {"url": self.url, "events": self.events}


class JobRequest(Body):
    """A job to be run. What is absent or null is as the queue says. Durations are seconds."""

    name: str | None = Field(None, description="Which handler runs it. Without it, `data.agent` names the handler.")
    job_type: str | None = Field(None, description="Another word for `name`.")
    agent: str | None = Field(None, description="Another word for `name`.")
    data: Any = Field(None, description="What the handler gets: any JSON.")
    queue: str = DEFAULT_QUEUE
    priority: Priority = Field(DEFAULT, description="Higher starts first.")
    job_id: str | None = Field(None, description="An id of your own: asking again with it makes no second job.")
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    start_after: Time | None = Field(None, description="Not before this time.")
    scheduled_at: Time | None = Field(None, description="Another word for `start_after`.")
    expire_in_seconds: float | None = Field(None, description="EXPIRED if not started so long after it could.")
    keep_until: Time | None = Field(None, description="Once ended, it may be deleted after this time.")
    soft_sla: Deadline | None = Field(None, description="Its target: a time, or seconds from when it may start.")
    hard_sla: Deadline | None = Field(None, description="Its limit: likewise. A miss is as the queue says.")
    timeout: float | None = Field(None, description="How long an attempt may take.")
    retry_limit: int | None = Field(None, description="Retries after the first attempt.")
    max_retries: int | None = Field(None, description="Another word for `retry_limit`.")
    retry_delay: float | None = None
    retry_backoff: bool | None = Field(None, description="Double the delay with each retry.")
    retry_delay_max: float | None = None
    retry_jitter: bool | None = None
    definition: str | None = Field(None, description="`name` or `name@version`: fills in what is not given here.")
    webhook: Webhook | None = Field(None, description="Who is told of its changes, besides the queue's webhook.")
    concurrency_key: str | None = Field(None, description="Of one key, at most the queue's `key_slots` run at once.")
    unique_key: str | None = Field(None, description="What makes it the same as another job of the queue.")
    policy: Policy | None = Field(None, description="What happens if it is; REJECT_DUPLICATE unless given.")
    timeout_retry_limit: int | None = Field(None, description="Retries after attempts that took too long.")
    task_token: str | None = Field(None, description="Of the Step Functions task that waits for the job's end.")

    def spec(self, fallback_id: str | None = None) -> JobSpec:
        """What it asks for, in the domain's words; `fallback_id` serves when it names no `job_id`.

        Raises InvalidInput for what breaks a rule.
        """
        name = _one_of(name=self.name, job_type=self.job_type, agent=self.agent) or _agent_in(self.data)
        if name is None:
            raise InvalidInput.field("name", "is required, here or as data.agent")
        return JobSpec(
            name=name,
            data=self.data,
            queue=self.queue,
            priority=self.priority,
            job_id=self.job_id if self.job_id is not None else fallback_id,
            tags=tuple(self.tags),
            metadata=self.metadata,
            start_after=_one_of(start_after=self.start_after, scheduled_at=self.scheduled_at),
            expire_in_seconds=self.expire_in_seconds,
            keep_until=self.keep_until,
            **_deadlines(soft_sla=self.soft_sla, hard_sla=self.hard_sla),
            timeout=self.timeout,
            retry_limit=_one_of(retry_limit=self.retry_limit, max_retries=self.max_retries),
            retry_delay=self.retry_delay,
            retry_backoff=self.retry_backoff,
            retry_delay_max=self.retry_delay_max,
            retry_jitter=self.retry_jitter,
            webhook=None if self.webhook is None else self.webhook.value(),
            concurrency_key=self.concurrency_key,
            unique_key=self.unique_key,
            policy=self.policy,
            timeout_retry_limit=self.timeout_retry_limit,
            task_token=self.task_token,
        )

    def given(self, fallback_id: str | None = None) -> dict[str, Any]:
        """What it says and nothing else, as fields of `JobSpec`, for a definition to fill in the rest.

        Raises InvalidInput for what breaks a rule.
        """
        name = _one_of(name=self.name, job_type=self.job_type, agent=self.agent)
        spec = self.model_copy(update={"name": name or "nameless"}).spec(fallback_id)
        said = {_MEANING.get(field, field) for field in self.model_fields_set if getattr(self, field) is not None}
        fields = (said | ({"job_id"} if spec.job_id else set())) - {"definition"}
        return {field: getattr(spec, field) for field in fields}


_MEANING = {"job_type": "name", "agent": "name", "scheduled_at": "start_after", "max_retries": "retry_limit"}
"""Other words for fields of `JobSpec`."""


class BatchRequest(Body):
    """Jobs to be run, each accepted or rejected for itself."""

    jobs: Annotated[list[SkipValidation[JobRequest]], Field(min_length=1, max_length=MAX_BATCH)]
    """Read one by one later, so that one wrong job does not refuse the others."""


class PriorityRequest(Body):
    """Another priority for a waiting job."""

    priority: Priority


class ReasonRequest(Body):
    """Why, for those who look later."""

    reason: str | None = Field(None, max_length=MAX_REASON)


class RetryRequest(Body):
    """How to start an ended job over."""

    counted: bool = Field(False, description="Use the retries it has left, if any, instead of a fresh set.")


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

    def given(self) -> dict[str, Any]:
        """The settings that the request names."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value.value() if isinstance(value, Webhook) else value for name, value in found.items()}


class DefinitionRequest(Body):
    """A template of jobs."""

    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of `data`, draft 2020-12.")
    job: JobRequest | None = Field(None, description="What its jobs have unless they say otherwise.")
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


def _one_of(**given: Any) -> Any:
    """The one value under any of several names. Raises InvalidInput when two of them differ."""
    found = {name: value for name, value in given.items() if value is not None}
    values = list(found.values())
    if any(value != values[0] for value in values):
        raise InvalidInput.field(" and ".join(found), "mean the same: give one of them")
    return values[0] if values else None


def _deadlines(**given: Ms | float | None) -> dict[str, Any]:
    """Each under the name that the domain has for a time, or for a duration."""
    return {f"{name}_seconds" if isinstance(at, float) else name: at for name, at in given.items()}


def _agent_in(data: Any) -> str | None:
    agent = data.get("agent") if isinstance(data, dict) else None
    return agent if isinstance(agent, str) else None
