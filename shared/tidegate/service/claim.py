"""Start the best ready job of a ticket's lane: exact priority on queues that have none.

A ticket starts the head of its lane, or its own job when that ranks better. Who loses a claim tries
the next candidate; what the index says is only a hint, the guarded write decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from tidegate.domain import guarded
from tidegate.domain.guarded import GuardedWrite, Lease, Outcome
from tidegate.domain.job import TERMINAL, WAITING, Job, Ms, State
from tidegate.domain.ticket import Ticket
from tidegate.ports import JobKey, Ports

from .policies import queue_named

_HEAD = 10
"""Candidates read at once: more than the workers that usually race for one lane."""
_ROUNDS = 5
PAUSED_SECONDS = 30.0
CLEAN_UP_TRIES = 2
"""Attempts beyond those allowed that may be made to clean up after a cancelled job whose worker vanished."""
LOOK_AGAIN_SECONDS = 3.0
"""How long the ready index may lag behind the table; seconds at most in practice (DynamoDB documents no bound)."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A job is yours: its `attempt` is the fencing number of your lease."""

    job: Job


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing to do now; the ticket is needed again in so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Spent:
    """Nothing to do; the ticket has served."""


Claim = Claimed | Later | Spent


def claim_for(
    ports: Ports,
    ticket: Ticket,
    worker_id: str,
    lease_seconds: float,
    *,
    receives: int,
    cleans_up: Collection[str] = (),
) -> Claim:
    """Start the job that this ticket entitles its bearer to.

    `receives` is how often the ticket was delivered, `lease_seconds` how long the lease lasts. `cleans_up` are
    the names of jobs that the bearer can clean up after: one that was cancelled, and whose worker vanished, is
    claimed once more for that, with `cancel_requested` set.
    """
    if queue_named(ports, ticket.tenant, ticket.queue).paused:
        return Later(PAUSED_SECONDS)
    now = ports.now()
    lease = Lease(worker_id, now + round(lease_seconds * 1000))
    lost_own: Outcome | None = None
    for job_id in _candidates(ports, ticket):
        outcome = _try(ports, guarded.claim_if_ready(ticket.lane, job_id, lease, now))
        if not outcome.applied and outcome.job is not None:
            outcome = _recover(ports, outcome.job, lease, now, cleans_up)
        if outcome.applied and outcome.job is not None and outcome.job.state is State.ACTIVE:
            return Claimed(outcome.job)
        if job_id == ticket.job_id:
            lost_own = outcome
    return _nothing(lost_own.job if lost_own else None, now, receives)


def _candidates(ports: Ports, ticket: Ticket) -> Iterator[str]:
    """Job ids in the order to be tried: the lane's best, the ticket's own where its rank puts it."""
    tried: set[str] = set()
    for _ in range(_ROUNDS):
        head = ports.jobs.head(ticket.lane, _HEAD)
        fresh = [ready for ready in head if ready.job_id not in tried]
        if ticket.job_id not in tried and all(ready.job_id != ticket.job_id for ready in fresh):
            rank = _stand_in_line(ports, ticket) if fresh else ticket.rank
            before = [ready.job_id for ready in fresh if ready.rank < rank]
            after = [ready.job_id for ready in fresh if ready.rank >= rank]
            order = [*before, ticket.job_id, *after]
        else:
            order = [ready.job_id for ready in fresh]
        if not order:
            return
        for job_id in order:
            tried.add(job_id)
            yield job_id
        if len(head) < _HEAD:
            return


def _stand_in_line(ports: Ports, ticket: Ticket) -> int:
    """The ticket's own job is outranked: if it was delayed until now, it must be seen in the ready order."""
    (own,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
    now = ports.now()
    if own is not None and own.state in WAITING and own.wake_at is not None and own.wake_at <= now:
        _try(ports, guarded.promote_if_due(own, now))
    return ticket.rank if own is None else own.rank


def _recover(ports: Ports, job: Job, lease: Lease, now: Ms, cleans_up: Collection[str]) -> Outcome:
    """What to do with a job that could not simply be claimed: reclaim, bury or expire it if that is due."""
    if job.state in WAITING and job.expires_at is not None and job.expires_at <= now:
        return _try(ports, guarded.expire_if_waiting(job, now))
    if not job.lease_lapsed(now):
        return Outcome(False, job)
    if job.cancel_requested:
        clean_up = job.name in cleans_up and job.attempt < job.attempts_allowed + CLEAN_UP_TRIES
        return _try(
            ports, guarded.reclaim_if_lapsed(job, lease, now) if clean_up else guarded.cancel_if_lapsed(job, now)
        )
    if job.is_last_attempt:
        return _try(ports, guarded.fail_if_lapsed(job, now))
    return _try(ports, guarded.reclaim_if_lapsed(job, lease, now))


def _nothing(own: Job | None, now: Ms, receives: int) -> Claim:
    if own is None or own.state in TERMINAL:
        return Later(LOOK_AGAIN_SECONDS) if receives <= 1 else Spent()
    if own.state is State.ACTIVE:
        return Later(LOOK_AGAIN_SECONDS if receives <= 1 else _seconds_until(own.lease_until, now))
    return Later(_seconds_until(own.wake_at, now))


def _seconds_until(time: Ms | None, now: Ms) -> float:
    reach = guarded.HOLD_REACH_MS
    return max(1.0, min((time or now) - now, reach) / 1000)


def _try(ports: Ports, write: GuardedWrite) -> Outcome:
    (outcome,) = ports.jobs.apply([write])
    return outcome
