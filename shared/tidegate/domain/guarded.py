"""Every change of state, as data: which guard must hold, and what is written when it does.

A store applies a `GuardedWrite` as one conditional update: all of the guard holds and everything is
written, or nothing is. The functions here are the only way a stored job changes:

    claim ──▶ lease ──▶ heartbeat … ──▶ settle          each fenced by `attempt`
      │         │ lapsed
      │         └──▶ reclaim (the next attempt), back in line, or fail
      └── waiting jobs may instead be promoted, moved, cancelled or expired
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .guard import (
    OFF,
    Guard,
    GuardedWrite,
    Lease,
    Place,
    Spot,
    due_spot,
    ready_spot,
    waiting_spot,
)
from .job import OPEN, RESTARTABLE, WAITING, ErrorType, Failure, HardMiss, Job, Json, Ms, Progress, Sla, State
from .sla import deadlines
from .ticket import Lane
from .uniqueness import takes_key

MAX_FAILURES_KEPT = 20
MAX_ERROR_LENGTH = 2_000
"""Characters of an error message that are kept, so that history never fills an item (400 KB in DynamoDB)."""


MISSED_HARD = "its hard deadline passed before it was done"

_NO_ERROR: Mapping[str, Any] = {"error_type": None, "error_message": None}
_NO_LEASE: Mapping[str, Any] = {"lease_until": None}


def claim_if_ready(lane: Lane, job_id: str, lease: Lease, now: Ms) -> GuardedWrite:
    """Start the next attempt of a waiting job whose time has come and has not run out."""
    guard = Guard(WAITING, woken_by=now, unexpired_at=now, blocked=False, unstopped_at=now)
    start = lease.fare.start
    return GuardedWrite(lane.tenant, job_id, guard, _started(lease, now), OFF, next_attempt=True, charge=start)


def reclaim_if_lapsed(job: Job, lease: Lease, now: Ms) -> GuardedWrite:
    """Start the next attempt of a job whose holder let the lease run out; the lost attempt is put on record.

    The slots of the lost attempt go over to the next one.
    """
    values = {
        **_started(lease, now),
        "slot": lease.slot or job.slot,
        "failures": _with_failure(job, _lost(job, now)),
        "cost": _cost_of_lost(job, now) + lease.fare.start,
    }
    return GuardedWrite(job.tenant, job.id, _lapsed(job, now), values, OFF, next_attempt=True)


def release_if_lapsed(job: Job, now: Ms) -> GuardedWrite:
    """Put a job whose holder let the lease run out back in line at once; the lost attempt is put on record.

    One that was to stop remembers it: whoever starts it again cleans up and ends it.
    """
    lost = _lost(job, now)
    values = {
        **_waiting(State.RETRY, None, now),
        "failures": _with_failure(job, lost),
        "error_type": lost.error_type,
        "error_message": lost.error_message,
        "cost": _cost_of_lost(job, now),
    }
    guard = replace(_lapsed(job, now), cancel_requested=job.cancel_requested)
    return GuardedWrite(job.tenant, job.id, guard, values, ready_spot(job))


def fail_if_lapsed(job: Job, now: Ms) -> GuardedWrite:
    """End a job whose last allowed attempt vanished."""
    values, spot = _failed(job, _lost(job, now), now)
    return GuardedWrite(job.tenant, job.id, _lapsed(job, now), {**values, "cost": _cost_of_lost(job, now)}, spot)


def cancel_if_lapsed(job: Job, now: Ms) -> GuardedWrite:
    """End a job that was to stop and whose holder vanished; the lost attempt is put on record."""
    values, spot = _ended(job, State.CANCELLED, now)
    values |= {"failures": _with_failure(job, _lost(job, now)), "cost": _cost_of_lost(job, now)}
    return GuardedWrite(job.tenant, job.id, _lapsed(job, now), values, spot)


def reset_if_held(job: Job, why: str, now: Ms) -> GuardedWrite:
    """Take a running attempt from its holder, at a person's wish: the job waits again, the holder is locked out.

    The attempt goes on record and does not count against the retries.
    """
    failure = failure_of(job, ErrorType.SYSTEM, why, now)
    values = {
        **_waiting(State.RETRY, None, now),
        "failures": _with_failure(job, failure),
        "error_type": failure.error_type,
        "error_message": failure.error_message,
        "attempts_allowed": job.attempts_allowed + 1,
        "cost": _cost_at(job, now),
    }
    guard = Guard(frozenset({State.ACTIVE}), attempt=job.attempt, cancel_requested=False)
    return GuardedWrite(job.tenant, job.id, guard, values, ready_spot(job))


def extend_if_held(job: Job, until: Ms, now: Ms, progress: Progress | None) -> GuardedWrite:
    """Heartbeat: keep the lease, and tell how far the attempt is."""
    values: dict[str, Any] = {"lease_until": until, "updated_at": now}
    if progress is not None:
        values["progress"] = progress
    return GuardedWrite(job.tenant, job.id, _held(job), values)


def complete_if_held(job: Job, result: Json, result_ref: str | None, now: Ms) -> GuardedWrite:
    """Record the result, once."""
    values, spot = _ended(job, State.COMPLETED, now)
    values |= {**_NO_ERROR, "result": result, "result_ref": result_ref, "cost": _cost_at(job, now)}
    return GuardedWrite(job.tenant, job.id, _held(job), values, spot)


def skip_if_held(job: Job, reason: str, now: Ms) -> GuardedWrite:
    """End an attempt that found nothing to do."""
    values, spot = _ended(job, State.SKIPPED, now)
    values |= {"reason": reason, "cost": _cost_at(job, now)}
    return GuardedWrite(job.tenant, job.id, _held(job), values, spot)


def retry_if_held(job: Job, failure: Failure, wake_at: Ms, now: Ms, *, ticketed: bool) -> GuardedWrite:
    """Put a failed attempt on record and wait for the next; refused once a stop was asked for."""
    values = {
        **_waiting(State.RETRY, wake_at, now),
        "failures": _with_failure(job, failure),
        "error_type": failure.error_type,
        "error_message": failure.error_message,
        "cost": _cost_at(job, now),
        **_timed_out(job, failure),
    }
    guard = Guard(frozenset({State.ACTIVE}), attempt=job.attempt, cancel_requested=False)
    return GuardedWrite(job.tenant, job.id, guard, values, due_spot(wake_at, ticketed=ticketed))


def snooze_if_held(job: Job, wake_at: Ms, now: Ms, *, ticketed: bool) -> GuardedWrite:
    """Wait again, at the handler's wish; the attempt does not count against the retries."""
    values = {
        **_waiting(State.RETRY, wake_at, now),
        **_NO_ERROR,
        "attempts_allowed": job.attempts_allowed + 1,
        "cost": _cost_at(job, now),
    }
    guard = Guard(frozenset({State.ACTIVE}), attempt=job.attempt, cancel_requested=False)
    return GuardedWrite(job.tenant, job.id, guard, values, due_spot(wake_at, ticketed=ticketed))


def fail_if_held(job: Job, failure: Failure, now: Ms) -> GuardedWrite:
    """End a job whose last attempt failed, or whose failure is permanent."""
    values, spot = _failed(job, failure, now)
    return GuardedWrite(job.tenant, job.id, _held(job), {**values, "cost": _cost_at(job, now)}, spot)


def cancel_if_held(job: Job, now: Ms, failure: Failure | None = None) -> GuardedWrite:
    """End an attempt that stopped because it was asked to; what went wrong while it stopped is put on record."""
    values, spot = _ended(job, State.CANCELLED, now)
    values["cost"] = _cost_at(job, now)
    if failure is not None:
        values["failures"] = _with_failure(job, failure)
        values["error_type"] = failure.error_type
        values["error_message"] = failure.error_message
    return GuardedWrite(job.tenant, job.id, _held(job), values, spot)


def cancel_if_waiting(job: Job, reason: str, now: Ms) -> GuardedWrite:
    """Stop a job that has not started."""
    values, spot = _ended(job, State.CANCELLED, now)
    return GuardedWrite(job.tenant, job.id, Guard(WAITING), {**values, "reason": reason}, spot)


def request_cancel_if_active(job: Job, reason: str, now: Ms) -> GuardedWrite:
    """Ask a running attempt to stop; its worker learns of it with the next heartbeat."""
    values = {"cancel_requested": True, "reason": reason, "updated_at": now}
    return GuardedWrite(job.tenant, job.id, Guard(frozenset({State.ACTIVE})), values)


def expire_if_waiting(job: Job, now: Ms) -> GuardedWrite:
    """End a job that waited longer than it may."""
    values, spot = _ended(job, State.EXPIRED, now)
    reason = "it was not started before expires_at"
    return GuardedWrite(job.tenant, job.id, Guard(WAITING, expired_by=now), {**values, "reason": reason}, spot)


def note_sla_if_open(job: Job, sla: Sla, rank: int, now: Ms) -> GuardedWrite:
    """Note how a job stands to its deadlines; one that waits gets the rank that this gives it."""
    if job.state not in WAITING:
        guard = Guard(frozenset({State.ACTIVE}), attempt=job.attempt, sla_below=sla)
        return GuardedWrite(job.tenant, job.id, guard, {"sla": sla, "updated_at": now})
    write = move_if_waiting(job, job.priority, rank, now)
    return replace(write, guard=replace(write.guard, sla_below=sla), values={**write.values, "sla": sla})


def end_if_hard_missed(job: Job, now: Ms) -> GuardedWrite:
    """End a job, running or not, that missed its hard deadline; whoever holds it is locked out."""
    fails = job.on_hard_miss is HardMiss.FAIL
    values, spot = _ended(job, State.FAILED if fails else State.EXPIRED, now)
    values |= {"reason": MISSED_HARD, "sla": Sla.HARD_MISSED}
    if fails:
        values |= {"error_type": ErrorType.TIMEOUT, "error_message": MISSED_HARD}
    if job.state is State.ACTIVE:
        values["failures"] = _with_failure(job, failure_of(job, ErrorType.TIMEOUT, MISSED_HARD, now))
        values["cost"] = _cost_at(job, now)
    guard = Guard(frozenset({job.state}) & OPEN, attempt=job.attempt, sla_below=Sla.HARD_MISSED)
    return GuardedWrite(job.tenant, job.id, guard, values, spot)


def promote_if_due(job: Job, now: Ms) -> GuardedWrite:
    """Put a delayed job whose time has come among the ready ones of its lane."""
    values = {"wake_at": None, "updated_at": now}
    return GuardedWrite(
        job.tenant, job.id, Guard(WAITING, woken_by=now, seen_at=job.updated_at), values, ready_spot(job)
    )


def park_if_waiting(job: Job, now: Ms) -> GuardedWrite:
    """Put a job whose time has come beside its lane: others may start before it until its key has a free slot."""
    values = {"wake_at": None, "updated_at": now}
    guard = Guard(WAITING, attempt=job.attempt, woken_by=now, blocked=False, seen_at=job.updated_at)
    spot = Spot(Place.PARKED, Lane(job.tenant, job.queue), order=job.rank, key=job.concurrency_key)
    return GuardedWrite(job.tenant, job.id, guard, values, spot)


def mark_ticketed_if_waiting(job: Job, now: Ms) -> GuardedWrite:
    """A ticket for a delayed job's time is under way: the clock need not look again before that one must be lost."""
    guard = Guard(WAITING, attempt=job.attempt, seen_at=job.updated_at)
    spot = due_spot(job.wake_at or now, ticketed=True)
    return GuardedWrite(job.tenant, job.id, guard, {"updated_at": now}, spot)


def move_if_waiting(job: Job, priority: int, rank: int, now: Ms) -> GuardedWrite:
    """Give a waiting job another priority; a ready one changes its place in the lane at once."""
    values = {"priority": priority, "rank": rank, "updated_at": now}
    spot = Spot(Place.READY, Lane(job.tenant, job.queue), order=rank) if job.wake_at is None else None
    guard = Guard(frozenset({job.state}) & WAITING, attempt=job.attempt, blocked=job.blocked, seen_at=job.updated_at)
    return GuardedWrite(job.tenant, job.id, guard, values, None if job.blocked else spot)


def wait_with_if_open(job: Job, token: str) -> GuardedWrite:
    """Another task of Step Functions waits for the end of an open job. Nothing else about it changes."""
    return GuardedWrite(job.tenant, job.id, Guard(OPEN), {"task_token": token})


def restart_if_ended(job: Job, now: Ms, *, counted: bool = False) -> GuardedWrite:
    """Give an ended job a fresh set of attempts; its numbering goes on, so an old holder stays locked out.

    `counted`: give it one of the retries that it has left instead, if there are any.
    Deadlines that it missed before it ended are not held against it again.
    """
    left = job.attempts_allowed if counted and not job.is_last_attempt else job.attempt + 1 + job.retry_limit
    values = {
        **_waiting(State.CREATED, None, now),
        **_NO_ERROR,
        "attempts_allowed": left,
        "completed_at": None,
        "expires_at": None,
        "cancel_requested": False,
        "reason": None,
        "progress": None,
        "timeouts": 0,
    }
    missed = deadlines(job).missed_at(job.completed_at or now)
    if missed > job.sla:
        values["sla"] = missed
    guard = Guard(RESTARTABLE, attempt=job.attempt, seen_at=job.updated_at)
    return GuardedWrite(job.tenant, job.id, guard, values, ready_spot(job), takes_key=takes_key(job))


def unblock(job: Job, now: Ms) -> GuardedWrite:
    """Let a job start that waited for other nodes of its run. Its time to wait in line, and to expire, begins now."""
    times = times_of_release(job, now)
    values = {"blocked": False, "updated_at": now, **times}
    guard = Guard(frozenset({State.CREATED}), blocked=True)
    return GuardedWrite(job.tenant, job.id, guard, values, waiting_spot(job, times["wake_at"], now))


def times_of_release(job: Job, now: Ms) -> dict[str, Any]:
    """When a job of a run that may start now wakes, and when it expires if it was not started by then."""
    wake_at = job.start_after if job.start_after is not None and job.start_after > now else None
    if job.expires_at is None:
        return {"wake_at": wake_at}
    begun = max(job.created_at, job.start_after or 0)
    return {"wake_at": wake_at, "expires_at": job.expires_at - begun + (wake_at or now)}


def fan_out_if_blocked(job: Job, data: Json, now: Ms) -> GuardedWrite:
    """Note into how many entries a node was fanned out, unless others have; its job goes on waiting, for them."""
    guard = Guard(frozenset({State.CREATED}), blocked=True, seen_at=job.updated_at)
    return GuardedWrite(job.tenant, job.id, guard, {"data": data, "updated_at": now})


def skip_if_blocked(job: Job, reason: str, now: Ms, *, broken: bool) -> GuardedWrite:
    """End a job that is not to run: its branch was not taken, or (`broken`) something before it failed."""
    values, spot = _ended(job, State.SKIPPED, now)
    values |= {"reason": reason, "broken": broken, "blocked": False}
    return GuardedWrite(job.tenant, job.id, Guard(frozenset({State.CREATED}), blocked=True), values, spot)


def block_again_if_ended(job: Job, now: Ms) -> GuardedWrite:
    """Give a job of a run that is resumed a fresh set of attempts; it waits for its upstream nodes again."""
    restarted = restart_if_ended(job, now)
    values = {**restarted.values, "blocked": True, "broken": False}
    guard = Guard(RESTARTABLE | {State.SKIPPED}, attempt=job.attempt)
    return GuardedWrite(job.tenant, job.id, guard, values, OFF)


def _held(job: Job) -> Guard:
    return Guard(frozenset({State.ACTIVE}), attempt=job.attempt)


def _lapsed(job: Job, now: Ms) -> Guard:
    """Nobody heard of its holder since it was read: the clock of who takes over may be ahead of the holder's."""
    return Guard(frozenset({State.ACTIVE}), attempt=job.attempt, lease_ended_by=now, lease_seen=job.lease_until)


def _started(lease: Lease, now: Ms) -> dict[str, Any]:
    return {
        "state": State.ACTIVE,
        "lease_until": lease.until,
        "worker_id": lease.worker_id,
        "started_at": now,
        "updated_at": now,
        "wake_at": None,
        "progress": None,
        "slot": lease.slot,
        "claim_token": lease.token,
        "second_cost": lease.fare.second,
    }


def _cost_at(job: Job, end: Ms) -> int:
    """What a running job has cost if its attempt ends then. The guard must be fenced by the attempt."""
    ran = max(0, end - (job.started_at or end))
    return job.cost + ran * job.second_cost // 1000


def _cost_of_lost(job: Job, now: Ms) -> int:
    """The same of an attempt whose holder vanished: it is taken to have run until its lease ended."""
    return _cost_at(job, min(now, job.lease_until or now))


def _waiting(state: State, wake_at: Ms | None, now: Ms) -> dict[str, Any]:
    return {"state": state, "wake_at": wake_at, "updated_at": now, **_NO_LEASE}


def _ended(job: Job, state: State, now: Ms) -> tuple[dict[str, Any], Spot]:
    values = {"state": state, "completed_at": now, "updated_at": now, "wake_at": None, **_NO_LEASE}
    if job.blocked:
        values["blocked"] = False
    if (keep_until := _kept_until(job, now)) is not None:
        values["keep_until"] = keep_until
    shelved = Spot(Place.SHELF, Lane(job.tenant, job.queue), state, now)
    return values, OFF if state is State.COMPLETED else shelved


def _kept_until(job: Job, now: Ms) -> Ms | None:
    """Until when a job is kept that ends now. One of a run is kept with its run: others of it may yet need it."""
    if job.dag_id is not None or job.keep_seconds is None:
        return job.keep_until
    return now + round(job.keep_seconds * 1000)


def _failed(job: Job, failure: Failure, now: Ms) -> tuple[dict[str, Any], Spot]:
    values, spot = _ended(job, State.FAILED, now)
    values["failures"] = _with_failure(job, failure)
    values["error_type"] = failure.error_type
    values["error_message"] = failure.error_message
    return values, spot


def _timed_out(job: Job, failure: Failure) -> dict[str, Any]:
    return {"timeouts": job.timeouts + 1} if failure.error_type is ErrorType.TIMEOUT else {}


def failure_of(job: Job, error_type: ErrorType, message: str, now: Ms) -> Failure:
    """The record of the current attempt's failure, its message cut to `MAX_ERROR_LENGTH`."""
    return Failure(job.attempt, job.worker_id or "", job.started_at or now, now, error_type, message[:MAX_ERROR_LENGTH])


def _lost(job: Job, now: Ms) -> Failure:
    return failure_of(job, ErrorType.SYSTEM, f"worker {job.worker_id} vanished: its lease ran out", now)


def _with_failure(job: Job, failure: Failure) -> tuple[Failure, ...]:
    return (*job.failures, failure)[-MAX_FAILURES_KEPT:]
