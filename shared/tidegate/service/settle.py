"""End an attempt, or keep it alive. Every write is fenced: who lost the lease changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.domain import guarded
from tidegate.domain.errors import LeaseLost, NotFound, StopAsked
from tidegate.domain.guard import GuardedWrite
from tidegate.domain.job import ErrorType, Failure, Job, Json, Ms, Progress, State
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


def complete(ports: Ports, job: Job, result: Json, *, progress: Progress | None = None) -> Settled:
    """Record the result. Raises InvalidInput when it is not JSON, LeaseLost when the job is not held.

    `progress` is the last that the attempt told, here and below: it goes with the outcome, in one write.
    """
    inline, ref = offloaded(ports.blobs, "result", lambda: blob_key(job, f"result-{job.attempt}"), result)
    write = guarded.complete_if_held(job, inline, ref, ports.now())
    return _settled(ports, write.telling(progress))


def fail(
    ports: Ports,
    job: Job,
    error_type: ErrorType,
    message: str,
    *,
    permanent: bool,
    reach: Ms,
    progress: Progress | None = None,
    stop_if_asked: bool = True,
) -> Settled:
    """End the attempt as failed: another follows unless it was the last one or the failure is `permanent`.

    `reach` is how far ahead (ms) the bearer can keep a ticket for the next attempt. Raises LeaseLost.
    A job that was to stop does not wait for another attempt: it ends here, or StopAsked is raised where
    `stop_if_asked` is false, for a bearer that has to clean up first.
    """
    now = ports.now()
    failure = guarded.failure_of(job, error_type, message, now)
    if permanent or job.is_last_attempt or (error_type is ErrorType.TIMEOUT and _timed_out_enough(job)):
        write = guarded.fail_if_held(job, failure, now)
        return _settled(ports, write.telling(progress))
    wake_at = next_attempt_at(now, job, ports.rng)
    write = guarded.retry_if_held(job, failure, wake_at, now, ticketed=wake_at - now <= reach)
    return _unless_cancelled(ports, job, write.telling(progress), failure, stop_if_asked)


def snooze(
    ports: Ports,
    job: Job,
    seconds: float,
    *,
    reach: Ms,
    progress: Progress | None = None,
    stop_if_asked: bool = True,
) -> Settled:
    """Let the job wait `seconds` without using up an attempt. Raises LeaseLost, StopAsked as `fail`."""
    now = ports.now()
    wake_at = now + round(seconds * 1000)
    write = guarded.snooze_if_held(job, wake_at, now, ticketed=wake_at - now <= reach)
    return _unless_cancelled(ports, job, write.telling(progress), None, stop_if_asked)


def skip(ports: Ports, job: Job, reason: str, *, progress: Progress | None = None) -> Settled:
    """End the attempt: there was nothing to do. Raises LeaseLost."""
    return _settled(ports, guarded.skip_if_held(job, reason, ports.now()).telling(progress))


def stop(ports: Ports, job: Job, failure: Failure | None = None, *, progress: Progress | None = None) -> Settled:
    """End the attempt because a stop was asked for; `failure` is what went wrong meanwhile. Raises LeaseLost."""
    write = guarded.cancel_if_held(job, ports.now(), failure)
    return _settled(ports, write.telling(progress))


def _unless_cancelled(
    ports: Ports, job: Job, write: GuardedWrite, failure: Failure | None, stop_if_asked: bool
) -> Settled:
    """A job that was to stop does not wait for another attempt."""
    try:
        return _settled(ports, write)
    except StopAsked:
        if not stop_if_asked:
            raise
    return stop(ports, job, failure, progress=write.values.get("progress"))


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
    refusal = StopAsked if held and outcome.job.cancel_requested else LeaseLost
    raise refusal(job_id=write.job_id, state=str(outcome.job.state), attempt=outcome.job.attempt)
