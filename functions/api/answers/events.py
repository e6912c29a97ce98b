"""What `GET /events` streams and the bus carries."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from tidegate.domain.budget import Period
from tidegate.domain.dag.run import RunState
from tidegate.domain.events import BUDGET_EVENT_TYPES, EVENT_TYPES, RUN_EVENT_TYPES
from tidegate.domain.job import ErrorType, State

from .base import Day, Status, Table, Time


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


class BudgetInEvent(BaseModel):
    """The tenant's budget that an event is about."""

    period: Period
    from_: Day = Field(alias="from", description="The first day of the period.")
    until: Time
    dollars: float = Field(description="Spent so far.")
    budget: float


class Event(BaseModel):
    """The `data` of one server-sent event, and the `detail` of one on EventBridge. New fields may come."""

    version: Literal[1]
    id: str = Field(description="The same however often the event is delivered.")
    type: Literal[EVENT_TYPES + RUN_EVENT_TYPES + BUDGET_EVENT_TYPES]  # type: ignore[valid-type]
    time: Time
    tenant: str
    job: JobInEvent | None = Field(None, description="In the events job.*.")
    dag: RunInEvent | None = Field(None, description="In the events dag.*.")
    budget: BudgetInEvent | None = Field(None, description="In the events budget.*.")


ANSWERS: Table = {
    "stream_events": {200: Event},
}
