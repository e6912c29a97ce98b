"""All gates between a waiting job and a worker, in the order in which people want to hear of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from tidegate.domain.job import Job, Json, Ms, State
from tidegate.domain.queue import Queue
from tidegate.domain.words import duration, shortened

from .before import Before, upstream
from .gate import Gate, GateName
from .limits import Limits, limited
from .line import Line, Waiting, in_line, pool_busy
from .workers import Workforce, manned


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known at `now` about everything around a job; None where it does not matter or is not known."""

    now: Ms
    queue: Queue | None = None
    before: Before | None = None
    line: Line | None = None
    limits: Limits = field(default_factory=Limits)
    workers: Workforce | None = None
    pool: Waiting | None = None


def gates_of(job: Job, around: Surroundings) -> Iterator[Gate]:
    """Every gate on the way of a waiting job, those it has passed too, in the order of `GateName`."""
    if around.before is not None or job.blocked:
        yield upstream(job, around.before)
    if job.expires_at is not None:
        yield _expiry(job.expires_at, around.now)
    if job.wake_at is not None:
        yield _time(job, job.wake_at, around.now)
    if around.queue is not None:
        yield _paused(around.queue)
    if around.line is not None:
        yield in_line(job, around.line)
    yield from limited(job, around.limits, around.now)
    if around.workers is not None:
        yield manned(job, around.workers)
    if around.pool is not None:
        yield pool_busy(job, around.pool)


def _expiry(expires_at: Ms, now: Ms) -> Gate:
    if expires_at <= now:
        message = f"it had to start {duration(now - expires_at)} ago at the latest, and will be marked as EXPIRED"
    else:
        message = f"it has to start within {duration(expires_at - now)}"
    return Gate(GateName.EXPIRY, expires_at <= now, message, {"expires_at": expires_at})


def _time(job: Job, wake_at: Ms, now: Ms) -> Gate:
    holds, left = wake_at > now, duration(wake_at - now)
    facts: dict[str, Json] = {"wake_at": wake_at, "in_seconds": max(0, wake_at - now) / 1000}
    if job.state is State.CREATED:
        message = f"it is not to start before its time, in {left}" if holds else "its time has come"
        return Gate(GateName.START_AFTER, holds, message, {**facts, "start_after": job.start_after})
    facts |= {"attempt": job.attempt, "attempts_allowed": job.attempts_allowed}
    if job.error_type is None:
        message = f"its handler put it off: it goes on in {left}" if holds else "the pause of its handler is over"
        return Gate(GateName.SNOOZE, holds, message, facts)
    failed = f"attempt {job.attempt} of {job.attempts_allowed} failed ({shortened(job.error_message or '')})"
    facts |= {"error_type": job.error_type.value, "error_message": job.error_message}
    message = f"{failed} and the next one begins in {left}" if holds else f"{failed}, and the pause after it is over"
    return Gate(GateName.RETRY, holds, message, facts)


def _paused(queue: Queue) -> Gate:
    name = GateName.QUEUE_PAUSED
    facts = {"queue": queue.name}
    if not queue.paused:
        return Gate(name, False, f"its queue '{queue.name}' is not paused", facts)
    by = f" by {shortened(queue.paused_by)}" if queue.paused_by else ""
    reason = f" ({shortened(queue.paused_reason)})" if queue.paused_reason else ""
    facts |= {"paused_by": queue.paused_by or "", "paused_reason": queue.paused_reason or ""}
    return Gate(name, True, f"its queue '{queue.name}' was paused{by}{reason}", facts)
