"""What a worker without access to the tables asks over HTTP: keep an attempt alive, and end it.

Each is fenced by the number of the attempt: whoever lost it is told so (LeaseLost), and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import LeaseLost, NotFound
from tidegate.domain.guarded import SEND_REACH_MS
from tidegate.domain.job import ErrorType, Job, Json, Progress, State
from tidegate.domain.ticket import ticket_for
from tidegate.ports import JobKey, Ports

from . import settle
from .announce import send_tickets
from .payloads import with_payloads
from .settle import Settled


def held(ports: Ports, caller: Caller, job_id: str, attempt: int) -> Job:
    """The job whose attempt this is. Raises Forbidden, NotFound, LeaseLost when the attempt is not the current one."""
    caller.require(Scope.WORK)
    (job,) = ports.jobs.get([JobKey(caller.tenant, job_id)])
    if job is None:
        raise NotFound(f"there is no job '{job_id}'", job_id=job_id)
    if job.state is not State.ACTIVE or job.attempt != attempt:
        raise LeaseLost(job_id=job_id, state=str(job.state), attempt=job.attempt, cancel_requested=False)
    return job


def data_of(ports: Ports, caller: Caller, job_id: str, attempt: int) -> Json:
    """The data of a held job, however large. Raises NotFound also when it is missing from the blob store."""
    return with_payloads(ports.blobs, held(ports, caller, job_id, attempt)).data


def heartbeat(
    ports: Ports, caller: Caller, job_id: str, attempt: int, lease_seconds: float, progress: Progress | None
) -> Job:
    """Keep the lease, and tell how far the attempt is; the answer's `cancel_requested` tells whether to stop."""
    return settle.heartbeat(ports, held(ports, caller, job_id, attempt), lease_seconds, progress)


def complete(ports: Ports, caller: Caller, job_id: str, attempt: int, result: Json) -> Job:
    """Record the result. Raises InvalidInput, PayloadTooLarge for one that cannot be kept."""
    return settle.complete(ports, held(ports, caller, job_id, attempt), result).job


def fail(
    ports: Ports, caller: Caller, job_id: str, attempt: int, error_type: ErrorType, message: str, *, permanent: bool
) -> Job:
    """End the attempt as failed: another follows unless it was the last one or the failure is `permanent`."""

    def end(job: Job) -> Settled:
        return settle.fail(ports, job, error_type, message, permanent=permanent, reach=SEND_REACH_MS)

    return _ended(ports, held(ports, caller, job_id, attempt), end)


def snooze(ports: Ports, caller: Caller, job_id: str, attempt: int, seconds: float) -> Job:
    """Let the job wait, without using up an attempt."""
    job = held(ports, caller, job_id, attempt)
    return _ended(ports, job, lambda held_job: settle.snooze(ports, held_job, seconds, reach=SEND_REACH_MS))


def skip(ports: Ports, caller: Caller, job_id: str, attempt: int, reason: str) -> Job:
    """End the attempt: there was nothing to do."""
    return settle.skip(ports, held(ports, caller, job_id, attempt), reason).job


def stop(ports: Ports, caller: Caller, job_id: str, attempt: int) -> Job:
    """End the attempt as CANCELLED: its handler stopped because it was asked to."""
    return settle.stop(ports, held(ports, caller, job_id, attempt)).job


def _ended(ports: Ports, job: Job, end: Callable[[Job], Settled]) -> Job:
    """Settle, and send the ticket of the next attempt; one that is lost is made up for by the clock."""
    with ports.together():
        settled = end(job)
        if settled.wake_at is not None:
            seconds = max(0.0, (settled.wake_at - ports.now()) / 1000)
            if seconds * 1000 <= SEND_REACH_MS:
                send_tickets(ports, [(ticket_for(settled.job), seconds)])
    return settled.job
