"""What the server answers about schedules, typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tidegate.domain.job import Json


@dataclass(frozen=True, slots=True)
class NextRun:
    """A time to come, in UTC and on the clocks of the schedule's zone."""

    utc: datetime
    local: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A schedule as the server last saw it. Times are in UTC, durations are seconds."""

    id: str
    name: str
    expression: str
    timezone: str = "UTC"
    job_type: str = ""
    """The handler that its jobs run, or the name of the DAG that its runs are of."""
    priority: int | None = 5
    job: Mapping[str, Any] = field(default_factory=dict)
    """Empty where it makes runs."""
    dag: Mapping[str, Any] | None = None
    enabled: bool = True
    paused_by: str | None = None
    paused_reason: str | None = None
    misfire: str = "run_once"
    overlap: str = "allow"
    next_run: datetime | None = None
    last_run: datetime | None = None
    last_job_id: str | None = None
    last_dag_id: str | None = None
    last_error: str | None = None
    fired: int = 0
    created_at: datetime | None = None
    updated_at: datetime | None = None
    next_runs: tuple[NextRun, ...] = ()
    """The next times; told when a schedule is made."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The server's own words, added fields included."""

    @property
    def schedule_id(self) -> str:
        """Another word for `id`."""
        return self.id

    @property
    def schedule_expr(self) -> str:
        """Another word for `expression`."""
        return self.expression

    @property
    def config(self) -> Json:
        """The data of its jobs."""
        return self.job.get("data")

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], next_runs: tuple[NextRun, ...] = ()) -> Schedule:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        plain: dict[str, Any] = {name: wire[name] for name in _PLAIN if name in wire}
        plain |= {name: _time(wire.get(name)) for name in _TIMES}
        return cls(**plain, job=dict(wire["job"] or {}), next_runs=next_runs, raw=wire)


_TIMES = ("next_run", "last_run", "created_at", "updated_at")
_PLAIN = (
    "id", "name", "expression", "timezone", "job_type", "priority", "enabled", "paused_by", "paused_reason", "misfire",
    "overlap", "dag", "last_dag_id", "last_job_id", "last_error", "fired",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ScheduleRun:
    """One of a schedule's latest times: what became of it, and its job or its run while that is kept."""

    scheduled_for: datetime
    fate: str
    """fired, missed, overlapped, held or refused."""
    job_id: str | None
    job_state: str | None
    dag_id: str | None = None
    dag_state: str | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> ScheduleRun:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        job, dag = wire.get("job") or {}, wire.get("dag") or {}
        made = (job.get("id"), job.get("state"), dag.get("id"), dag.get("state"))
        return cls(datetime.fromisoformat(wire["scheduled_for"]), wire["fate"], *made)


@dataclass(frozen=True, slots=True)
class SchedulePage:
    """Part of a listing of schedules; `next_cursor` is None at its end."""

    schedules: tuple[Schedule, ...]
    hold: Mapping[str, Any] | None
    """Who paused all schedules, when and why; None while they run."""
    next_cursor: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> SchedulePage:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        schedules = tuple(Schedule.from_wire(each) for each in wire["schedules"])
        return cls(schedules, wire.get("hold"), wire.get("next_cursor"), wire)


def next_runs_in(wire: Mapping[str, Any]) -> tuple[NextRun, ...]:
    """The times to come in an answer."""
    moment = datetime.fromisoformat
    return tuple(NextRun(moment(each["utc"]), moment(each["local"])) for each in wire["next_runs"])


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
