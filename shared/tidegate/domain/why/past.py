"""Why a job still runs, and why it ended as it did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tidegate.domain.job import Job, Json, Ms, State
from tidegate.domain.words import duration, shortened

from .before import Before, parents_view
from .gate import Gate, GateName


def running_since(job: Job, gates: Sequence[Gate], now: Ms) -> str:
    """What is amiss with a job that runs, in one clause, else how long it has been running."""
    holding = [gate.message for gate in gates if gate.holds]
    if holding:
        return "; and ".join(holding)
    since = "" if job.started_at is None else f" for {duration(now - job.started_at)}"
    where = f"attempt {job.attempt} of {job.attempts_allowed}, on worker {shortened(job.worker_id or '?')}"
    return f"it is running{since}: {where}"


def running(job: Job, now: Ms) -> Iterator[Gate]:
    """What may be amiss with a job that runs: its lease, and a stop that was asked for."""
    lapsed, worker = job.lease_lapsed(now), shortened(job.worker_id or "?")
    left = 0 if job.lease_until is None else job.lease_until - now
    facts: dict[str, Json] = {
        "worker_id": job.worker_id,
        "attempt": job.attempt,
        "attempts_allowed": job.attempts_allowed,
        "started_at": job.started_at,
        "lease_until": job.lease_until,
        "timeout": job.timeout,
        "progress": None if job.progress is None else job.progress.fraction,
    }
    if lapsed:
        then = _after_lapse(job)
        message = f"its worker {worker} vanished: the lease ran out {duration(-left)} ago, and {then}"
    else:
        message = f"worker {worker} holds it for another {duration(left)} unless it says that it goes on"
    yield Gate(GateName.LEASE, lapsed, message, facts)
    if job.cancel_requested:
        why = f" ({shortened(job.reason)})" if job.reason else ""
        told = "its worker learns of it with the next heartbeat"
        yield Gate(GateName.CANCEL, True, f"it was asked to stop{why}, {told}", {"reason": job.reason})


def _after_lapse(job: Job) -> str:
    if job.cancel_requested:
        return "it will be marked as CANCELLED"
    if job.is_last_attempt:
        return f"it will be marked as FAILED, for attempt {job.attempt} was the last allowed"
    return "another worker will take it over"


def ended(job: Job, before: Before | None) -> Gate:
    """How and why a job ended; `before` are the nodes before it in its run."""
    facts: dict[str, Json] = {
        "ended_at": job.completed_at,
        "reason": job.reason,
        "attempt": job.attempt,
        "attempts_allowed": job.attempts_allowed,
    }
    match job.state:
        case State.FAILED:
            facts |= {
                "error_type": None if job.error_type is None else job.error_type.value,
                "error_message": job.error_message,
                "permanent": not job.is_last_attempt,
                "worker_id": job.worker_id,
            }
            message = _failed(job)
        case State.SKIPPED:
            broke = () if before is None else before.broke
            facts |= {"dag_id": job.dag_id, "node": job.node, "broken": job.broken, "because": parents_view(broke)}
            message = f"it was skipped: {shortened(job.reason or 'nothing was to be done')}"
        case State.EXPIRED:
            facts |= {"expires_at": job.expires_at, "hard_sla_at": job.hard_sla, "created_at": job.created_at}
            waited = duration((job.completed_at or job.updated_at) - job.created_at)
            message = f"it expired {waited} after it was created: {shortened(job.reason or 'its time ran out')}"
        case State.CANCELLED:
            facts |= {"while_running": job.cancel_requested}
            when = " while it was running" if job.cancel_requested else " before it started" if not job.attempt else ""
            message = f"it was cancelled{when}: {shortened(job.reason or 'nobody said why')}"
        case _:
            message = _completed(job)
    return Gate(GateName.ENDED, True, message, facts)


def _failed(job: Job) -> str:
    error = f"{job.error_type}: {shortened(job.error_message or 'no message')}"
    if job.is_last_attempt:
        return f"it failed: attempt {job.attempt} of {job.attempts_allowed}, the last allowed, ended with {error}"
    return f"it failed for good in attempt {job.attempt} of {job.attempts_allowed}, not to be repeated, with {error}"


def _completed(job: Job) -> str:
    if job.started_at is None or job.completed_at is None:
        return "it completed"
    return f"it completed in attempt {job.attempt}, after {duration(job.completed_at - job.started_at)}"
