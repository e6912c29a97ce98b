"""What requests about schedules may say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from tidegate.domain.dag.faults import Fault, refuse_all
from tidegate.domain.dag.spec import MAX_NODES, FailurePolicy
from tidegate.domain.dag.validate import check_dag
from tidegate.domain.errors import InvalidInput
from tidegate.domain.schedule import DagTemplate, JobTemplate, Misfire, Overlap, Schedule
from tidegate.domain.targets import ScheduledRun

from .bodies import MAX_LIMIT, Body, Priority, Time, Word, agent_in, one_of
from .dag_models import Asked, DagRequest, NodeRequest
from .job_models import JobFields
from .wire import format_time

_OPTIONS = (
    "timezone", "starts_at", "ends_at", "jitter_seconds", "misfire", "misfire_window_seconds", "overlap",
)  # fmt: skip


class ScheduledJob(JobFields):
    """What each run asks for, with at most 64 KiB of data. What is absent or null is as the queue says."""

    config: Any = Field(None, description="Another word for `data`.")
    soft_sla_seconds: float | None = Field(None, description="The soft deadline, from the run's time.")
    hard_sla_seconds: float | None = Field(None, description="The hard deadline, from the run's time.")

    def template(self, **beside: Any) -> JobTemplate:
        """What it asks for, in the domain's words; `beside` are the same things said beside the job."""
        data = one_of(**{"job.data": self.data, "job.config": self.config, "config": beside.get("config")})
        names = {"job.name": self.name, "job.job_type": self.job_type, "job.agent": self.agent}
        name = one_of(**names, job_type=beside.get("job_type")) or agent_in(data)
        if name is None:
            raise InvalidInput.field("job.name", "is required, here, as job_type or as data.agent")
        limit = one_of(retry_limit=self.retry_limit, max_retries=self.max_retries)
        asked = {field: getattr(self, field) for field in _SAME if field not in ("name", "data", "retry_limit")}
        if beside.get("priority") is not None:
            asked["priority"] = beside["priority"]
        return JobTemplate(**{**asked, "name": name, "data": data, "retry_limit": limit, "tags": tuple(self.tags)})


_SAME = tuple(name for name in JobTemplate.__dataclass_fields__ if name != "tags")


AskedFor = Callable[[DagRequest], Asked]
"""Reads a request for a run, with the help of the definition that it names."""


class ScheduledDag(Body):
    """The DAG that each run is of: `POST /dags` without what belongs to one run. At most 64 KiB of nodes."""

    name: str | None = Field(None, description="Required, unless a definition gives it.")
    nodes: Annotated[list[SkipValidation[NodeRequest]], Field(max_length=MAX_NODES)] = Field(default_factory=list)
    definition: str | None = Field(None, description="Of runs: `name` or `name@version`, as it is now.")
    data: dict[str, Any] | None = Field(None, description="What the data of every node has, unless it says otherwise.")
    failure_policy: Annotated[FailurePolicy, Field(strict=False)] = FailurePolicy.FAIL_FAST
    soft_sla_seconds: float | None = Field(None, description="The soft deadline of each run, from its time.")
    hard_sla_seconds: float | None = Field(None, description="The hard deadline of each run, from its time.")
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)

    def template(self, asked_for: AskedFor) -> DagTemplate:
        """What it asks for, in the domain's words. Raises one InvalidInput naming every fault of its words."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"soft_sla_seconds", "hard_sla_seconds"}}
        try:
            asked = asked_for(DagRequest.model_construct(**given))
            check_dag(asked.spec, asked.faults)
        except InvalidInput as error:
            refuse_all(Fault.all_in(error, "dag"))
            raise AssertionError("an error tells a fault") from error
        deadlines = {name: getattr(self, name) for name in ("soft_sla_seconds", "hard_sla_seconds")}
        return DagTemplate.of(ScheduledRun(asked.spec, asked.conditions), **deadlines)


class _Settings(Body):
    """What both making and changing a schedule may say."""

    expression: str | None = Field(
        None,
        max_length=256,
        description="Five cron fields, `@daily` and the like, `every 1h30m`, or `at 2030-01-31T08:00:00Z`.",
    )
    schedule_expr: str | None = Field(None, max_length=256, description="Another word for `expression`.")
    every: str | None = Field(None, max_length=64, description="An interval: `90s`, `5m`, `1h30m`, `1d`.")
    at: Time | None = Field(None, description="Once, at this time.")
    timezone: str = Field("UTC", description="IANA zone in which cron fields are meant.")
    job: ScheduledJob | None = None
    dag: ScheduledDag | None = Field(None, description="A DAG in the place of a job: each time has a run of it.")
    job_type: str | None = Field(None, description="Another word for `job.name`.")
    config: Any = Field(None, description="Another word for `job.data`.")
    priority: Priority | None = Field(None, description="Another word for `job.priority`.")
    starts_at: Time | None = Field(None, description="No run before; intervals are counted from here.")
    ends_at: Time | None = Field(None, description="No run after.")
    jitter_seconds: float = Field(0.0, description="Starts are spread over so many seconds, 3600 at most.")
    misfire: Annotated[Misfire, Field(strict=False)] = Field(
        Misfire.RUN_ONCE, description="What becomes of times that passed while nothing ticked."
    )
    misfire_window_seconds: float = Field(86_400.0, description="Missed times older than this are let go.")
    overlap: Annotated[Overlap, Field(strict=False)] = Field(
        Overlap.ALLOW, description="What becomes of a time at which the job before has not ended."
    )

    def rule_text(self) -> str | None:
        """The expression, however it was said. Raises InvalidInput when it was said twice, differently."""
        every = None if self.every is None else f"every {self.every}"
        at = None if self.at is None else f"at {_time_text(self.at)}"
        said: str | None = one_of(expression=self.expression, schedule_expr=self.schedule_expr, every=every, at=at)
        return said

    def template(self) -> JobTemplate | None:
        """The job, if the request says anything about it."""
        if self.job is None and self.job_type is None:
            return None
        beside = {"job_type": self.job_type, "config": self.config, "priority": self.priority}
        return (self.job or ScheduledJob.model_validate({})).template(**beside)


class ScheduleRequest(_Settings):
    """A schedule to be made."""

    name: str = Field(description="Unique in the tenant.")
    schedule_id: str | None = Field(None, description="A UUID of your own: asking again with it makes no second one.")
    enabled: bool = True

    def asked(self, asked_for: AskedFor) -> dict[str, Any]:
        """What it asks for, in the words of `create_schedule`. Raises InvalidInput."""
        expression, job = self.rule_text(), self.template()
        dag = None if self.dag is None else self.dag.template(asked_for)
        if expression is None:
            raise InvalidInput.field("expression", "is required, here or as schedule_expr, every or at")
        if job is None and dag is None:
            raise InvalidInput.field("job", "is required, here or as job_type and config, unless there is a dag")
        options = {name: getattr(self, name) for name in _OPTIONS}
        return {
            "name": self.name,
            "schedule_id": self.schedule_id,
            "expression": expression,
            "job": job,
            "dag": dag,
            "enabled": self.enabled,
            **options,
        }


class ScheduleChanges(_Settings):
    """What of a schedule shall change; the rest stays as it is."""

    def changes(self, seen: Schedule, asked_for: AskedFor) -> dict[str, Any]:
        """The fields of a schedule to change. A job or DAG is replaced as a whole. Raises InvalidInput."""
        given = {name: getattr(self, name) for name in _OPTIONS if name in self.model_fields_set}
        if (expression := self.rule_text()) is not None:
            given["expression"] = expression
        if self.dag is not None:
            given |= {"dag": self.dag.template(asked_for), "job": self.template()}
        elif (job := self.template()) is not None:
            given |= {"job": job, "dag": None}
        elif {"config", "priority"} & self.model_fields_set:
            if seen.job is None:
                raise InvalidInput.field("config", "belongs to a schedule of a job")
            given["job"] = _partly_changed(seen.job, self)
        return given


def _partly_changed(job: JobTemplate, asked: ScheduleChanges) -> JobTemplate:
    values = {name: getattr(job, name) for name in JobTemplate.__dataclass_fields__}
    if "config" in asked.model_fields_set:
        values["data"] = asked.config
    if asked.priority is not None:
        values["priority"] = asked.priority
    return JobTemplate(**values)


class TriggerRequest(Body):
    """A run by hand."""

    job_id: str | None = Field(
        None, description="An id of your own, a UUIDv7 for a run: asking again with it makes no second job or run."
    )


class BackfillRequest(Body):
    """Past times to run."""

    from_: Time = Field(alias="from", description="The first time, this one included.")
    until: Time = Field(description="The last time, this one included.")
    per_minute: int = Field(60, description="How many jobs to make a minute, 1000 at most.")


class ScheduleQuery(BaseModel):
    """Which schedules to list, by name."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    enabled_only: bool = False
    limit: int = Field(100, ge=1, le=MAX_LIMIT)
    cursor: Word | None = Field(None, description="`next_cursor` of the page before.")


class NextQuery(BaseModel):
    """How many times to come to tell."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    n: int = Field(5, ge=1, le=100)


def _time_text(at: int) -> str:
    return str(format_time(at))
