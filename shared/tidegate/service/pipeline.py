"""The pipeline as a whole: is it running, how much waits, how well does it do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import Ms, State
from tidegate.ports import Ports

from .policies import list_queues
from .record_changes import SINCE, STATES, TOTALS

MINUTE_MS = 60_000
Workers = Callable[[Ports, str, Ms], int]
"""How many workers a tenant's jobs have had since a time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What became of the jobs since the counters began, `uptime_seconds` ago."""

    active_jobs: int
    completed_jobs: int
    failed_jobs: int
    retried_jobs: int
    """Jobs that needed retries, however many."""
    uptime_seconds: int

    @property
    def total_processed(self) -> int:
        """Jobs that ended by themselves, well or not."""
        return self.completed_jobs + self.failed_jobs

    @property
    def success_rate(self) -> float:
        """Percent of the processed jobs that completed, to one decimal; 0 when none was processed."""
        return round(100 * self.completed_jobs / self.total_processed, 1) if self.total_processed else 0.0

    @property
    def jobs_per_minute(self) -> float:
        """Processed jobs per minute since the counters began, to one decimal."""
        return round(self.total_processed * 60 / self.uptime_seconds, 1) if self.uptime_seconds else 0.0

    def told(self) -> dict[str, Any]:
        """All of them by name."""
        return {
            "active_jobs": self.active_jobs,
            "completed_jobs": self.completed_jobs,
            "failed_jobs": self.failed_jobs,
            "retried_jobs": self.retried_jobs,
            "total_processed": self.total_processed,
            "success_rate": self.success_rate,
            "uptime_seconds": self.uptime_seconds,
            "jobs_per_minute": self.jobs_per_minute,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStatus:
    """The pipeline now."""

    is_running: bool
    """Whether any queue of the tenant is not paused."""
    queue_size: int
    """Jobs that wait to be started, those between two attempts included."""
    scheduled_jobs: int
    """Jobs that wait for a time of their own."""
    max_concurrent_jobs: int
    worker_count: int
    metrics: Metrics

    def told(self) -> dict[str, Any]:
        """All of it by name, the metrics as a part of their own."""
        return {
            "is_running": self.is_running,
            "queue_size": self.queue_size,
            "scheduled_jobs": self.scheduled_jobs,
            "active_jobs": self.metrics.active_jobs,
            "max_concurrent_jobs": self.max_concurrent_jobs,
            "worker_count": self.worker_count,
            "metrics": self.metrics.told(),
        }


def live_workers(ports: Ports, tenant: str, since: Ms) -> int:
    """The workers seen since then, and no fewer than jobs run: one that just began may not have told of itself."""
    seen = [each for each in ports.workers.list(since) if not each.stopped and each.tenant in ("", tenant)]
    return max(len(seen), ports.figures.read(tenant, STATES).get(State.ACTIVE, 0))


def pipeline_status(ports: Ports, caller: Caller, *, slots: int, workers: Workers = live_workers) -> PipelineStatus:
    """The state of the caller's pipeline, from counters that are seconds late at most.

    `slots` is how many jobs may run at once, `workers` tells how many workers were alive within the last minute.
    """
    caller.require(Scope.READ)
    now = ports.now()
    states = ports.figures.read(caller.tenant, STATES)
    totals = ports.figures.read(caller.tenant, TOTALS)
    active = max(0, states.get(State.ACTIVE, 0))
    waiting = max(0, states.get(State.CREATED, 0)) + max(0, states.get(State.RETRY, 0))
    scheduled = min(waiting, max(0, totals.get("scheduled", 0)))
    return PipelineStatus(
        is_running=not all(queue.paused for queue in list_queues(ports, caller)),
        queue_size=waiting - scheduled,
        scheduled_jobs=scheduled,
        max_concurrent_jobs=slots,
        worker_count=workers(ports, caller.tenant, now - MINUTE_MS),
        metrics=Metrics(
            active_jobs=active,
            completed_jobs=totals.get(State.COMPLETED, 0),
            failed_jobs=totals.get(State.FAILED, 0),
            retried_jobs=totals.get("retried", 0),
            uptime_seconds=max(0, now - totals.get(SINCE, now)) // 1000,
        ),
    )
