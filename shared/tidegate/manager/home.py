"""What the manager needs of where the jobs are: a folder, or a server."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any, Protocol

from tidegate.domain import job as domain
from tidegate.domain.errors import LeaseLost, NotFound, Unavailable
from tidegate.domain.job import Json, Progress
from tidegate.domain.logs import Level
from tidegate.execution.context import JobContext
from tidegate.ports import Worker
from tidegate.service.upstream import Upstream

from .job import Job

_PROGRESS_SECONDS = 0.5
UNLIMITED_SECONDS = 7 * 86_400.0
"""How long an attempt of a job submitted here may take: the longest time-out there is, for training takes its time."""


class HeldContext(JobContext):
    """The context of a job that a manager keeps: what it tells goes straight to its home."""

    def __init__(self, home: Home, job: Job, record: domain.Job) -> None:
        super().__init__(
            record,
            lambda: self._tell(self.take_progress()),
            upstream=lambda: home.upstream(job),
            keep=self._keep,
        )
        self._home = home
        self._held = job
        self._told_at = 0.0

    @property
    def cancelled(self) -> bool:
        """See `JobContext.cancelled`."""
        if self._held.cancelled:
            self.ask_to_stop()
        return super().cancelled

    def progress(self, fraction: float, message: str = "") -> None:
        """See `JobContext.progress`. Stored at once, twice a second at most."""
        super().progress(fraction, message)
        if time.monotonic() - self._told_at >= _PROGRESS_SECONDS:
            self._tell(self.take_progress())

    def _tell(self, progress: Progress | None) -> None:
        self._told_at = time.monotonic()
        with suppress(LeaseLost, NotFound, Unavailable):
            if self._home.heartbeat(self._held, progress):
                self.ask_to_stop()

    def _keep(self, level: Level, message: str) -> None:
        """A line that cannot be kept is no reason for its job to fail."""
        with suppress(LeaseLost, NotFound, Unavailable):
            self._home.log(self._held, level, message)


class Home(Protocol):
    """Jobs somewhere. Every method that takes a `Job` is fenced by its attempt and raises LeaseLost."""

    lease_seconds: float

    def submit(self, job_type: str, config: Json, priority: int, max_retries: int | None) -> str:
        """Take a job in; answers its id."""

    def get(self, job_id: str) -> Job | None:
        """The job as it is."""

    def list(self, status: str | None, job_type: str | None, limit: int) -> Sequence[Job]:
        """Jobs, newest first."""

    def claim(self, worker_id: str, job_types: Collection[str] = ()) -> Job | None:
        """Start the job of the highest priority, over all queues; with `job_types`, the best of these."""

    def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        """Keep the job and tell how far it is; answers whether it shall stop."""

    def complete(self, job: Job, result: Json) -> None:
        """Record the result."""

    def fail(self, job: Job, message: str, *, final: bool) -> None:
        """End the attempt: as FAILED when `final` or the last one, else another follows after the backoff."""

    def release(self, job: Job, seconds: float = 0.0) -> None:
        """Let the job wait again, so many seconds; the attempt does not count."""

    def skip(self, job: Job, reason: str) -> None:
        """End the attempt as SKIPPED: there was nothing to do."""

    def stopped(self, job: Job) -> None:
        """End the attempt as CANCELLED."""

    def cancel(self, job_id: str) -> None:
        """Stop a job: at once while it waits, cooperatively while it runs. Raises NotFound, WrongState."""

    def retry(self, job_id: str) -> None:
        """Start an ended job over, within its retries as long as there are some left. Raises NotFound, WrongState."""

    def gather(self, job: Job) -> Json:
        """The results that a held `tidegate.gather` is to gather. Raises Conflict when they make no list."""

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """The nodes of its run that a held job depends on."""

    def log(self, job: Job, level: str, message: str) -> None:
        """Keep a line of the job's log."""

    def logs(self, job_id: str) -> Sequence[Mapping[str, Any]]:
        """The job's log."""

    def tell(self, worker: Worker) -> None:
        """Store what a worker says of itself, for all who look at who works."""

    def is_alone(self, worker_id: str) -> bool:
        """Whether it is known that no other worker works here."""

    def leave(self) -> None:
        """Give back what the calling thread holds open; others go on."""

    def close(self) -> None:
        """Give back what is held open."""
