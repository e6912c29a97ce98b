"""A pipeline at work: its threads, and what they share."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import TidegateError, TooManyRequests
from tidegate.domain.job import TERMINAL, Ms, State
from tidegate.domain.spec import JobSpec
from tidegate.local.background import pump_changes
from tidegate.ports import JobKey, JobQuery
from tidegate.runtime import App
from tidegate.service.policies import queue_named
from tidegate.service.stats import stats
from tidegate.service.submit import submit_one
from tidegate.service.tick import tick
from tidegate.service.tokens import DEFAULT_TENANT
from tidegate.worker.pull import PullLoop, WorkerOptions

from .figures import Tally, metrics
from .settings import PipelineSettings

_log = logging.getLogger("tidegate.pipeline")
_UPKEEP_SECONDS = 0.25
_FAR_FUTURE: Ms = 253_402_300_799_999
_MOST_DELAYED = 100_000
_CLEANED_AT_ONCE = 200
_STOP_SECONDS = 30.0
_ALL = Caller(DEFAULT_TENANT, "admin", frozenset({Scope.ADMIN}))
_one_pump = threading.Lock()
"""The change feed's function finds its home in a place that all threads share."""


class Running:
    """A pipeline that has been started."""

    def __init__(self, app: App, settings: PipelineSettings) -> None:
        self._app = app
        self._ports = app.ports
        self._settings = settings
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._started_at = time.monotonic()
        self._pump()
        self._tally = Tally(app.ports)
        options = WorkerOptions(poll_interval=0.25)
        runners = [runtime.runner(app, (), pulling=True) for _ in range(settings.max_concurrent_jobs)]
        self._loops = [PullLoop(app, runner, options) for runner in runners]
        self._threads = [self._thread("worker", self._work, loop) for loop in self._loops]
        self._keeper = self._thread("keeper", self._keep)
        for thread in (*self._threads, self._keeper):
            thread.start()

    def submit(self, caller: Caller, spec: JobSpec) -> str:
        """Store a job, unless too many wait."""
        with self._lock:
            if self._known(spec):
                return submit_one(self._ports, caller, spec).job.id
            waiting = self._counts()["pending"]
            if waiting >= self._settings.max_queue_size:
                raise TooManyRequests(f"{waiting} jobs wait, as many as may; try again later", waiting=waiting)
            return submit_one(self._ports, caller, spec).job.id

    def status(self) -> dict[str, Any]:
        """See `JobPipeline.get_pipeline_status`."""
        with self._lock:
            counts = self._counts()
            entered = self._tally.read(self._ports.now())
            delayed = len(self._ports.jobs.due(_FAR_FUTURE, _MOST_DELAYED))
        scheduled = min(delayed, counts["pending"])
        uptime = time.monotonic() - self._started_at
        return {
            "is_running": not self._stopping.is_set(),
            "queue_size": counts["pending"] - scheduled,
            "scheduled_jobs": scheduled,
            "active_jobs": counts["running"],
            "max_concurrent_jobs": self._settings.max_concurrent_jobs,
            "worker_count": sum(thread.is_alive() for thread in self._threads),
            "metrics": metrics(
                active=counts["running"],
                completed=entered[State.COMPLETED],
                failed=entered[State.FAILED],
                retried=entered[State.RETRY],
                uptime_seconds=uptime,
            ),
        }

    def stop(self) -> None:
        """Finish what runs, at most `_STOP_SECONDS`."""
        self._stopping.set()
        for loop in self._loops:
            loop.stop()
        end = time.monotonic() + _STOP_SECONDS
        for thread in (*self._threads, self._keeper):
            thread.join(max(0.0, end - time.monotonic()))
        self._pump()
        self._ports.close()

    def _known(self, spec: JobSpec) -> bool:
        """Whether there is such a job already: then none is added to those that wait."""
        (job,) = self._ports.jobs.get([JobKey(DEFAULT_TENANT, spec.job_id or "")])
        return job is not None

    def _counts(self) -> Mapping[str, int]:
        """The counters, up to this moment."""
        self._pump()
        return stats(self._ports, _ALL).counts

    def _pump(self) -> None:
        feed = self._app.feed
        while feed is not None and feed.read(1):
            # Read and dropped in one transaction: a server on the same folder may be about to do the same.
            with _one_pump, runtime.use(self._app), self._ports.together():
                pump_changes(self._ports, feed)

    def _work(self, loop: PullLoop) -> None:
        try:
            loop.run()
        finally:
            self._ports.close()

    def _keep(self) -> None:
        """What a server's clock and change feed do, and the cleaning."""
        last_tick, cleaned_at = None, time.monotonic()
        while not self._stopping.wait(_UPKEEP_SECONDS):
            try:
                now = self._ports.now()
                tick(self._ports, 0.0, last_tick)
                last_tick = now
                with self._lock:
                    self._pump()
                    self._tally.read(now)
                if time.monotonic() - cleaned_at >= self._settings.cleanup_interval:
                    cleaned_at = time.monotonic()
                    self._clean()
            except TidegateError as error:
                _log.warning("upkeep failed: %s", error, extra={"action": "upkeep_failed", "code": error.code})
        self._ports.close()

    def _clean(self) -> int:
        """Erase jobs that ended longer ago than their queue keeps them; answers how many."""
        now, erased = self._ports.now(), 0
        query = JobQuery(tenant=DEFAULT_TENANT, states=TERMINAL, created_to=now, limit=_CLEANED_AT_ONCE)
        for job in self._ports.jobs.page(query).jobs:
            kept = job.keep_until
            if kept is None:
                kept = (job.completed_at or now) + round(self._keep_seconds(job.queue) * 1000)
            if kept <= now:
                erased += self._ports.jobs.erase_if_ended(JobKey(job.tenant, job.id))
        return erased

    def _keep_seconds(self, queue: str) -> float:
        with suppress(TidegateError):
            return queue_named(self._ports, DEFAULT_TENANT, queue).keep_seconds
        return 0.0

    def _thread(self, name: str, run: Any, *arguments: Any) -> threading.Thread:
        return threading.Thread(target=run, args=arguments, name=f"tidegate-pipeline-{name}", daemon=True)
