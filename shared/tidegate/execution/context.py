"""What a handler is given, and what it may answer besides a result."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, Json, Progress


class PermanentError(Exception):
    """Raised by a handler when trying again cannot help: the job fails at once, without retries."""


@dataclass(frozen=True, slots=True)
class Skip:
    """A handler's answer: there was nothing to do."""

    reason: str


@dataclass(frozen=True, slots=True)
class Snooze:
    """A handler's answer: not yet; run me again in so many seconds. Uses up no attempt."""

    seconds: float


class JobContext:
    """The running job, as its handler sees it."""

    def __init__(self, job: Job, beat: Callable[[], None]) -> None:
        self._job = job
        self._beat = beat
        self._stop = False
        self._stop_seen = False
        self._progress: Progress | None = None
        self.log = logging.LoggerAdapter(logging.getLogger("tidegate.job"), {"job_id": job.id, "attempt": job.attempt})

    @property
    def id(self) -> str:
        """The job's id."""
        return self._job.id

    @property
    def name(self) -> str:
        """The executor's name."""
        return self._job.name

    @property
    def tenant(self) -> str:
        """Whose job it is."""
        return self._job.tenant

    @property
    def data(self) -> Json:
        """The payload, as submitted."""
        return self._job.data

    @property
    def attempt(self) -> int:
        """The number of this attempt, from 1."""
        return self._job.attempt

    @property
    def retry_count(self) -> int:
        """Retries used so far."""
        return self._job.retry_count

    @property
    def queue(self) -> str:
        """The queue it was submitted to."""
        return self._job.queue

    @property
    def priority(self) -> int:
        """0 to 10."""
        return self._job.priority

    @property
    def tags(self) -> tuple[str, ...]:
        """The labels it was submitted with."""
        return self._job.tags

    @property
    def metadata(self) -> Mapping[str, str]:
        """The searchable pairs it was submitted with."""
        return self._job.metadata

    @property
    def cancelled(self) -> bool:
        """Whether to stop: someone asked for it, or the lease is lost.

        A handler that has looked and been told to stop ends the job as CANCELLED, whatever it returns.
        """
        self._stop_seen = self._stop_seen or self._stop
        return self._stop

    def progress(self, fraction: float, message: str = "") -> None:
        """Tell how far the work is: `fraction` from 0 to 1 and a short message. Stored within a second."""
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise InvalidInput.field("fraction", "must be from 0 to 1")
        self._progress = Progress(float(fraction), message[:200])

    def heartbeat(self) -> None:
        """Keep the lease now. Rarely needed: the worker does it by itself while the handler runs."""
        self._beat()

    def skip(self, reason: str) -> Skip:
        """`return job.skip("no pages")` ends the job as SKIPPED."""
        return Skip(reason)

    def snooze(self, seconds: float) -> Snooze:
        """`return job.snooze(60)` runs the job again later without using up an attempt."""
        if not (math.isfinite(seconds) and 0 <= seconds <= 30 * 86_400):
            raise InvalidInput.field("seconds", "must be from 0 to 2592000 (30 days)")
        return Snooze(seconds)

    def ask_to_stop(self) -> None:
        """Make `cancelled` true. Called by the worker."""
        self._stop = True

    @property
    def stop_was_seen(self) -> bool:
        """Whether the handler has read `cancelled` after it became true."""
        return self._stop_seen

    @property
    def has_progress(self) -> bool:
        """Whether progress was told since the last `take_progress`."""
        return self._progress is not None

    def take_progress(self) -> Progress | None:
        """The progress told since the last call. Called by the worker."""
        taken, self._progress = self._progress, None
        return taken
