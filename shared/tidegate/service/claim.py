"""Start the best ready job of a ticket's lane: exact priority on queues that have none.

A ticket starts the head of its lane, or its own job when that ranks better. Who loses a claim tries
the next candidate; what the index says is only a hint, the guarded write decides.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tidegate.domain import guarded
from tidegate.domain.guard import HOLD_REACH_MS, GuardedWrite, Lease, Outcome
from tidegate.domain.job import TERMINAL, WAITING, Job, Ms, State
from tidegate.domain.queue import Queue
from tidegate.domain.sla import is_stopped
from tidegate.domain.ticket import Ticket
from tidegate.ports import JobKey, Ports, Ready

from . import settle
from .heads import Heads
from .limits import Full, Gate, confirmed, gate_of, leave, seconds_until_room
from .own_claim import claimed, lease_for
from .policies import queue_named

_ROUNDS = 5
_KEY_ROUNDS = 20
"""Where jobs are put aside for their keys: so many heads of them in one claim."""
PAUSED_SECONDS = 30.0
_LAST = float("inf")
"""Behind every rank."""
_NO_TICKET = -1
"""A reach that not even a wait of no time is within: the clock sends the ticket."""
CLEAN_UP_TRIES = 2
"""Attempts beyond those allowed that may be made to clean up after a cancelled job whose worker vanished."""
_FIRST_LEFT_SECONDS, _LONGEST_LEFT_SECONDS = 0.1, 10.0
"""How long a ticket is left to others that its bearer can do nothing with: twice as long each time it comes."""
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
    names: Collection[str] = (),
    heads: Heads | None = None,
) -> Claim:
    """Start the job that this ticket entitles its bearer to.

    `receives` is how often the ticket was delivered, `lease_seconds` how long the lease lasts. `cleans_up` are
    the names of jobs that the bearer can clean up after: one that was cancelled, and whose worker vanished, is
    claimed once more for that, with `cancel_requested` set. With `names`, only jobs of these names are started, and
    the ticket of another is left to other bearers. `heads` are those that the bearer goes by; without them, with names
    and within limits, where a candidate that is gone costs several writes, each claim asks for itself.
    """
    queue = queue_named(ports, ticket.tenant, ticket.queue)
    if queue.paused:
        return Later(PAUSED_SECONDS)
    now = ports.now()
    gate, asking = gate_of(ports, queue), Heads(ports, 0)
    shared = asking if heads is None or names or gate is not None else heads
    lease, head = lease_for(ports, worker_id, lease_seconds, now), None
    if names:
        head = shared.read(ticket.lane, names, ports.first_look)
    bearer = _Bearer(ticket, lease, receives, shared, cleans_up, names, head)
    if head is not None and _is_for_others(ports, bearer, head[0]):
        return Later(min(_LONGEST_LEFT_SECONDS, _FIRST_LEFT_SECONDS * 2.0 ** min(receives - 1, 10)))
    if gate is not None:
        return _claim_within_limits(ports, queue, gate, bearer, now)
    lost_own: Outcome | None = None
    for job_id in _candidates(ports, bearer):
        outcome = _started(ports, bearer, job_id, now)
        if outcome.job is not None and _is_claim(outcome):
            return Claimed(outcome.job)
        if job_id == ticket.job_id:
            lost_own = outcome
    return _nothing(ports, lost_own.job if lost_own else None, now, receives)


def claim_own(ports: Ports, ticket: Ticket, worker_id: str, lease_seconds: float) -> Job | Full | None:
    """Start the ticket's own job or none, for who has looked at the lane already. Full: nothing of it can start now."""
    queue, now = queue_named(ports, ticket.tenant, ticket.queue), ports.now()
    bearer = _Bearer(ticket, lease_for(ports, worker_id, lease_seconds, now), 1, Heads(ports, 0))
    gate = gate_of(ports, queue)
    if gate is not None:
        found, _ = _through(ports, gate, bearer, now, [ticket.job_id])
        gate.close()
        return found
    outcome = _started(ports, bearer, ticket.job_id, now)
    return outcome.job if _is_claim(outcome) else None


class _Bearer(NamedTuple):
    """Who claims: see `claim_for`."""

    ticket: Ticket
    lease: Lease
    receives: int
    heads: Heads
    cleans_up: Collection[str] = ()
    names: Collection[str] = ()
    head: tuple[Sequence[Ready], bool] | None = None
    """What `Heads.read` has answered for this claim."""


def _is_for_others(ports: Ports, bearer: _Bearer, head: Sequence[Ready]) -> bool:
    """Whether the ticket's own job waits, or was lost, that its bearer does not run; those in the head it does run."""
    ticket = bearer.ticket
    if any(ready.job_id == ticket.job_id for ready in head):
        return False
    (own,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
    return own is not None and own.state not in TERMINAL and own.name not in bearer.names


def _started(ports: Ports, bearer: _Bearer, job_id: str, now: Ms) -> Outcome:
    """The claim of one candidate, or what else was due to it."""
    claim = guarded.claim_if_ready(bearer.ticket.lane, job_id, bearer.lease, now)
    outcome = claimed(ports, claim, bearer.lease)
    if not outcome.applied and outcome.job is not None:
        return _recover(ports, outcome.job, bearer, now)
    return outcome


def _is_claim(outcome: Outcome) -> bool:
    return outcome.applied and outcome.job is not None and outcome.job.state is State.ACTIVE


def _claim_within_limits(ports: Ports, queue: Queue, gate: Gate, bearer: _Bearer, now: Ms) -> Claim:
    """The same where something limits what may start: candidates pass the gate one by one, until it is full."""
    candidates = _candidates(ports, bearer, _ROUNDS if queue.key_slots is None else _KEY_ROUNDS)
    found, own = _through(ports, gate, bearer, now, candidates)
    if isinstance(found, Full):
        claim = _held_up(ports, queue, bearer, found)
    elif found is not None and not is_wanted(ports, found, bearer.names):
        claim = Later(_FIRST_LEFT_SECONDS)
    else:
        claim = _nothing(ports, own, now, bearer.receives) if found is None else Claimed(found)
    gate.close()
    return claim


def _through(
    ports: Ports, gate: Gate, bearer: _Bearer, now: Ms, candidates: Iterable[str]
) -> tuple[Job | Full | None, Job | None]:
    """What got through the gate, or why nothing did; and the ticket's own job if it was tried in vain."""
    own: Job | None = None
    for job_id in candidates:
        outcome = gate.start(job_id, bearer.lease, now)
        if isinstance(outcome, Full):
            return outcome, own
        if not outcome.applied and outcome.job is not None:
            outcome = _recover(ports, outcome.job, bearer, now)
        if _is_claim(outcome):
            return outcome.job, own
        if job_id == bearer.ticket.job_id:
            own = outcome.job
    return None, own


def _held_up(ports: Ports, queue: Queue, bearer: _Bearer, full: Full) -> Claim:
    """What a ticket of a full queue is good for: its own job may run and need another holder, or must get in line."""
    ticket = bearer.ticket
    (own,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
    now = ports.now()
    if own is not None and (own.lease_lapsed(now, ports.lease_grace_ms) or is_stopped(own, now)):
        outcome = _recover(ports, own, bearer, now)
        if outcome.job is not None and _is_claim(outcome):
            return Claimed(outcome.job)
        own = outcome.job
    if own is None or own.state in TERMINAL:
        return Spent()
    if own.state is State.ACTIVE or (own.wake_at is not None and own.wake_at > now):
        return _nothing(ports, own, now, bearer.receives)
    if own.wake_at is not None:
        _try(ports, guarded.promote_if_due(own, now))
    if full.holding is not None and full.holding.waiting is None:
        ports.slots.expect(full.holding.semaphore, own.id)
    seconds = seconds_until_room(ports, queue, full, bearer.receives, now)
    return Spent() if seconds is None else Later(seconds)


def is_wanted(ports: Ports, job: Job, names: Collection[str]) -> bool:
    """Whether a started job is one of these names; lets go of it if not, without using up an attempt.

    A job that waited for a slot of its key is started for another one, whatever its name.
    """
    if not names or job.name in names:
        return True
    settle.snooze(ports, job, 0, reach=_NO_TICKET)
    return False


def _candidates(ports: Ports, bearer: _Bearer, rounds: int = _ROUNDS) -> Iterator[str]:
    """Job ids in the order to be tried: the lane's best, the ticket's own where its rank puts it.

    First those of a head that was read moments ago, until one is not to be had; then of heads read anew.
    """
    ticket, heads, tried = bearer.ticket, bearer.heads, set[str]()
    shared = heads.shared(ticket.lane)
    for job_id in _in_order(ports, bearer, shared, tried) if shared else ():
        tried.add(job_id)
        heads.tries(ticket.lane, job_id)
        yield job_id
        if any(ready.job_id == job_id for ready in shared):
            heads.contest(ticket.lane)
            break
    read = bearer.head or heads.read(ticket.lane, bearer.names, ports.first_look)
    for number in range(rounds):
        head, more = read if number == 0 else heads.read(ticket.lane, bearer.names)
        order = _in_order(ports, bearer, head, tried)
        for job_id in order:
            tried.add(job_id)
            heads.tries(ticket.lane, job_id)
            yield job_id
        if not more or not order:
            return


def _in_order(ports: Ports, bearer: _Bearer, head: Sequence[Ready], tried: Collection[str]) -> Sequence[str]:
    """Those of a head that were not tried, and the ticket's own job among them."""
    own = bearer.ticket.job_id
    fresh = [ready for ready in head if ready.job_id not in tried]
    if own in tried or any(ready.job_id == own for ready in fresh):
        return [ready.job_id for ready in fresh]
    rank = _stand_in_line(ports, bearer) if fresh else _LAST
    before = [ready.job_id for ready in fresh if ready.rank < rank]
    after = [ready.job_id for ready in fresh if ready.rank >= rank]
    return [*before, own, *after]


def _stand_in_line(ports: Ports, bearer: _Bearer) -> float:
    """The ticket's own job is outranked: if it was delayed until now, it must be seen in the ready order.

    Answers its rank; where another ticket has started or ended it, so that nothing is due to it, a place behind all.
    """
    ticket, now = bearer.ticket, ports.now()
    (own,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
    if own is None or own.state in TERMINAL:
        return _LAST
    if own.state is State.ACTIVE:
        return own.rank if own.lease_lapsed(now, ports.lease_grace_ms) or is_stopped(own, now) else _LAST
    bearer.heads.waits(own.id)
    if own.wake_at is not None and own.wake_at <= now:
        _try(ports, guarded.promote_if_due(own, now))
    return own.rank


def _recover(ports: Ports, job: Job, bearer: _Bearer, now: Ms) -> Outcome:
    """What to do with a job that could not simply be claimed: reclaim, bury, expire or stop it if that is due."""
    if is_stopped(job, now):
        stopped = _try(ports, guarded.end_if_hard_missed(job, now))
        return _ended(ports, stopped) if job.state is State.ACTIVE else stopped
    if job.state in WAITING and job.expires_at is not None and job.expires_at <= now:
        return _try(ports, guarded.expire_if_waiting(job, now))
    if not job.lease_lapsed(now, ports.lease_grace_ms):
        return Outcome(False, job)
    if job.cancel_requested:
        clean_up = job.name in bearer.cleans_up and job.attempt < job.attempts_allowed + CLEAN_UP_TRIES
        if clean_up:
            return _reclaimed(ports, job, bearer, now)
        return _ended(ports, _try(ports, guarded.cancel_if_lapsed(job, now)))
    if job.is_last_attempt:
        return _ended(ports, _try(ports, guarded.fail_if_lapsed(job, now)))
    return _reclaimed(ports, job, bearer, now)


def _reclaimed(ports: Ports, job: Job, bearer: _Bearer, now: Ms) -> Outcome:
    """The next attempt, in the slots of the lost one."""
    outcome = claimed(ports, guarded.reclaim_if_lapsed(job, bearer.lease, now), bearer.lease)
    return outcome if job.slot is None else confirmed(ports, queue_named(ports, job.tenant, job.queue), outcome)


def _ended(ports: Ports, outcome: Outcome) -> Outcome:
    if outcome.applied and outcome.job is not None:
        leave(ports, outcome.job)
    return outcome


def _nothing(ports: Ports, own: Job | None, now: Ms, receives: int) -> Claim:
    if own is None or own.state in TERMINAL:
        return Later(LOOK_AGAIN_SECONDS) if receives <= 1 else Spent()
    if own.state is State.ACTIVE:
        if receives <= 1:
            return Later(LOOK_AGAIN_SECONDS)
        return Later(_seconds_until((own.lease_until or now) + ports.lease_grace_ms, now))
    return Later(_seconds_until(own.wake_at, now))


def _seconds_until(time: Ms | None, now: Ms) -> float:
    reach = HOLD_REACH_MS
    return max(1.0, min((time or now) - now, reach) / 1000)


def _try(ports: Ports, write: GuardedWrite) -> Outcome:
    (outcome,) = ports.jobs.apply([write])
    return outcome
