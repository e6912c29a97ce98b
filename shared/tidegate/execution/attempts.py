"""How a held attempt is kept alive and ended: the seam between running a handler and where its job is stored."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from tidegate.domain.guard import SEND_REACH_MS
from tidegate.domain.guarded import failure_of
from tidegate.domain.job import ErrorType, Job, Json, Ms, Progress
from tidegate.ports import Ports
from tidegate.service import settle
from tidegate.service.payloads import with_payloads
from tidegate.service.settle import Settled
from tidegate.service.upstream import Upstream, gather, upstream_of
from tidegate.service.write_log import LogWriter, log_writer


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong in an attempt. `permanent`: trying again cannot help."""

    error_type: ErrorType
    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class Ending:
    """What is said of an attempt's end besides how it ended.

    `progress` is the last that it told, `reach` (ms) how far ahead a ticket for the next attempt can be kept or
    sent. `stop_if_asked`: a job that was to stop ends instead of waiting again; else StopAsked is raised, for who
    has to clean up first.
    """

    progress: Progress | None = None
    reach: Ms = SEND_REACH_MS
    stop_if_asked: bool = True


class AttemptStore(Protocol):
    """Where attempts are recorded.

    Every method may raise LeaseLost or NotFound, after which nothing was changed, and Unavailable, after which it
    may be called again: who lost the attempt is told so.
    """

    def full(self, job: Job) -> Job:
        """The job with its data. Raises NotFound when a large value is missing, PayloadTooLarge."""

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """The nodes of its run that the job depends on, with their results. Raises PayloadTooLarge."""

    def gather(self, job: Job) -> Json:
        """The results of a fanned-out node's entries. Raises Conflict when they make no list."""

    def log(self, job: Job) -> LogWriter:
        """What keeps the lines that the attempt tells."""

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:
        """Extend the lease and record the progress; the answer's `cancel_requested` tells whether to stop."""

    def complete(self, job: Job, result: Json, ending: Ending) -> Settled:
        """Record the result. Raises InvalidInput when it is not JSON, PayloadTooLarge."""

    def fail(self, job: Job, fault: Fault, ending: Ending) -> Settled:
        """End the attempt as failed. Raises StopAsked as `Ending` says."""

    def snooze(self, job: Job, seconds: float, ending: Ending) -> Settled:
        """Let the job wait, without using up an attempt. Raises StopAsked as `Ending` says."""

    def skip(self, job: Job, reason: str, ending: Ending) -> Settled:
        """End the attempt: there was nothing to do."""

    def stop(self, job: Job, fault: Fault | None, ending: Ending) -> Settled:
        """End the attempt because a stop was asked for; `fault` is what went wrong meanwhile."""

    def together(self) -> AbstractContextManager[object]:
        """Group what is written within into one commit, where the home can."""


class PortsAttempts:
    """`AttemptStore` straight on the ports."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def full(self, job: Job) -> Job:
        """See `AttemptStore.full`."""
        return with_payloads(self._ports.blobs, job)

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """See `AttemptStore.upstream`."""
        return upstream_of(self._ports, job)

    def gather(self, job: Job) -> Json:
        """See `AttemptStore.gather`."""
        return gather(self._ports, job)

    def log(self, job: Job) -> LogWriter:
        """See `AttemptStore.log`."""
        return log_writer(self._ports, job)

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:
        """See `AttemptStore.heartbeat`."""
        return settle.heartbeat(self._ports, job, lease_seconds, progress)

    def complete(self, job: Job, result: Json, ending: Ending) -> Settled:
        """See `AttemptStore.complete`."""
        return settle.complete(self._ports, job, result, progress=ending.progress)

    def fail(self, job: Job, fault: Fault, ending: Ending) -> Settled:
        """See `AttemptStore.fail`."""
        return settle.fail(
            self._ports,
            job,
            fault.error_type,
            fault.message,
            permanent=fault.permanent,
            reach=ending.reach,
            progress=ending.progress,
            stop_if_asked=ending.stop_if_asked,
        )

    def snooze(self, job: Job, seconds: float, ending: Ending) -> Settled:
        """See `AttemptStore.snooze`."""
        return settle.snooze(
            self._ports,
            job,
            seconds,
            reach=ending.reach,
            progress=ending.progress,
            stop_if_asked=ending.stop_if_asked,
        )

    def skip(self, job: Job, reason: str, ending: Ending) -> Settled:
        """See `AttemptStore.skip`."""
        return settle.skip(self._ports, job, reason, progress=ending.progress)

    def stop(self, job: Job, fault: Fault | None, ending: Ending) -> Settled:
        """See `AttemptStore.stop`."""
        failure = None if fault is None else failure_of(job, fault.error_type, fault.message, self._ports.now())
        return settle.stop(self._ports, job, failure, progress=ending.progress)

    def together(self) -> AbstractContextManager[object]:
        """See `AttemptStore.together`."""
        return self._ports.together()
