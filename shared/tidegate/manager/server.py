"""The manager on a server, over HTTP. The token needs the scopes submit, read and work."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from tidegate.client import Job as Seen
from tidegate.client.work import WorkClient
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.domain.job import Json, Progress
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.ports import Worker
from tidegate.service.upstream import Upstream
from tidegate.service.workers import MAX_NAMES
from tidegate.worker.http import HttpAttempts, job_of, tell

from .home import UNLIMITED_SECONDS
from .job import Job, log_rows


class ServerHome:
    """`Home` on a server. With `queue`, jobs are submitted to that one, and claimed of it alone."""

    lease_seconds = 30.0
    """Until a claim tells how long leases last."""

    def __init__(self, client: WorkClient, queue: str | None = None) -> None:
        self._client = client
        self._queue = queue
        self._pool: str | None = None
        self._attempts = HttpAttempts(client, client)

    def submit(self, job_type: str, config: Json, priority: int, max_retries: int | None) -> str:
        """See `Home.submit`."""
        return self._client.submit(
            job_type,
            config,
            priority=priority,
            retry_limit=max_retries,
            timeout=UNLIMITED_SECONDS,
            queue=self._queue,
        ).id

    def get(self, job_id: str) -> Job | None:
        """See `Home.get`."""
        try:
            return shown(self._client.get(job_id))
        except NotFound:
            return None

    def list(self, status: str | None, job_type: str | None, limit: int) -> Sequence[Job]:
        """See `Home.list`."""
        return [shown(job) for job in self._client.list(max_jobs=limit, state=status, name=job_type)]

    def claim(self, worker_id: str, job_types: Collection[str] = ()) -> Job | None:
        """See `Home.claim`."""
        if self._queue is not None and self._pool is None:
            self._pool = self._client.queue(self._queue).pool
        claimed = self._client.claim(
            worker_id,
            pool=self._pool or DEFAULT_POOL,
            queues=() if self._queue is None else (self._queue,),
            names=sorted(job_types) if len(job_types) <= MAX_NAMES else (),
        )
        self.lease_seconds = claimed.lease_seconds
        for each in claimed.jobs:
            record = self._attempts.full(job_of(each))
            return replace(shown(each.job), config=record.data, record=record)
        return None

    def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        """See `Home.heartbeat`."""
        return self._client.heartbeat(job.job_id, job.attempt, None if progress is None else asdict(progress))

    def complete(self, job: Job, result: Json) -> None:
        """See `Home.complete`."""
        self._client.complete(job.job_id, job.attempt, result)

    def fail(self, job: Job, message: str, *, final: bool) -> None:
        """See `Home.fail`."""
        self._client.fail(job.job_id, job.attempt, message, permanent=final)

    def release(self, job: Job, seconds: float = 0.0) -> None:
        """See `Home.release`."""
        self._client.snooze(job.job_id, job.attempt, seconds)

    def skip(self, job: Job, reason: str) -> None:
        """See `Home.skip`."""
        self._client.skip(job.job_id, job.attempt, reason)

    def stopped(self, job: Job) -> None:
        """See `Home.stopped`."""
        self._client.stopped(job.job_id, job.attempt)

    def gather(self, job: Job) -> Json:
        """See `Home.gather`."""
        return self._client.job_entries(job.job_id, job.attempt)

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """See `Home.upstream`."""
        return {} if job.record is None else self._attempts.upstream(job.record)

    def cancel(self, job_id: str) -> None:
        """See `Home.cancel`."""
        self._client.cancel(job_id)

    def retry(self, job_id: str) -> None:
        """See `Home.retry`."""
        self._client.retry(job_id, counted=True)

    def log(self, job: Job, level: str, message: str) -> None:
        """See `Home.log`. Raises LeaseLost: only who holds a job may add to its log here."""
        self._client.append_log(job.job_id, job.attempt, [{"level": level, "message": message}])

    def logs(self, job_id: str) -> Sequence[Mapping[str, Any]]:
        """See `Home.logs`."""
        lines = self._client.logs(job_id)
        return log_rows(job_id, [(round(line.time.timestamp() * 1000), line.level, line.message) for line in lines])

    def tell(self, worker: Worker) -> None:
        """See `Home.tell`."""
        tell(self._client, worker)

    def is_alone(self, worker_id: str) -> bool:  # noqa: ARG002
        """See `Home.is_alone`: a Lambda that sleeps says nothing of itself."""
        return False

    def leave(self) -> None:
        """See `Home.leave`."""

    def close(self) -> None:
        """See `Home.close`."""
        self._client.close()


def shown(job: Seen) -> Job:
    """A job as the manager shows it. Raises InvalidInput for one without a time."""
    if job.created_at is None:
        raise InvalidInput("the server told of a job without saying when it was made")
    return Job(
        job_id=job.id,
        job_type=job.name,
        status=job.status,
        priority=job.priority,
        config=job.data,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        error_message=job.error_message,
        worker_id=job.worker_id,
        retry_count=job.retry_count,
        max_retries=job.retry_limit,
        queue=job.queue,
        result=job.result,
        attempt=job.attempt,
    )
