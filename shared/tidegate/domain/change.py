"""One committed change of a job, as the change feed tells it in either home."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .job import OPEN, TERMINAL, WAITING, Json, Ms, Sla, State
from .sla import NO_DEADLINES, Deadlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One committed change of a job: `old_state` None when it was made, `state` None when it was erased."""

    tenant: str
    job_id: str
    old_state: State | None
    state: State | None
    attempt: int = 0
    at: Ms = 0
    started_at: Ms | None = None
    lease_until: Ms | None = None
    dag_id: str | None = None
    node: str | None = None
    id: str = ""
    """Names this change, the same however often it arrives."""
    name: str = ""
    queue: str = ""
    owner: str = ""
    webhook: Json = None
    """Who is told of the job's changes, besides those that its queue names."""
    old_attempt: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    """More of the job, for events: see `tidegate.domain.events.DETAILS`."""
    old_retries: int = 0
    retries: int = 0
    """Retries used before and after; 0 where there was, or is, no such job."""
    was_delayed: bool = False
    is_delayed: bool = False
    """Whether it waited, or waits, for a time of its own."""
    awaited: bool = False
    """Whether a task of Step Functions waits for the job's end."""
    was_waiting: int | None = None
    is_waiting: int | None = None
    """Its priority while it waited, or waits, for a worker or for its next attempt; None when it does not."""
    blobs: tuple[str, ...] = ()
    """Keys of an erased job's large values."""
    created_at: Ms = 0
    deadlines: Deadlines = NO_DEADLINES
    old_sla: Sla = Sla.NONE
    sla: Sla = Sla.NONE
    """What had been, and is, noted of its deadlines."""
    counted: bool = False
    """Whether it counts against its queue's `max_queue_size` until it starts."""
    unique_key: str | None = None
    old_cost: int = 0
    cost: int = 0
    """What the job had cost, and has, in nano-dollars; 0 where there was, or is, no such job."""

    @property
    def told(self) -> tuple[Sla, ...]:
        """What this change tells of the deadlines. A late end tells too; a restart nothing."""
        if self.state is None or self.old_state in TERMINAL:
            return ()
        return self.deadlines.told(self.old_sla, self.stands)

    @property
    def stands(self) -> Sla:
        """How the job stands to its deadlines: what is noted, and what its end makes of it."""
        return max(self.sla, self.deadlines.missed_at(self.at)) if self.state in TERMINAL else self.sla

    @property
    def met(self) -> bool:
        """Whether the job completed within its first deadline. One that ended otherwise in time counts as neither."""
        completes = self.state is State.COMPLETED and self.old_state in OPEN
        return completes and self.deadlines.first is not None and self.stands < Sla.SOFT_MISSED

    @property
    def opens(self) -> bool:
        """Whether the job was made, or started over."""
        return self.state in OPEN and (self.old_state is None or self.old_state in TERMINAL)


def starts_later(state: State, wake_at: Ms | None) -> bool:
    """Whether a job's first start is put off; a retry that waits for its time is not scheduled, it waits."""
    return state is State.CREATED and wake_at is not None


def waits_with(state: State, wake_at: Ms | None, priority: int | None, *, blocked: bool) -> int | None:
    """The priority of a job that waits for a worker, or for its next attempt; None for any other."""
    held = blocked or state not in WAITING or starts_later(state, wake_at)
    return None if held else priority
