"""How many jobs wait for a worker, by priority, and which of them has waited longest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

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
    totals = ports.figures.read(caller.tenant, TOTALS)
    figures = sorted(queue_figures(ports, caller), key=lambda each: -each.depth)
    oldest = waited_longest(ports, caller.tenant, totals, [each.queue for each in figures if each.depth])
    if oldest is None:
        return Depth(_waiting(totals), None, None)
    visible = oldest if oldest.owner == caller.user or caller.sees_all_users() else None
    return Depth(_waiting(totals), visible, seconds_ready(oldest, ports.now()))


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


def seconds_ready(job: Job, now: Ms) -> float:
    """For how long a ready job has been so."""
    return max(0, now - _ready_since(job)) / 1000


def _ready_since(job: Job) -> Ms:
    """When a ready job became so: when it was made, or its time came, or it was released or put back."""
    if job.attempt or job.dag_id is not None:
        return job.updated_at
    return max(job.created_at, job.start_after or 0)


def waited_longest(ports: Ports, tenant: str, totals: Mapping[str, int], queues: Iterable[str]) -> Job | None:
    """The job of these queues (the first 50 of them) that has been ready for the longest; None if none is.

    Costs a read for each queue and each priority at which jobs wait by the tenant's `totals`, and one for the jobs
    found.
    """
    keys = dict.fromkeys(JobKey(tenant, job_id) for job_id in _heads(ports, tenant, _waiting(totals), queues))
    jobs = ports.jobs.get(list(keys)) if keys else []
    ready = [job for job in jobs if job is not None and job.state in WAITING and job.wake_at is None]
    return min(ready, key=_ready_since, default=None)


def _heads(ports: Ports, tenant: str, priorities: Mapping[int, int], queues: Iterable[str]) -> Iterator[str]:
    """The oldest jobs of each queue and priority, where queues are strict; else the first of each queue."""
    for queue in islice(queues, MAX_LANES):
        for priority in dict.fromkeys((HIGHEST, *priorities)):
            for ready in ports.jobs.head(Lane(tenant, queue), 1, first_rank(priority)):
                yield ready.job_id


def _waiting(totals: Mapping[str, int]) -> Mapping[int, int]:
    """The jobs that wait for a worker, by the priorities at which there are any."""
    return {priority: jobs for priority, jobs in _by_priority(totals).items() if jobs}
