"""What a worker without access to the tables asks over HTTP: keep an attempt alive, tell of it, and end it.

Each is fenced by the number of the attempt: whoever lost it is told so (LeaseLost), and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import GATHER
from tidegate.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound
from tidegate.domain.guard import SEND_REACH_MS
from tidegate.domain.guarded import failure_of
from tidegate.domain.job import ErrorType, Job, Json, Progress, State
from tidegate.domain.logs import CHUNK_BYTES, LINE_OVERHEAD, LogLine, LogUsage
from tidegate.domain.ticket import ticket_for
from tidegate.ports import JobKey, Ports

from . import settle
from .announce import send_tickets
from .payloads import with_payloads
from .settle import Settled
from .upstream import Upstream, gather_from, upstream_from
from .write_log import PortsLog


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


def upstream_of_held(
    ports: Ports, caller: Caller, job_id: str, attempt: int, first: int
) -> Iterator[tuple[str, Upstream]]:
    """The nodes that a held job depends on, with their results, from the one at this position on."""
    return upstream_from(ports, held(ports, caller, job_id, attempt), first)


def entries_of_held(ports: Ports, caller: Caller, job_id: str, attempt: int, first: int) -> Iterator[Json]:
    """The results that a held `tidegate.gather` is to gather. Raises Conflict when they make no list."""
    job = held(ports, caller, job_id, attempt)
    if job.name != GATHER:
        raise Conflict(f"the job '{job_id}' gathers nothing", job_id=job_id)
    return gather_from(ports, job, first)


def append_log(
    ports: Ports, caller: Caller, job_id: str, attempt: int, number: int | None, lines: Sequence[LogLine]
) -> tuple[LogUsage, int]:
    """Keep lines that a held attempt tells, as its chunk of this number (None: the next).

    The same number again changes nothing, so that a request may be repeated; what goes beyond a log's limits is
    dropped. Answers how much of the job's log is kept, and the number of the attempt's last chunk.
    Raises InvalidInput for more lines than one chunk can hold.
    """
    if sum(line.size for line in lines) > CHUNK_BYTES:
        raise InvalidInput.field("lines", f"must have at most {CHUNK_BYTES} bytes, {LINE_OVERHEAD} for each besides")
    log = PortsLog(ports, held(ports, caller, job_id, attempt))
    if number is None:
        return log.append_next(lines)
    usage, last = log.kept()
    kept = usage.first_of(lines)
    if number <= last or not kept:
        return usage, last
    return log.append(number, kept, usage), number


def heartbeat(
    ports: Ports, caller: Caller, job_id: str, attempt: int, lease_seconds: float, progress: Progress | None
) -> Job:
    """Keep the lease, and tell how far the attempt is; the answer's `cancel_requested` tells whether to stop."""
    return settle.heartbeat(ports, held(ports, caller, job_id, attempt), lease_seconds, progress)


def complete(
    ports: Ports, caller: Caller, job_id: str, attempt: int, result: Json, progress: Progress | None = None
) -> Job:
    """Record the result. Raises InvalidInput, PayloadTooLarge for one that cannot be kept."""
    return settle.complete(ports, held(ports, caller, job_id, attempt), result, progress=progress).job


def fail(
    ports: Ports,
    caller: Caller,
    job_id: str,
    attempt: int,
    error_type: ErrorType,
    message: str,
    *,
    permanent: bool,
    progress: Progress | None = None,
    stop_if_asked: bool = True,
) -> Job:
    """End the attempt as failed: another follows unless it was the last one or the failure is `permanent`.

    One that was to stop ends as CANCELLED, or raises StopAsked where `stop_if_asked` is false.
    """

    def end(job: Job) -> Settled:
        return settle.fail(
            ports,
            job,
            error_type,
            message,
            permanent=permanent,
            reach=SEND_REACH_MS,
            progress=progress,
            stop_if_asked=stop_if_asked,
        )

    return _ended(ports, held(ports, caller, job_id, attempt), end)


def snooze(
    ports: Ports,
    caller: Caller,
    job_id: str,
    attempt: int,
    seconds: float,
    *,
    progress: Progress | None = None,
    stop_if_asked: bool = True,
) -> Job:
    """Let the job wait, without using up an attempt; one that was to stop ends as `fail` says."""

    def end(job: Job) -> Settled:
        return settle.snooze(ports, job, seconds, reach=SEND_REACH_MS, progress=progress, stop_if_asked=stop_if_asked)

    return _ended(ports, held(ports, caller, job_id, attempt), end)


def skip(ports: Ports, caller: Caller, job_id: str, attempt: int, reason: str, progress: Progress | None = None) -> Job:
    """End the attempt: there was nothing to do."""
    return settle.skip(ports, held(ports, caller, job_id, attempt), reason, progress=progress).job


def stop(
    ports: Ports,
    caller: Caller,
    job_id: str,
    attempt: int,
    error: tuple[ErrorType, str] | None = None,
    progress: Progress | None = None,
) -> Job:
    """End the attempt as CANCELLED: its handler stopped because it was asked to. `error` went wrong meanwhile."""
    job = held(ports, caller, job_id, attempt)
    failure = None if error is None else failure_of(job, *error, ports.now())
    return settle.stop(ports, job, failure, progress=progress).job


def _ended(ports: Ports, job: Job, end: Callable[[Job], Settled]) -> Job:
    """Settle, and send the ticket of the next attempt; one that is lost is made up for by the clock."""
    with ports.together():
        settled = end(job)
        if settled.wake_at is not None:
            seconds = max(0.0, (settled.wake_at - ports.now()) / 1000)
            if seconds * 1000 <= SEND_REACH_MS:
                send_tickets(ports, [(ticket_for(settled.job), seconds)])
    return settled.job
