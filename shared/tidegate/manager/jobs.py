"""`JobManager`: submit jobs, claim them, say what became of them."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from tidegate.domain import job as domain
from tidegate.domain.dag.run import GATHER
from tidegate.domain.errors import (
    Conflict,
    InvalidInput,
    LeaseLost,
    NotFound,
    PayloadTooLarge,
    Unavailable,
    WrongState,
)
from tidegate.domain.job import Json

from .embedded import EmbeddedHome
from .home import Home
from .job import STATUSES, Job, JobLogs

_log = logging.getLogger("tidegate.manager")
DEFAULT_FILE = "jobs.db"
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_MOST = 1_000_000


def folder_for(path: str | os.PathLike[str]) -> Path:
    """The folder that stands for a file name: `jobs.db` → `jobs.db.tidegate`. A folder stands for itself."""
    given = Path(path)
    return given if given.is_dir() else given.with_name(given.name + ".tidegate")


def is_address(path: str | os.PathLike[str]) -> bool:
    """Whether this names a server rather than a file."""
    return isinstance(path, str) and path.startswith(("http://", "https://"))


@dataclass(slots=True)
class _Held:
    """A job that was claimed here."""

    job: Job
    stop: threading.Event = field(default_factory=threading.Event)
    lost: bool = False


class JobManager:
    """A queue of jobs. Safe to share between threads; any number of processes may open the same one.

    `path` is a file name (the jobs live in a folder beside it), the data folder of a `tidegate serve`, or a
    server's address. With `queue`, jobs are submitted to that queue and claimed of it alone; else submitted to
    `default` and claimed of all. A job that was claimed here is kept, by a heartbeat in the background, until
    `update_job_status` says what became of it; if this process dies, another one gets the job within a minute.
    """

    def __init__(
        self, path: str | os.PathLike[str] = DEFAULT_FILE, *, token: str | None = None, queue: str | None = None
    ) -> None:
        """Open. Raises Unavailable when the folder cannot be used, InvalidInput for an address that is none."""
        self._home = _home(path, token, queue)
        self._lock = threading.Lock()
        self._held: dict[str, _Held] = {}
        self._still: threading.Event | None = None
        """Ends the heart that beats while something is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of what was claimed here and has not ended: it runs again once its lease is over."""
        with self._lock:
            self._held.clear()
            self._rest()
        self._home.close()

    def submit_job(self, job_type: str, config: Json = None, priority: int = 5, max_retries: int = 3) -> str:
        """Take a job in and answer its id. `priority` 0 to 10, 10 first; `max_retries` after the first attempt.

        Raises InvalidInput.
        """
        return self._home.submit(job_type, {} if config is None else config, priority, max_retries)

    def get_job(self, job_id: str) -> Job | None:
        """The job as it is; None when there is none."""
        return self._home.get(job_id)

    def list_jobs(self, status: str | None = None, job_type: str | None = None, limit: int | None = None) -> list[Job]:
        """Jobs, newest first. `status`: pending, running, completed, failed, cancelled, skipped or expired."""
        if status is not None and status not in STATUSES:
            raise InvalidInput.field("status", f"must be one of {', '.join(STATUSES)}")
        if limit is not None and limit < 1:
            raise InvalidInput.field("limit", "must be at least 1")
        return list(self._home.list(status, job_type, limit or _MOST))

    def claim_job(self, worker_id: str, *, job_types: Collection[str] = ()) -> Job | None:
        """Start the waiting job of the highest priority, the oldest of them; None when there is none.

        With `job_types` only jobs of these are started; others are left to other workers.
        """
        types = {*job_types, GATHER} if job_types else ()
        job = self._home.claim(worker_id, types)
        while job is not None and job.job_type == GATHER:
            self._gather(job)
            job = self._home.claim(worker_id, types)
        if job is None:
            return None
        held = _Held(job)
        held.job = replace(job, stop_asked=held.stop.is_set)
        with self._lock:
            self._held[job.job_id] = held
            if self._still is None:
                self._still = threading.Event()
                threading.Thread(target=self._beat, args=[self._still], name="tidegate-manager", daemon=True).start()
        return held.job

    def update_job_status(
        self,
        job_id: str,
        status: str,
        error_message: str | None = None,
        *,
        result: Json = None,
        retry: bool = False,
    ) -> None:
        """Say what became of a running job.

        - `completed`: with its `result`
        - `failed`: with `error_message`. It stays failed until `retry_job`, unless `retry` asks for another
          attempt after the backoff, as long as there are retries left
        - `pending`: let it wait again, for example because its worker hangs; this attempt does not count
        - `cancelled`: also for a job that waits
        - `running`: nothing to do for a job that runs; `claim_job` starts one

        Raises NotFound, WrongState when the job does not run, LeaseLost when it was claimed here and has since been
        given to another worker: then nothing was changed.
        """
        if status not in ("pending", "running", "completed", "failed", "cancelled"):
            raise InvalidInput.field("status", "must be pending, running, completed, failed or cancelled")
        if status == "pending" and self._restarted(job_id):
            return
        if status == "cancelled" and job_id not in self._held:
            self._home.cancel(job_id)
            return
        job = self._running(job_id)
        if status == "completed":
            self._home.complete(job, result)
        elif status == "failed":
            self._home.fail(job, error_message or "failed", final=not retry)
        elif status == "pending":
            self._home.release(job)
        elif status == "cancelled":
            self._home.stopped(job)
        if status != "running":
            self._let_go(job_id)

    def retry_job(self, job_id: str) -> None:
        """Let a failed job wait again, at once: `retry_count` goes on while there are retries left, else starts anew.

        A job that waits already is left as it is, so that a retry is never done twice. Raises NotFound, WrongState.
        """
        job = self._home.get(job_id)
        if job is None:
            raise NotFound(f"there is no job '{job_id}'", job_id=job_id)
        if job.status == "pending":
            return
        self._home.retry(job_id)

    def cancel_job(self, job_id: str) -> None:
        """Stop a job: at once while it waits; a running one sees `job.cancelled`. Raises NotFound, WrongState."""
        self._home.cancel(job_id)

    def log_job_message(self, job_id: str, level: str, message: str) -> None:
        """Keep a line in the job's log; `level` DEBUG, INFO, WARNING or ERROR. On a server only of a running job.

        Raises InvalidInput, NotFound, LeaseLost.
        """
        if level.upper() not in LEVELS:
            raise InvalidInput.field("level", f"must be one of {', '.join(LEVELS)}")
        held = self._held.get(job_id)
        job = self._home.get(job_id) if held is None else held.job
        if job is None:
            raise NotFound(f"there is no job '{job_id}'", job_id=job_id)
        self._home.log(job, level.upper(), message)

    def get_job_logs(self, job_id: str) -> JobLogs:
        """The job's log, oldest line first; `iterrows()` goes through it as through a data frame."""
        return JobLogs(self._home.logs(job_id))

    def end_attempt(self, job: Job, how: Callable[[Home], None]) -> None:
        """End the attempt of a job that was claimed here in a way that has no status. Raises LeaseLost."""
        how(self._home)
        self._let_go(job.job_id)

    def held(self) -> list[domain.Job]:
        """The jobs that were claimed here and have not ended, as they were claimed."""
        return [held.job.record for held in list(self._held.values()) if held.job.record is not None]

    @property
    def home(self) -> Home:
        """Where the jobs are."""
        return self._home

    def _gather(self, job: Job) -> None:
        """Do for a run what no handler does: put the results of a fanned-out node in a row."""
        with suppress(LeaseLost, NotFound):
            try:
                self._home.complete(job, self._home.gather(job))
            except (Conflict, PayloadTooLarge) as error:
                self._home.fail(job, error.message, final=True)

    def _restarted(self, job_id: str) -> bool:
        """Whether the job had ended and now waits again."""
        job = self._home.get(job_id)
        if job is not None and job.status in ("failed", "cancelled", "expired"):
            self._home.retry(job_id)
            return True
        return job is not None and job.status == "pending"

    def _running(self, job_id: str) -> Job:
        """The job at the attempt that was claimed here, else at the one that runs now."""
        held = self._held.get(job_id)
        if held is not None:
            return held.job
        job = self._home.get(job_id)
        if job is None:
            raise NotFound(f"there is no job '{job_id}'", job_id=job_id)
        if job.status != "running":
            raise WrongState(f"job '{job_id}' is {job.status}: it does not run", job_id=job_id)
        return job

    def _let_go(self, job_id: str) -> None:
        with self._lock:
            self._held.pop(job_id, None)
            if not self._held:
                self._rest()

    def _rest(self) -> None:
        if self._still is not None:
            self._still.set()
            self._still = None

    def _beat(self, still: threading.Event) -> None:
        """Keep what is held, three times as often as needed, until there is nothing."""
        while not still.wait(self._home.lease_seconds / 3):
            for held in list(self._held.values()):
                self._keep(held)

    def _keep(self, held: _Held) -> None:
        if held.lost:
            return
        try:
            if self._home.heartbeat(held.job):
                held.stop.set()
        except (LeaseLost, NotFound):
            held.lost = True
            held.stop.set()
            _log.warning("job lost", extra={"action": "lease_lost", "job_id": held.job.job_id})
        except Unavailable as error:
            _log.warning("heartbeat failed: %s", error, extra={"action": "heartbeat_failed"})


def _home(path: str | os.PathLike[str], token: str | None, queue: str | None) -> Home:
    if is_address(path):
        from tidegate.client.work import WorkClient

        from .server import ServerHome

        return ServerHome(WorkClient(str(path), token), queue)
    if token is not None:
        raise InvalidInput.field("token", "is for a server's address")
    return EmbeddedHome(folder_for(path), queue)
