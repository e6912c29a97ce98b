"""A pipeline at work: its threads, and what they share."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import TidegateError, TooManyRequests
from tidegate.domain.spec import JobSpec
from tidegate.local.background import pump_all
from tidegate.ports import JobKey
from tidegate.runtime import App
from tidegate.service.pipeline import PipelineStatus, pipeline_status
from tidegate.service.retention import retire
from tidegate.service.stats import stats
from tidegate.service.submit import submit_one
from tidegate.service.tick import tick
from tidegate.service.tokens import DEFAULT_TENANT
from tidegate.worker.options import WorkerOptions
from tidegate.worker.pull import PullLoop

from .settings import PipelineSettings

_log = logging.getLogger("tidegate.pipeline")
_UPKEEP_SECONDS = 0.25
_STOP_SECONDS = 30.0
_ALL = Caller(DEFAULT_TENANT, "admin", frozenset({Scope.ADMIN}))


class Running:
    """A pipeline that has been started."""

    def __init__(self, app: App, settings: PipelineSettings) -> None:
        self._app = app
        self._ports = app.ports
        self._settings = settings
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        pump_all(self._app)
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

    def status(self) -> PipelineStatus:
        """The figures of the whole folder, up to this moment; the workers are those of this pipeline."""
        pump_all(self._app)
        status = pipeline_status(
            self._ports,
            _ALL,
            slots=self._settings.max_concurrent_jobs,
            workers=lambda *_: sum(thread.is_alive() for thread in self._threads),
        )
        return replace(status, is_running=status.is_running and not self._stopping.is_set())

    def stop(self) -> None:
        """Finish what runs, at most `_STOP_SECONDS`."""
        self._stopping.set()
        for loop in self._loops:
            loop.stop()
        end = time.monotonic() + _STOP_SECONDS
        for thread in (*self._threads, self._keeper):
            thread.join(max(0.0, end - time.monotonic()))
        pump_all(self._app)
        self._ports.close()

    def _known(self, spec: JobSpec) -> bool:
        """Whether there is such a job already: then none is added to those that wait."""
        (job,) = self._ports.jobs.get([JobKey(DEFAULT_TENANT, spec.job_id or "")])
        return job is not None

    def _counts(self) -> Mapping[str, int]:
        """The counters, up to this moment."""
        pump_all(self._app)
        return stats(self._ports, _ALL).counts

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
                pump_all(self._app)
                if time.monotonic() - cleaned_at >= self._settings.cleanup_interval:
                    cleaned_at = time.monotonic()
                    self._clean()
            except TidegateError as error:
                _log.warning("upkeep failed: %s", error, extra={"action": "upkeep_failed", "code": error.code})
        self._ports.close()

    def _clean(self) -> None:
        """Erase all jobs that ended longer ago than their queue keeps them; each tick erases only some."""
        while retire(self._ports, self._ports.now()):
            pass

    def _thread(self, name: str, run: Any, *arguments: Any) -> threading.Thread:
        return threading.Thread(target=run, args=arguments, name=f"tidegate-pipeline-{name}", daemon=True)
