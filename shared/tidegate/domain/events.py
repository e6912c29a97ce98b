"""What is announced of jobs, runs and budgets: an event for each transition, and for what is told of deadlines.

Their form is versioned: people may build upon it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from .budget import Level, Standing
from .cost import dollars
from .dag.run import Run, RunState
from .job import COARSE, TERMINAL, Ms, Sla, State

EVENT_VERSION = 1
"""Raised when a field changes its meaning or goes away; new fields may come at any time."""
MAX_MESSAGE = 500
"""Characters of an error message in an event: it is a notice, the job has the rest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One transition of one job, or one thing told of its deadlines."""

    id: str
    """The same however often the event is delivered."""
    type: str
    """`job.created`, `job.started` and so on: see `event_type`."""
    at: Ms
    tenant: str
    owner: str
    job_id: str
    name: str
    queue: str
    old_state: State | None
    state: State | None
    attempt: int
    details: Mapping[str, Any] = field(default_factory=dict)
    """More of the job, never its data or result: see `DETAILS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEvent:
    """One step in the life of one run: `type` is `dag.started`, `dag.late` and so on, see `RUN_EVENT_TYPES`."""

    id: str
    """The same however often the event is delivered."""
    type: str
    at: Ms
    tenant: str
    owner: str
    dag_id: str
    name: str
    state: RunState
    reason: str | None = None
    soft_sla: Ms | None = None
    hard_sla: Ms | None = None
    tags: tuple[str, ...] = ()
    correlation_id: str | None = None


RUN_STARTED, RUN_LATE, RUN_RESUMED = "dag.started", "dag.late", "dag.resumed"
_RUN_ENDED: Mapping[RunState, str] = {
    RunState.COMPLETED: "dag.completed",
    RunState.FAILED: "dag.failed",
    RunState.CANCELLED: "dag.cancelled",
    RunState.EXPIRED: "dag.expired",
}
RUN_EVENT_TYPES = (RUN_STARTED, RUN_LATE, RUN_RESUMED, *_RUN_ENDED.values())


def run_event(run: Run, kind: str | None, at: Ms) -> RunEvent:
    """The event that something became of a run; `kind` None: that it ended, as it stands."""
    kind = kind or _RUN_ENDED[run.state]
    return RunEvent(
        id=f"{run.id}-{run.resumed}-{kind.removeprefix('dag.')}",
        type=kind,
        at=at,
        tenant=run.tenant,
        owner=run.owner,
        dag_id=run.id,
        name=run.name,
        state=run.state,
        reason=run.reason,
        soft_sla=run.soft_sla,
        hard_sla=run.hard_sla,
        tags=run.tags,
        correlation_id=run.correlation_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEvent:
    """What is told of a tenant's budget, once in each period: `budget.warned`, `budget.reached`."""

    id: str
    """The same however often the event is delivered."""
    type: str
    at: Ms
    tenant: str
    period: str
    first: str
    """The first day of the period."""
    ends_at: Ms
    spent: int
    budget: int
    """In nano-dollars, both."""
    owner: str = ""
    """Nobody's: it is told to those who see the jobs of all users."""


BUDGET_EVENT_TYPES = tuple(f"budget.{level}" for level in Level)


def budget_event(tenant: str, standing: Standing, level: Level, at: Ms) -> BudgetEvent:
    """The event that a budget has come to a level. Another budget for the same period is told of anew."""
    return BudgetEvent(
        id=f"budget-{tenant}-{standing.period}-{standing.first}-{standing.budget}-{level}",
        type=f"budget.{level}",
        at=at,
        tenant=tenant,
        period=standing.period,
        first=standing.first.isoformat(),
        ends_at=standing.ends_at,
        spent=standing.spent,
        budget=standing.budget,
    )


AnyEvent = Event | RunEvent | BudgetEvent

DETAILS = (
    "priority", "worker_id", "started_at", "error_type", "error_message", "reason", "dag_id", "node", "tags",
    "soft_sla", "hard_sla", "correlation_id",
)  # fmt: skip
_TIMES = ("started_at", "soft_sla", "hard_sla")
"""What `Event.details` may hold, each only where the job has it."""

ENTERED: Mapping[State, str] = {
    State.CREATED: "job.created",
    State.ACTIVE: "job.started",
    State.RETRY: "job.retrying",
    State.COMPLETED: "job.completed",
    State.SKIPPED: "job.skipped",
    State.EXPIRED: "job.expired",
    State.CANCELLED: "job.cancelled",
    State.FAILED: "job.failed",
}
"""What entering a state is called."""
RESTARTED = "job.restarted"
ERASED = "job.erased"
SLA_EVENTS: Mapping[Sla, str] = {
    Sla.AT_RISK: "job.sla.at_risk",
    Sla.SOFT_MISSED: "job.sla.soft_missed",
    Sla.HARD_MISSED: "job.sla.hard_missed",
}
"""What is told of a job's deadlines; the job's state is then the same before and after."""
EVENT_TYPES = (*ENTERED.values(), RESTARTED, ERASED, *SLA_EVENTS.values())


def event_type(old: State | None, new: State | None) -> str:
    """What to call a transition; a job that is started over was restarted, one that is gone was erased."""
    if new is None:
        return ERASED
    return RESTARTED if new is State.CREATED and old in TERMINAL else ENTERED[new]


def body_of(event: AnyEvent) -> dict[str, Any]:
    """An event as people get it, in EventBridge's `detail` and in server-sent events alike."""
    return {
        "version": EVENT_VERSION,
        "id": event.id,
        "type": event.type,
        "time": _time(event.at),
        "tenant": event.tenant,
        **_told(event),
    }


def _told(event: AnyEvent) -> dict[str, Any]:
    if isinstance(event, RunEvent):
        return {"dag": _run_told(event)}
    return {"budget": _budget_told(event)} if isinstance(event, BudgetEvent) else {"job": _job_told(event)}


def _budget_told(event: BudgetEvent) -> dict[str, Any]:
    return {
        "period": event.period,
        "from": event.first,
        "until": _time(event.ends_at),
        "dollars": dollars(event.spent),
        "budget": dollars(event.budget),
    }


def _run_told(event: RunEvent) -> dict[str, Any]:
    times = {name: getattr(event, name) for name in ("soft_sla", "hard_sla")}
    known = {
        "reason": event.reason,
        **{name: None if at is None else _time(at) for name, at in times.items()},
        "tags": list(event.tags) or None,
        "correlation_id": event.correlation_id,
    }
    run = {"id": event.dag_id, "name": event.name, "owner": event.owner, "state": event.state}
    return {**run, **{name: value for name, value in known.items() if value is not None}}


def _job_told(event: Event) -> dict[str, Any]:
    details = {name: event.details[name] for name in DETAILS if event.details.get(name) is not None}
    details |= {name: _time(details[name]) for name in _TIMES if name in details}
    if "error_message" in details:
        details["error_message"] = details["error_message"][:MAX_MESSAGE]
    return {
        "id": event.job_id,
        "name": event.name,
        "queue": event.queue,
        "owner": event.owner,
        "old_state": event.old_state,
        "state": event.state,
        "status": None if event.state is None else COARSE[event.state],
        "attempt": event.attempt,
        **details,
    }


def _time(at: Ms) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03d}Z"
