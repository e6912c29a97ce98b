"""`JobPipeline`, and the one that a process has."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tidegate import runtime
from tidegate.client.endpoint import data_folder
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import Json, Ms
from tidegate.domain.priority import parse_priority
from tidegate.domain.queue import check_name
from tidegate.domain.spec import JobSpec
from tidegate.service.pipeline import Metrics, PipelineStatus
from tidegate.service.tokens import DEFAULT_TENANT

from .running import Running
from .settings import JobPriority, PipelineSettings, settings_from


class JobPipeline:
    """Worker threads on the embedded home. Starts with the first submission, or with `start`; safe among threads."""

    def __init__(
        self,
        max_concurrent_jobs: int = 5,
        max_queue_size: int = 1000,
        cleanup_interval: float = 300,
        retry_delay_base: float = 2.0,
        *,
        data: Path | None = None,
    ) -> None:
        """`data` is the folder of the jobs; else TIDEGATE_DATA names it, else it is `./.tidegate`.

        Retry n waits `retry_delay_base` · 2^(n−1) seconds. Raises InvalidInput.
        """
        self.settings = PipelineSettings(
            max_concurrent_jobs=max_concurrent_jobs,
            max_queue_size=max_queue_size,
            cleanup_interval=cleanup_interval,
            retry_delay_base=retry_delay_base,
        )
        self._data = data
        self._lock = threading.RLock()
        self._running: Running | None = None

    async def start(self) -> None:
        """Open the home and start the workers; nothing happens when they run already."""
        await asyncio.to_thread(self._started)

    async def stop(self) -> None:
        """Finish the jobs under way, then end the workers. What waits goes on with the next start."""
        await asyncio.to_thread(self._stop)

    async def submit_job(
        self,
        job_id: str,
        user_id: str,
        agent_name: str,
        job_data: Json = None,
        priority: int = JobPriority.NORMAL,
        max_retries: int = 3,
        scheduled_at: datetime | None = None,
    ) -> str:
        """Take a job in; answers its id. The same job twice is one job. `scheduled_at` without a zone is UTC.

        Raises InvalidInput, Conflict for an id that was used for something else, TooManyRequests when
        `max_queue_size` jobs wait.
        """
        spec = JobSpec(
            name=agent_name,
            data=job_data,
            job_id=job_id,
            priority=parse_priority(int(priority)),
            retry_limit=max_retries,
            retry_delay=self.settings.retry_delay_base,
            start_after=None if scheduled_at is None else _ms(scheduled_at),
        )
        caller = Caller(DEFAULT_TENANT, check_name("user_id", user_id), frozenset({Scope.SUBMIT}))
        return await asyncio.to_thread(lambda: self._started().submit(caller, spec))

    def get_pipeline_status(self) -> dict[str, Any]:
        """How the pipeline is doing, in the form and with the figures of `GET /pipeline/status`.

        Those of ended jobs are since the first job of the folder, by whatever process it was run.
        """
        running = self._running
        return (_at_rest(self.settings) if running is None else running.status()).told()

    def _started(self) -> Running:
        with self._lock:
            if self._running is None:
                self._running = Running(runtime.embedded(data_folder(self._data)), self.settings)
            return self._running

    def _stop(self) -> None:
        with self._lock:
            running, self._running = self._running, None
        if running is not None:
            running.stop()


def _at_rest(settings: PipelineSettings) -> PipelineStatus:
    """The status of a pipeline that does not run."""
    return PipelineStatus(
        is_running=False,
        queue_size=0,
        scheduled_jobs=0,
        max_concurrent_jobs=settings.max_concurrent_jobs,
        worker_count=0,
        metrics=Metrics(active_jobs=0, completed_jobs=0, failed_jobs=0, retried_jobs=0, uptime_seconds=0),
    )


def _ms(time: datetime) -> Ms:
    return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp() * 1000)


_the_pipeline: list[JobPipeline] = []
_making = threading.Lock()


def get_job_pipeline() -> JobPipeline:
    """The pipeline of this process, made as the `JOB_PIPELINE_*` variables say when first asked for."""
    with _making:
        if not _the_pipeline:
            settings = settings_from(os.environ)
            _the_pipeline.append(
                JobPipeline(
                    settings.max_concurrent_jobs,
                    settings.max_queue_size,
                    settings.cleanup_interval,
                    settings.retry_delay_base,
                )
            )
        return _the_pipeline[0]


async def start_job_pipeline() -> JobPipeline:
    """Start the pipeline of this process, for example when an application starts; answers it."""
    pipeline = get_job_pipeline()
    await pipeline.start()
    return pipeline


async def stop_job_pipeline() -> None:
    """End the pipeline of this process once its running jobs have ended; `get_job_pipeline` then makes a new one."""
    with _making:
        found = _the_pipeline.pop() if _the_pipeline else None
    if found is not None:
        await found.stop()
