"""End an attempt, or keep it alive. Every write is fenced: who lost the lease changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.domain import guarded
from tidegate.domain.errors import LeaseLost, NotFound
from tidegate.domain.guarded import GuardedWrite
from tidegate.domain.job import ErrorType, Job, Json, Ms, Progress, State
from tidegate.domain.retry import next_attempt_at
from tidegate.ports import Ports

from .limits import leave
from .payloads import blob_key, offloaded


@dataclass(frozen=True, slots=True)
class Settled:
    """The job after its attempt ended. `wake_at` is set when it waits for another attempt."""

    job: Job

    @property
    def wake_at(self) -> Ms | None:
        """When the next attempt may start."""
        return self.job.wake_at if self.job.state is State.RETRY else None


def heartbeat(ports: Ports, job: Job, lease_seconds: float, progress: Progress | None = None) -> Job:
    """Extend the lease of the attempt in `job` and record its progress. Raises LeaseLost.

    The answer tells whether a stop was asked for (`cancel_requested`).
    """
    now = ports.now()
    return _applied(ports, guarded.extend_if_held(job, now + round(lease_seconds * 1000), now, progress))


def complete(ports: Ports, job: Job, result: Json) -> Settled:
    """Record the result. Raises InvalidInput when it is not JSON, LeaseLost when the job is not held."""
    inline, ref = offloaded(ports.blobs, "result", blob_key(job, f"result-{job.attempt}"), result)
    return _settled(ports, guarded.complete_if_held(job, inline, ref, ports.now()))


def fail(ports: Ports, job: Job, error_type: ErrorType, message: str, *, permanent: bool, reach: Ms) -> Settled:
    """End the attempt as failed: another follows unless it was the last one or the failure is `permanent`.

    `reach` is how far ahead (ms) the bearer can keep a ticket for the next attempt. Raises LeaseLost.
    """
    now = ports.now()
    failure = guarded.failure_of(job, error_type, message, now)
    if permanent or job.is_last_attempt or (error_type is ErrorType.TIMEOUT and _timed_out_enough(job)):
        return _settled(ports, guarded.fail_if_held(job, failure, now))
    wake_at = next_attempt_at(now, job, ports.rng)
    write = guarded.retry_if_held(job, failure, wake_at, now, ticketed=wake_at - now <= reach)
    return _unless_cancelled(ports, job, write)


def snooze(ports: Ports, job: Job, seconds: float, *, reach: Ms) -> Settled:
    """Let the job wait `seconds` without using up an attempt. Raises LeaseLost."""
    now = ports.now()
    wake_at = now + round(seconds * 1000)
    write = guarded.snooze_if_held(job, wake_at, now, ticketed=wake_at - now <= reach)
    return _unless_cancelled(ports, job, write)


def skip(ports: Ports, job: Job, reason: str) -> Settled:
    """End the attempt: there was nothing to do. Raises LeaseLost."""
    return _settled(ports, guarded.skip_if_held(job, reason, ports.now()))


def stop(ports: Ports, job: Job) -> Settled:
    """End the attempt because a stop was asked for. Raises LeaseLost."""
    return _settled(ports, guarded.cancel_if_held(job, ports.now()))


def _unless_cancelled(ports: Ports, job: Job, write: GuardedWrite) -> Settled:
    """A job that was to stop does not wait for another attempt."""
    try:
        return _settled(ports, write)
    except LeaseLost as lost:
        if lost.details.get("cancel_requested"):
            return stop(ports, job)
        raise


def _timed_out_enough(job: Job) -> bool:
    return job.timeout_retry_limit is not None and job.timeouts >= job.timeout_retry_limit


def _settled(ports: Ports, write: GuardedWrite) -> Settled:
    """Apply a write that ends the attempt, then give back the slots that it held."""
    job = _applied(ports, write)
    leave(ports, job)
    return Settled(job)


def _applied(ports: Ports, write: GuardedWrite) -> Job:
    (outcome,) = ports.jobs.apply([write])
    if outcome.applied and outcome.job is not None:
        return outcome.job
    if outcome.job is None:
        raise NotFound(f"there is no job '{write.job_id}'", job_id=write.job_id)
    held = outcome.job.state is State.ACTIVE and outcome.job.attempt == write.guard.attempt
    raise LeaseLost(
        job_id=write.job_id,
        state=str(outcome.job.state),
        attempt=outcome.job.attempt,
        cancel_requested=held and outcome.job.cancel_requested,
    )
