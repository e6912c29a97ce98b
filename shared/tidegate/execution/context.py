"""What a handler is given, and what it may answer besides a result."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from tidegate.domain.dag.run import local_name
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import ErrorType, Job, Json, Progress
from tidegate.domain.logs import Level
from tidegate.service.upstream import Upstream

from .joblog import JobLog


class HandlerError(Exception):
    """Raised by a handler to say whose fault a failure is; it is retried like any other.

    `raise HandlerError("connection refused", error_type="database")`
    """

    default: ClassVar[ErrorType] = ErrorType.AGENT

    def __init__(self, message: str = "", *, error_type: str | None = None) -> None:
        """`error_type`: agent, database, validation, timeout or system. Raises InvalidInput for any other word."""
        super().__init__(message)
        if error_type is not None and error_type not in set(ErrorType):
            raise InvalidInput.field("error_type", f"must be one of {', '.join(ErrorType)}")
        self.error_type = self.default if error_type is None else ErrorType(error_type)


class PermanentError(HandlerError):
    """Raised by a handler when trying again cannot help: the job fails at once, without retries."""


class InvalidDataError(PermanentError):
    """Raised by a handler when the job's data cannot be worked on: it fails at once, with error type `validation`."""

    default = ErrorType.VALIDATION


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

    def __init__(
        self,
        job: Job,
        beat: Callable[[], None],
        *,
        upstream: Callable[[], Mapping[str, Upstream]] = dict,
        keep: Callable[[Level, str], None] = lambda _level, _text: None,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """`upstream` reads the nodes before, `keep` stores a line of the log, `told` is called after each progress."""
        self._job = job
        self._beat = beat
        self._load_upstream = upstream
        self._upstream: Mapping[str, Upstream] | None = None
        self._on_progress = told
        self._loaded = False
        self._stop = False
        self._stop_seen = False
        self._lease_lost = False
        self._progress: Progress | None = None
        self._progress_sent: Progress | None = None
        self._keep = keep
        self._log: JobLog | None = None

    @property
    def log(self) -> JobLog:
        """An ordinary logger whose lines are also kept with the job."""
        if self._log is None:
            self._log = JobLog(self._job, self._keep)
        return self._log

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
    def upstream(self) -> Mapping[str, Upstream]:
        """The nodes of its run that the job depends on: `job.upstream["extract"].result`. Read when first used."""
        if self._upstream is None:
            node = self.record.node or ""
            self._upstream = {local_name(node, name): each for name, each in self._load_upstream().items()}
        return self._upstream

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
        """Tell how far the work is: `fraction` from 0 to 1 and a short message.

        It costs at most two writes a second, however often it is called. Once half a second has passed since
        the attempt began, or since progress was stored, it is stored when this returns; else within half a second,
        or with the attempt's outcome.
        """
        if not (math.isfinite(fraction) and 0 <= fraction <= 1):
            raise InvalidInput.field("fraction", "must be from 0 to 1")
        self._progress = Progress(float(fraction), message[:200])
        self._on_progress()

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

    def load(self, fill: Callable[[Job], Job]) -> None:
        """Fill in the values that are kept beside the table, once. Called by the worker."""
        if not self._loaded:
            self._job, self._loaded = fill(self._job), True

    def ask_to_stop(self, *, lease_lost: bool = False) -> None:
        """Make `cancelled` true. Called by the worker."""
        self._stop = True
        self._lease_lost = self._lease_lost or lease_lost

    @property
    def record(self) -> Job:
        """The job as the scheduler keeps it."""
        return self._job

    @property
    def stop_was_seen(self) -> bool:
        """Whether the handler has read `cancelled` after it became true."""
        return self._stop_seen

    @property
    def lease_lost(self) -> bool:
        """Whether another attempt may hold the job by now."""
        return self._lease_lost

    @property
    def progress_told(self) -> Progress | None:
        """The last progress told by this attempt."""
        return self._progress

    @property
    def has_progress(self) -> bool:
        """Whether progress was told since the last `take_progress`."""
        return self._progress is not self._progress_sent

    def take_progress(self) -> Progress | None:
        """The progress told since the last call. Called by the worker."""
        told, sent = self._progress, self._progress_sent
        self._progress_sent = told
        return None if told is sent else told

    def give_progress_back(self) -> None:
        """What was taken could not be stored. Called by the worker."""
        self._progress_sent = None
