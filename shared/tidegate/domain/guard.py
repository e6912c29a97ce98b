"""What a guarded write is: the guard that must hold, what is written when it does, and where the job stands then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .cost import FREE, Fare
from .job import RESTARTABLE, WAITING, Job, Ms, Progress, Sla, State
from .sla import is_stopped
from .ticket import Lane


class Place(StrEnum):
    """Where a job stands in the sparse index."""

    READY = "ready"
    """In its lane, by rank: may start now."""
    PARKED = "parked"
    """Beside its lane, by rank: all slots of its concurrency key are taken."""
    DUE = "due"
    """Among all delayed jobs, by the time the clock must look at it."""
    SHELF = "shelf"
    """Among its tenant's ended jobs of one state; COMPLETED jobs are not shelved."""
    OFF = "off"
    """Nowhere: running, or completed."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A position in the sparse index: the partition's parts, then the sort value."""

    place: Place
    lane: Lane | None = None
    state: State | None = None
    order: int = 0
    key: str | None = None
    """The concurrency key of a parked job."""


OFF = Spot(Place.OFF)
SEND_REACH_MS = 900_000
"""How far ahead a ticket can be sent: 15 minutes, the longest `DelaySeconds` of SQS."""
HOLD_REACH_MS = 12 * 3_600_000
"""How long a delivered ticket can be kept out of sight: 12 hours, the longest visibility time-out of SQS."""
RESCUE_MS = 90_000
"""How long after its time a delayed job whose ticket is under way is taken for lost."""


def due_spot(wake_at: Ms, *, ticketed: bool) -> Spot:
    """When the clock must look at a delayed job: at its time, or only to rescue it if a ticket is under way."""
    return Spot(Place.DUE, order=wake_at + RESCUE_MS if ticketed else wake_at)


@dataclass(frozen=True, slots=True)
class Guard:
    """What must hold for a write: every part that is given.

    - `states`: the job's state is one of these
    - `attempt`: this attempt is the current one (the fencing number)
    - `woken_by`: its `wake_at` is absent or not after this time
    - `unexpired_at` / `expired_by`: its `expires_at` is absent or after / present and not after
    - `lease_ended_by`: its `lease_until` is not after this time
    - `lease_seen`: its `lease_until` is still the one that the caller saw: no heartbeat came since
    - `cancel_requested`: a stop has, or has not, been asked for
    - `seen_at`: nobody has written it since this time, when the caller looked at it
    - `blocked`: it waits, or does not wait, for other nodes of its run
    - `sla_below`: not so much has been noted of its deadlines
    - `unstopped_at`: its hard deadline does not end it at this time (`is_stopped`)
    """

    states: frozenset[State]
    attempt: int | None = None
    woken_by: Ms | None = None
    unexpired_at: Ms | None = None
    expired_by: Ms | None = None
    lease_ended_by: Ms | None = None
    lease_seen: Ms | None = None
    cancel_requested: bool | None = None
    blocked: bool | None = None
    seen_at: Ms | None = None
    sla_below: Sla | None = None
    unstopped_at: Ms | None = None

    def holds(self, job: Job) -> bool:
        """Whether `job` satisfies every part: the meaning that each store's condition must equal."""
        return (
            job.state in self.states
            and (self.attempt is None or job.attempt == self.attempt)
            and (self.woken_by is None or job.wake_at is None or job.wake_at <= self.woken_by)
            and (self.unexpired_at is None or job.expires_at is None or job.expires_at > self.unexpired_at)
            and (self.expired_by is None or _by(job.expires_at, self.expired_by))
            and (self.lease_ended_by is None or _by(job.lease_until, self.lease_ended_by))
            and (self.lease_seen is None or job.lease_until == self.lease_seen)
            and (self.cancel_requested is None or job.cancel_requested == self.cancel_requested)
            and (self.seen_at is None or job.updated_at == self.seen_at)
            and (self.blocked is None or job.blocked == self.blocked)
            and (self.sla_below is None or job.sla < self.sla_below)
            and (self.unstopped_at is None or not is_stopped(job, self.unstopped_at))
        )


def _by(time: Ms | None, limit: Ms) -> bool:
    return time is not None and time <= limit


@dataclass(frozen=True, slots=True)
class GuardedWrite:
    """One conditional update of one job. `spot` None leaves the job where it stands in the index."""

    tenant: str
    job_id: str
    guard: Guard
    values: Mapping[str, Any]
    spot: Spot | None = None
    next_attempt: bool = False
    """Also raise `attempt` by one: the write is a claim."""
    charge: int = 0
    """Also add so much to `cost`."""
    takes_key: bool = False
    """Also become the job of its unique key. Guard: no other job stands in the way (`stands_in_way`)."""

    def telling(self, progress: Progress | None) -> GuardedWrite:
        """The same write, which also says how far the attempt came; nothing is added for None."""
        return self if progress is None else replace(self, values={**self.values, "progress": progress})


@dataclass(frozen=True, slots=True)
class Lease:
    """What a claim hands out: who holds the job, and until when unless extended."""

    worker_id: str
    until: Ms
    slot: str | None = None
    """Under which name the claim holds slots of the queue."""
    token: str | None = None
    """What the claim can be known by afterwards: a text that nobody else uses. None: it need not be."""
    fare: Fare = FREE
    """What the attempt costs where it runs."""

    def is_of(self, job: Job) -> bool:
        """Whether this lease is the one that the job runs under."""
        return self.token is not None and job.state is State.ACTIVE and job.claim_token == self.token


def spot_of(job: Job) -> Spot:
    """Where a job belongs in the index when it was last written at `updated_at`."""
    if job.blocked:
        return OFF
    if job.state in WAITING:
        return waiting_spot(job, job.wake_at, job.updated_at)
    if job.state in RESTARTABLE or job.state is State.SKIPPED:
        return Spot(Place.SHELF, Lane(job.tenant, job.queue), job.state, job.completed_at or 0)
    return OFF


def waiting_spot(job: Job, wake_at: Ms | None, now: Ms) -> Spot:
    """Where a job stands that waits for a worker or, with `wake_at`, for its time first."""
    return ready_spot(job) if wake_at is None else due_spot(wake_at, ticketed=wake_at - now <= SEND_REACH_MS)


def ready_spot(job: Job) -> Spot:
    """Where a job stands that may start: in its lane."""
    return Spot(Place.READY, Lane(job.tenant, job.queue), order=job.rank)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a guarded write: the job as it is now, and whether the write made it so.

    `job` is None when there is no such job.
    """

    applied: bool
    job: Job | None = None
