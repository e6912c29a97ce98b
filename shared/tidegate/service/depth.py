"""How many jobs wait for a worker, by priority, and which of them has waited longest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import WAITING, Job, Ms
from tidegate.domain.priority import HIGHEST, LOWEST, Band, band_of, first_rank
from tidegate.domain.ticket import Lane
from tidegate.ports import JobKey, Ports

from .record_changes import TOTALS, WAITING_AT
from .stats import queue_figures

MAX_LANES = 50
"""Queues that are looked into for the job that has waited longest: those with the most jobs."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Jobs that wait for a worker or for their next attempt, by priority; those with a time of their own do not."""

    priorities: Mapping[int, int]
    oldest: Job | None
    """The job that has been ready for the longest, as far as the caller may see it."""
    waiting_seconds: float | None
    """How long it has been ready, whoever may see it; None when none waits."""

    @property
    def bands(self) -> Mapping[Band, int]:
        """The same by the four bands that become SQS queues."""
        return _banded(self.priorities)


def depth(ports: Ports, caller: Caller) -> Depth:
    """The depth of the caller's tenant, from counters that are seconds late at most.

    Of each queue and priority that has waiting jobs, one entry of the ready index is read.
    """
    caller.require(Scope.READ)
    counted = _by_priority(ports.figures.read(caller.tenant, TOTALS))
    priorities = {priority: jobs for priority, jobs in counted.items() if jobs}
    oldest = _oldest(ports, caller, priorities)
    if oldest is None:
        return Depth(priorities, None, None)
    visible = oldest if oldest.owner == caller.user or caller.sees_all_users() else None
    return Depth(priorities, visible, max(0, ports.now() - ready_since(oldest)) / 1000)


def by_band(totals: Mapping[str, int]) -> Mapping[Band, int]:
    """Of a tenant's totals, the jobs that wait for a worker, by the four bands."""
    return _banded(_by_priority(totals))


def _by_priority(totals: Mapping[str, int]) -> Mapping[int, int]:
    return {priority: max(0, totals.get(f"{WAITING_AT}{priority}", 0)) for priority in range(LOWEST, HIGHEST + 1)}


def _banded(priorities: Mapping[int, int]) -> Mapping[Band, int]:
    found = dict.fromkeys(Band, 0)
    for priority, jobs in priorities.items():
        found[band_of(priority)] += jobs
    return found


def ready_since(job: Job) -> Ms:
    """When a ready job became so: when it was made, or its time came, or it was released or put back."""
    if job.attempt or job.dag_id is not None:
        return job.updated_at
    return max(job.created_at, job.start_after or 0)


def _oldest(ports: Ports, caller: Caller, priorities: Mapping[int, int]) -> Job | None:
    keys = dict.fromkeys(JobKey(caller.tenant, job_id) for job_id in _heads(ports, caller, priorities))
    jobs = ports.jobs.get(list(keys)) if keys else []
    ready = [job for job in jobs if job is not None and job.state in WAITING and job.wake_at is None]
    return min(ready, key=ready_since, default=None)


def _heads(ports: Ports, caller: Caller, priorities: Mapping[int, int]) -> Iterator[str]:
    """The oldest jobs of each queue and priority, where queues are strict; else the first of each queue."""
    figures = sorted(queue_figures(ports, caller), key=lambda each: -each.depth)
    for queue in [each.queue for each in figures if each.depth][:MAX_LANES]:
        for priority in dict.fromkeys((HIGHEST, *priorities)):
            for ready in ports.jobs.head(Lane(caller.tenant, queue), 1, first_rank(priority)):
                yield ready.job_id
