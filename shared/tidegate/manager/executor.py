"""`JobExecutor`: a worker that claims jobs from a manager and runs them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from tidegate import __version__
from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, PayloadTooLarge
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.execution.attempt_runner import described
from tidegate.execution.context import JobContext, PermanentError, Skip, Snooze
from tidegate.execution.presence import Presence, describe
from tidegate.execution.registry import load_executors

from .home import HeldContext
from .job import Job
from .jobs import JobManager

_log = logging.getLogger("tidegate.manager")


class JobExecutor:
    """Runs jobs of a manager, up to `max_concurrent` at once.

    A job is run by the function that `handlers` has for its type, which is given the `Job`; else by the one that was
    registered for it with `@tidegate.executor`, which is given a `JobContext`. A subclass may override `execute_job`.
    What a function returns is the job's result. One that raises is run again after the backoff, while there are
    retries left; after `PermanentError` it is not. Jobs of types that it has no function for are left to
    others; they fail where no other worker was seen in the last minute.
    """

    def __init__(
        self,
        job_manager: JobManager,
        worker_id: str = "worker-01",
        max_concurrent: int = 1,
        *,
        handlers: Mapping[str, Callable[[Job], Any]] | None = None,
    ) -> None:
        """Raises InvalidInput for a `max_concurrent` below 1."""
        if max_concurrent < 1:
            raise InvalidInput.field("max_concurrent", "must be at least 1")
        self.job_manager = job_manager
        self.worker_id = worker_id
        self.max_concurrent = max_concurrent
        self._handlers = dict(handlers or {})
        self._stopping = threading.Event()

    def run_worker(self, max_jobs: int | None = None, poll_interval: float = 5.0) -> int:
        """Run `max_jobs` jobs, or go on until `stop`; looks for jobs every `poll_interval` seconds when there are none.

        Answers how many attempts were run. With `max_concurrent` 1 they run on the calling thread. Meanwhile it is
        among those that work (`GET /workers`).
        """
        presence = self._presence()
        presence.start()
        try:
            if self.max_concurrent == 1:
                return self._run_alone(max_jobs, poll_interval)
            return self._run_together(max_jobs, poll_interval)
        finally:
            presence.stop()

    def stop(self) -> None:
        """Let `run_worker` return once the running jobs have ended. May be called from a signal handler."""
        self._stopping.set()

    def execute_job(self, job: Job) -> Any:
        """Run a claimed job's function; answers its result, raises what it raises.

        Raises PermanentError when there is no function for the job's type.
        """
        handler = self._handlers.get(job.job_type)
        if handler is not None:
            return handler(job)
        registered = load_executors(())
        if job.job_type not in registered:
            known = ", ".join(sorted({*self._handlers, *registered})) or "none"
            raise PermanentError(f"there is no function for jobs of type '{job.job_type}' (there is: {known})")
        return registered[job.job_type].run(self._context(job))

    def _presence(self) -> Presence:
        home = self.job_manager.home
        about = describe(
            self.worker_id,
            kind="pull",
            pool=DEFAULT_POOL,
            version=__version__,
            names=self._types(),
            concurrency=self.max_concurrent,
        )
        return Presence(about, home.tell, self.job_manager.held, close=home.leave)

    def _types(self) -> set[str]:
        return {*self._handlers, *load_executors(())}

    def _claimed(self) -> Job | None:
        """A job that it has a function for; of any type where `execute_job` is overridden, or nobody else works."""
        manager, types = self.job_manager, self._types()
        if type(self).execute_job is not JobExecutor.execute_job or manager.home.is_alone(self.worker_id):
            types = set()
        return manager.claim_job(self.worker_id, job_types=types)

    def _context(self, job: Job) -> JobContext:
        if job.record is None:
            raise InvalidInput("only a job that was claimed can be run by a registered function")
        return HeldContext(self.job_manager.home, job, job.record)

    def _run_alone(self, max_jobs: int | None, poll_interval: float) -> int:
        done = 0
        while not self._stopping.is_set() and (max_jobs is None or done < max_jobs):
            job = self._claimed()
            if job is None:
                self._stopping.wait(poll_interval)
                continue
            self._run(job)
            done += 1
        return done

    def _run_together(self, max_jobs: int | None, poll_interval: float) -> int:
        started = 0
        running: set[Future[None]] = set()
        with ThreadPoolExecutor(self.max_concurrent, thread_name_prefix=self.worker_id) as threads:
            while not self._stopping.is_set() and (max_jobs is None or started < max_jobs):
                running = {each for each in running if not each.done()}
                if len(running) == self.max_concurrent:
                    wait(running, return_when=FIRST_COMPLETED)
                    continue
                job = self._claimed()
                if job is None:
                    self._pause(running, poll_interval)
                    continue
                running.add(threads.submit(self._run, job))
                started += 1
        return started

    def _pause(self, running: set[Future[None]], seconds: float) -> None:
        """Until something ends, or `seconds` are over."""
        if running:
            wait(running, timeout=seconds, return_when=FIRST_COMPLETED)
        else:
            self._stopping.wait(seconds)

    def _run(self, job: Job) -> None:
        started = time.monotonic()
        try:
            self._settle(job, self._outcome(job))
        except (LeaseLost, NotFound) as error:
            _log.warning("outcome refused: %s", error, extra={"action": "lease_lost", "job_id": job.job_id})
        _log.debug("ran %s in %.3f s", job.job_id, time.monotonic() - started, extra={"action": "job_ran"})

    def _outcome(self, job: Job) -> Any:
        try:
            return self.execute_job(job)
        except PermanentError as error:
            return _Raised(str(error) or "PermanentError", retry=False)
        except Exception as error:
            return _Raised(described(error), retry=True)

    def _settle(self, job: Job, outcome: Any) -> None:
        manager = self.job_manager
        match outcome:
            case _ if job.cancelled:
                manager.update_job_status(job.job_id, "cancelled")
            case _Raised():
                manager.update_job_status(job.job_id, "failed", outcome.message, retry=outcome.retry)
            case Snooze(seconds):
                manager.end_attempt(job, lambda home: home.release(job, seconds))
            case Skip(reason):
                manager.end_attempt(job, lambda home: home.skip(job, reason))
            case _:
                self._complete(job, outcome)

    def _complete(self, job: Job, result: Any) -> None:
        try:
            self.job_manager.update_job_status(job.job_id, "completed", result=result)
        except (InvalidInput, PayloadTooLarge) as error:
            self.job_manager.update_job_status(job.job_id, "failed", f"the handler's {error.message}")


class _Raised:
    """A function raised."""

    def __init__(self, message: str, *, retry: bool) -> None:
        self.message = message
        self.retry = retry
