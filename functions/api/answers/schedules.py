"""What the API answers about schedules, as models for its description."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.job import State
from tidegate.domain.schedule import Fate, Misfire, Overlap

from .base import Answer, Status, Table, Time, Told
from .dags import Dag
from .jobs import Job


class ScheduledJobView(Answer):
    """What each run asks for. Null means "as the queue says"."""

    name: str
    data: Any
    queue: str
    priority: int
    tags: list[str]
    metadata: dict[str, str]
    expire_in_seconds: float | None
    soft_sla_seconds: float | None
    hard_sla_seconds: float | None
    timeout: float | None
    retry_limit: int | None
    retry_delay: float | None
    retry_backoff: bool | None
    retry_delay_max: float | None
    retry_jitter: bool | None


class ScheduledNodeView(Answer):
    """One node of a scheduled DAG."""

    id: str
    name: str | None = Field(description="Null where its definition names the handler.")
    definition: str | None
    depends_on: list[str]


class ScheduledDagView(Answer):
    """The DAG that each run is of."""

    name: str
    definition: str | None = Field(description="The definition of runs that it was made from.")
    failure_policy: FailurePolicy
    soft_sla_seconds: float | None
    hard_sla_seconds: float | None
    tags: list[str]
    metadata: dict[str, str]
    nodes: list[ScheduledNodeView]


class BackfillView(Answer):
    """Past runs being made."""

    next: Time
    until: Time
    per_minute: int
    made: int
    requested_by: str


class ScheduleView(Answer):
    """A schedule. Times are RFC 3339 in UTC, durations seconds."""

    id: str
    name: str
    owner: str
    expression: str
    timezone: str
    job_type: str = Field(description="The `name` of the job or the DAG.")
    priority: int | None = Field(description="The job's.")
    job: ScheduledJobView | None = Field(description="What each time makes; null where that is a run.")
    dag: ScheduledDagView | None = Field(description="Of what each time makes a run; null where that is a job.")
    enabled: bool
    paused_by: str | None
    paused_reason: str | None
    starts_at: Time | None
    ends_at: Time | None
    jitter_seconds: float
    misfire: Misfire
    misfire_window_seconds: float
    overlap: Overlap
    next_run: Time | None = Field(description="Null when disabled or over.")
    last_run: Time | None
    last_job_id: str | None
    last_dag_id: str | None = Field(description="The last run of a schedule with a `dag`.")
    last_error: str | None = Field(description="Why the job of the last run was not accepted.")
    fired: int
    backfill: BackfillView | None
    created_at: Time
    updated_at: Time


class NextRun(Answer):
    """A time to come."""

    utc: Time
    local: str = Field(description="On the clocks of the schedule's zone.")


class ScheduleCreated(Told):
    """The schedule made, and when it runs next."""

    schedule_id: str
    next_run: Time | None
    next_runs: list[NextRun]
    schedule: ScheduleView


class ScheduleAnswer(Told):
    """One schedule."""

    schedule: ScheduleView


class HoldView(Answer):
    """All schedules are paused."""

    by: str
    at: Time
    reason: str | None


class ScheduleList(Told):
    """Part of a listing."""

    schedules: list[ScheduleView]
    hold: HoldView | None = Field(description="Null unless all of the tenant's schedules are paused.")
    next_cursor: str | None = Field(description="Null at the end.")


class HoldAnswer(Told):
    """Whether all schedules are paused."""

    hold: HoldView | None


class ScheduleDeleted(Told):
    """What was deleted."""

    schedule_id: str


class ScheduleTriggered(Told):
    """The job or the run made by hand; the other two are null."""

    job_id: str | None
    job: Job | None
    dag_id: str | None
    dag: Dag | None


class BackfillBegun(Told):
    """How many past times there are to run."""

    runs: int
    schedule: ScheduleView


class NextRuns(Told):
    """Times to come."""

    timezone: str
    next_run: Time | None
    next_runs: list[NextRun]


class RunJob(Answer):
    """The job of a run."""

    id: str
    state: State
    status: Status


class RunDag(Answer):
    """The run of a DAG that a time has."""

    id: str
    state: RunState


class ScheduleRun(Answer):
    """One of a schedule's times."""

    scheduled_for: Time
    fate: Fate
    job: RunJob | None = Field(description="Null where none was made, or it is no longer kept.")
    dag: RunDag | None = Field(description="Likewise.")


class ScheduleHistory(Told):
    """The latest times, newest first."""

    runs: list[ScheduleRun]


ANSWERS: Table = {
    "create_schedule": {201: ScheduleCreated, 200: ScheduleCreated},
    "list_schedules": {200: ScheduleList},
    "pause_schedules": {200: HoldAnswer},
    "resume_schedules": {200: HoldAnswer},
    "get_schedule": {200: ScheduleAnswer},
    "patch_schedule": {200: ScheduleAnswer},
    "delete_schedule": {200: ScheduleDeleted},
    "enable_schedule": {200: ScheduleAnswer},
    "disable_schedule": {200: ScheduleAnswer},
    "trigger_schedule": {201: ScheduleTriggered},
    "backfill_schedule": {202: BackfillBegun},
    "next_runs": {200: NextRuns},
    "schedule_history": {200: ScheduleHistory},
}
