"""What CloudWatch shall see of a batch of tickets."""

from __future__ import annotations

from tidegate.domain.job import Job
from tidegate.execution.emf import publish


class Waits:
    """How long the jobs waited that this process started."""

    def __init__(self) -> None:
        self._waits: list[int] = []

    def starts(self, job: Job) -> None:
        """Note a job that starts: its first attempt, unless nodes before it kept it."""
        if job.attempt == 1 and job.dag_id is None and job.started_at is not None:
            self._waits.append(max(0, job.started_at - max(job.created_at, job.start_after or 0)))

    def publish(self, stage: str | None, returned: int) -> None:
        """Write what was noted since the last time, and how many tickets of the batch SQS must deliver again."""
        waits, self._waits = self._waits, []
        publish(stage, {"JobWait": waits, **({"TicketsReturned": returned} if returned else {})})
