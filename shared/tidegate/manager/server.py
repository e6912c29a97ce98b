"""The manager on a server, over HTTP. The token needs the scopes submit, read and work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import quote

from tidegate.client import Client
from tidegate.client import Job as Seen
from tidegate.client.calls import Call
from tidegate.client.fields import to_json
from tidegate.domain import job as domain
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.domain.job import Json, Progress
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec, new_job
from tidegate.execution.context import JobContext

from .home import UNLIMITED_SECONDS, HeldContext
from .job import Job, log_rows

T = TypeVar("T")
_NO_LINES = "a server keeps the lines that handlers tell with 'job.log': none can be added from outside"


class Work(Client):
    """A client that also claims, keeps and ends jobs."""

    def claim(self, worker_id: str) -> tuple[Sequence[Seen], float]:
        """Start the best waiting job; answers it, if there is one, and how many seconds its lease lasts."""
        body = {"worker_id": worker_id, "max": 1}
        return self._run(_post("/workers/claim", _claimed, body, repeatable=False))

    def heartbeat(self, job_id: str, attempt: int, progress: Progress | None) -> bool:
        """Keep a job; answers whether it shall stop."""
        path = f"/jobs/{quote(job_id, safe='')}/heartbeat"
        told = {} if progress is None else {"progress": asdict(progress)}
        return self._run(_post(path, lambda wire: bool(wire["cancel_requested"]), {"attempt": attempt, **told}))

    def end(self, job_id: str, how: str, attempt: int, **body: Json) -> Seen:
        """`complete`, `fail`, `skip`, `snooze` or `stopped`."""
        path = f"/jobs/{quote(job_id, safe='')}/{how}"
        return self._run(_post(path, lambda wire: Seen.from_wire(wire["job"]), {"attempt": attempt, **body}))


class ServerHome:
    """`Home` on a server."""

    lease_seconds = 30.0
    """Until a claim tells how long leases last."""

    def __init__(self, client: Work) -> None:
        self._client = client

    def submit(self, job_type: str, config: Json, priority: int, max_retries: int | None) -> str:
        """See `Home.submit`."""
        fields: dict[str, Any] = {"priority": priority, "retry_limit": max_retries, "timeout": UNLIMITED_SECONDS}
        return self._client.submit(job_type, config, **fields).id

    def get(self, job_id: str) -> Job | None:
        """See `Home.get`."""
        try:
            return shown(self._client.get(job_id))
        except NotFound:
            return None

    def list(self, status: str | None, job_type: str | None, limit: int) -> Sequence[Job]:
        """See `Home.list`."""
        return [shown(job) for job in self._client.list(max_jobs=limit, state=status, name=job_type)]

    def claim(self, worker_id: str) -> Job | None:
        """See `Home.claim`."""
        jobs, lease_seconds = self._client.claim(worker_id)
        if not jobs:
            return None
        self.lease_seconds = lease_seconds
        job = jobs[0]
        return shown(self._client.get(job.id) if "data" in job.omitted else job, attempt=job.attempt)

    def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        """See `Home.heartbeat`."""
        return self._client.heartbeat(job.job_id, job.attempt, progress)

    def complete(self, job: Job, result: Json) -> None:
        """See `Home.complete`."""
        self._client.end(job.job_id, "complete", job.attempt, result=result)

    def fail(self, job: Job, message: str, *, final: bool) -> None:
        """See `Home.fail`."""
        self._client.end(job.job_id, "fail", job.attempt, error_message=message, permanent=final)

    def release(self, job: Job, seconds: float = 0.0) -> None:
        """See `Home.release`."""
        self._client.end(job.job_id, "snooze", job.attempt, seconds=seconds)

    def skip(self, job: Job, reason: str) -> None:
        """See `Home.skip`."""
        self._client.end(job.job_id, "skip", job.attempt, reason=reason)

    def stopped(self, job: Job) -> None:
        """See `Home.stopped`."""
        self._client.end(job.job_id, "stopped", job.attempt)

    def cancel(self, job_id: str) -> None:
        """See `Home.cancel`."""
        self._client.cancel(job_id)

    def retry(self, job_id: str) -> None:
        """See `Home.retry`."""
        self._client.retry(job_id, counted=True)

    def log(self, job_id: str, level: str, message: str) -> None:  # noqa: ARG002 - as `Home.log`
        """Raises InvalidInput: a server keeps what handlers tell, and nothing else."""
        raise InvalidInput(_NO_LINES)

    def logs(self, job_id: str) -> Sequence[Mapping[str, Any]]:
        """See `Home.logs`."""
        lines = self._client.logs(job_id)
        return log_rows(job_id, [(round(line.time.timestamp() * 1000), line.level, line.message) for line in lines])

    def context(self, job: Job) -> JobContext:
        """See `Home.context`."""
        return HeldContext(_as_domain(self._client.get(job.job_id), job), job, partial(self.heartbeat, job))

    def close(self) -> None:
        """See `Home.close`."""
        self._client.close()


def shown(job: Seen, attempt: int | None = None) -> Job:
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
        attempt=job.attempt if attempt is None else attempt,
    )


def _as_domain(seen: Seen, job: Job) -> domain.Job:
    """The job as far as handlers look at it."""
    spec = JobSpec(
        name=seen.name,
        data=seen.data,
        queue=seen.queue,
        priority=seen.priority,
        tags=seen.tags,
        metadata=seen.metadata,
        retry_limit=seen.retry_limit,
    )
    made = new_job(spec, Queue(tenant="-", name=seen.queue), job_id=seen.id, owner="-", now=0)
    left = seen.retry_limit - seen.retry_count
    return replace(made, attempt=job.attempt, attempts_allowed=job.attempt + left, state=domain.State.ACTIVE)


def _claimed(wire: Mapping[str, Any]) -> tuple[Sequence[Seen], float]:
    return [Seen.from_wire(each) for each in wire["jobs"]], float(wire["lease_seconds"])


def _post(
    path: str, read: Callable[[Mapping[str, Any]], T], body: Mapping[str, Any], *, repeatable: bool = True
) -> Call[T]:
    return Call("POST", path, read, body=to_json(dict(body)), repeatable=repeatable)
