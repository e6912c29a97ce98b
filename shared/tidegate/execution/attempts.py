"""How a held attempt is kept alive and ended: the seam between running a handler and where its job is stored."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from tidegate.domain.job import ErrorType, Job, Json, Ms, Progress
from tidegate.ports import Ports
from tidegate.service import settle
from tidegate.service.payloads import with_payloads
from tidegate.service.settle import Settled


class AttemptStore(Protocol):
    """Where attempts are recorded.

    Every method may raise LeaseLost or NotFound, after which nothing was changed, and Unavailable, after which it
    may be called again: who lost the attempt is told so.
    """

    def full(self, job: Job) -> Job:
        """The job with its data. Raises NotFound when a large value is missing."""

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:
        """Extend the lease and record the progress; the answer's `cancel_requested` tells whether to stop."""

    def complete(self, job: Job, result: Json) -> Settled:
        """Record the result. Raises InvalidInput when it is not JSON, PayloadTooLarge."""

    def fail(self, job: Job, error_type: ErrorType, message: str, *, permanent: bool, reach: Ms) -> Settled:
        """End the attempt as failed; `reach` (ms) is how far ahead a ticket for the next one can be kept or sent."""

    def snooze(self, job: Job, seconds: float, *, reach: Ms) -> Settled:
        """Let the job wait, without using up an attempt."""

    def skip(self, job: Job, reason: str) -> Settled:
        """End the attempt: there was nothing to do."""

    def stop(self, job: Job) -> Settled:
        """End the attempt because a stop was asked for."""

    def together(self) -> AbstractContextManager[object]:
        """Group what is written within into one commit, where the home can."""


class PortsAttempts:
    """`AttemptStore` straight on the ports."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def full(self, job: Job) -> Job:
        """See `AttemptStore.full`."""
        return with_payloads(self._ports.blobs, job)

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:
        """See `AttemptStore.heartbeat`."""
        return settle.heartbeat(self._ports, job, lease_seconds, progress)

    def complete(self, job: Job, result: Json) -> Settled:
        """See `AttemptStore.complete`."""
        return settle.complete(self._ports, job, result)

    def fail(self, job: Job, error_type: ErrorType, message: str, *, permanent: bool, reach: Ms) -> Settled:
        """See `AttemptStore.fail`."""
        return settle.fail(self._ports, job, error_type, message, permanent=permanent, reach=reach)

    def snooze(self, job: Job, seconds: float, *, reach: Ms) -> Settled:
        """See `AttemptStore.snooze`."""
        return settle.snooze(self._ports, job, seconds, reach=reach)

    def skip(self, job: Job, reason: str) -> Settled:
        """See `AttemptStore.skip`."""
        return settle.skip(self._ports, job, reason)

    def stop(self, job: Job) -> Settled:
        """See `AttemptStore.stop`."""
        return settle.stop(self._ports, job)

    def together(self) -> AbstractContextManager[object]:
        """See `AttemptStore.together`."""
        return self._ports.together()
