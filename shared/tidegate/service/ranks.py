"""The rank of a job as its queue orders, from all that decides about it."""

from __future__ import annotations

from tidegate.domain.job import Job, Sla
from tidegate.domain.priority import rank_of
from tidegate.domain.queue import Queue
from tidegate.domain.sla import deadlines

from .expectations import Expectations


def rank_now(queue: Queue, job: Job, priority: int, expectations: Expectations, sla: Sla | None = None) -> int:
    """The rank that a job gets with this priority, and where its deadlines stand so (None: as it says)."""
    return rank_of(
        queue.ordering,
        priority=priority,
        created_at=job.created_at,
        deadline=deadlines(job).first,
        expected_ms=expectations.steering(queue, job.name),
        aging_seconds=queue.aging_seconds,
        age_floor_seconds=queue.age_floor_seconds,
        late=(job.sla if sla is None else sla) >= Sla.SOFT_MISSED,
    )
