"""What is known of a job's past: its attempts, and when its state changed.

All of it is read from the job itself, which keeps its last failures; nothing more is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from .job import ErrorType, Failure, Job, Ms, State


class Ending(StrEnum):
    """How an attempt went."""

    RUNNING = "running"
    COMPLETED = "completed"
    SKIPPED = "skipped"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SNOOZED = "snoozed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord:
    """One attempt, as far as it is known."""

    attempt: int
    worker_id: str | None
    started_at: Ms | None
    ended_at: Ms | None
    outcome: Ending
    error_type: ErrorType | None = None
    error_message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChange:
    """A state that the job came to, and when."""

    at: Ms
    state: State
    attempt: int | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class History:
    """A job's past. `forgotten` attempts left no record: they snoozed, or others failed since (20 are kept)."""

    attempts: tuple[AttemptRecord, ...]
    changes: tuple[StateChange, ...]
    forgotten: int


def history_of(job: Job) -> History:
    """The past of a job, oldest first."""
    attempts = tuple(_attempts(job))
    changes = tuple(sorted(_changes(job, attempts), key=lambda change: change.at))
    return History(attempts, changes, job.attempt - len(attempts))


def _attempts(job: Job) -> Iterator[AttemptRecord]:
    for failure in job.failures:
        yield _of_failure(job, failure)
    if job.attempt and all(failure.attempt != job.attempt for failure in job.failures):
        outcome = _last_outcome(job)
        ended = {Ending.RUNNING: None, Ending.SNOOZED: None}.get(outcome, job.completed_at)
        yield AttemptRecord(
            attempt=job.attempt,
            worker_id=job.worker_id,
            started_at=job.started_at,
            ended_at=ended,
            outcome=outcome,
        )


def _of_failure(job: Job, failure: Failure) -> AttemptRecord:
    stopped = failure.attempt == job.attempt and job.state is State.CANCELLED and job.cancel_requested
    return AttemptRecord(
        attempt=failure.attempt,
        worker_id=failure.worker_id or None,
        started_at=failure.started_at,
        ended_at=failure.ended_at,
        outcome=Ending.CANCELLED if stopped else Ending.FAILED,
        error_type=failure.error_type,
        error_message=failure.error_message,
    )


def _last_outcome(job: Job) -> Ending:
    """How the newest attempt went that is not among the failures."""
    match job.state:
        case State.ACTIVE:
            return Ending.RUNNING
        case State.COMPLETED:
            return Ending.COMPLETED
        case State.SKIPPED:
            return Ending.SKIPPED
        case State.CANCELLED if job.cancel_requested:
            return Ending.CANCELLED
        case State.CREATED:  # started over; only a cancelled attempt leaves no failure behind
            return Ending.CANCELLED
    return Ending.SNOOZED


def _changes(job: Job, attempts: tuple[AttemptRecord, ...]) -> Iterator[StateChange]:
    yield StateChange(at=job.created_at, state=State.CREATED)
    for attempt in attempts:
        if attempt.started_at is not None:
            yield StateChange(at=attempt.started_at, state=State.ACTIVE, attempt=attempt.attempt)
        went_on = attempt.attempt < job.attempt or job.state is State.RETRY
        if attempt.outcome is Ending.FAILED and went_on and attempt.ended_at is not None:
            yield StateChange(
                at=attempt.ended_at, state=State.RETRY, attempt=attempt.attempt, note=attempt.error_message
            )
    if job.completed_at is not None:
        note = job.error_message if job.state is State.FAILED else job.reason
        yield StateChange(at=job.completed_at, state=job.state, attempt=job.attempt or None, note=note)
    elif job.state in (State.RETRY, State.CREATED) and job.attempt:
        yield from _waiting_again(job, attempts)


def _waiting_again(job: Job, attempts: tuple[AttemptRecord, ...]) -> Iterator[StateChange]:
    """A job that snoozes, or that was started over: when exactly is not known once it was moved."""
    told = any(each.attempt == job.attempt and each.outcome is Ending.FAILED for each in attempts)
    if job.state is State.CREATED or not told:
        note = "started over" if job.state is State.CREATED else "snoozed"
        yield StateChange(at=job.updated_at, state=job.state, attempt=job.attempt, note=note)
