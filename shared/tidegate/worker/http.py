"""A worker over HTTPS alone: a token of the scope `work` is all it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime

from tidegate.client import Job as Seen
from tidegate.client.work import ClaimedJob, WorkClient
from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, PayloadTooLarge, TidegateError, Unavailable
from tidegate.domain.job import ErrorType, Job, Json, Ms, Progress, State
from tidegate.ports import Worker
from tidegate.service.settle import Settled

from .options import WorkerOptions

_LONGEST_WAIT_SECONDS = 20.0
_WORTH_WAITING_SECONDS = 5.0
"""A server that lets nobody wait so long is a Lambda, which is billed while it waits."""
_ELSEWHERE = "elsewhere"
"""Stands for the place of data that did not come with the claim."""


class HttpSource:
    """`Source` over HTTP. `on_lease` is told how long the leases last that were handed out."""

    def __init__(
        self, client: WorkClient, options: WorkerOptions, worker_id: str, on_lease: Callable[[float], object]
    ) -> None:
        self._client = client
        self._options = options
        self._worker_id = worker_id
        self._on_lease = on_lease
        self._wait = min(options.poll_interval, _LONGEST_WAIT_SECONDS)

    def claim(self, limit: int) -> Sequence[Job]:
        """See `Source.claim`.

        Waiting is given up where it is not worth it: asking a Lambda again costs less than letting it wait, and
        a worker that is killed while it waits would take a job with it.
        """
        claimed = self._client.claim(
            self._worker_id,
            pool=self._options.pool,
            queues=self._options.queues,
            wait_seconds=self._wait,
            max_jobs=limit,
        )
        if claimed.longest_wait_seconds < _WORTH_WAITING_SECONDS:
            self._wait = 0.0
        self._on_lease(claimed.lease_seconds)
        return [job_of(each) for each in claimed.jobs]

    def pause(self, empty: int, waited: float) -> float:  # noqa: ARG002
        """See `Source.pause`."""
        return max(0.0, self._options.poll_interval - waited)


class HttpAttempts:
    """`AttemptStore` over HTTP. The server sends the tickets of jobs that wait for another attempt."""

    def __init__(self, client: WorkClient) -> None:
        self._client = client

    def full(self, job: Job) -> Job:
        """See `AttemptStore.full`. Raises PayloadTooLarge for data that HTTP cannot carry."""
        if job.data_ref is None:
            return job
        with _reached():
            return replace(job, data=self._client.job_data(job.id, job.attempt), data_ref=None)

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:  # noqa: ARG002
        """See `AttemptStore.heartbeat`; the server knows how long its leases last."""
        with _reached():
            told = None if progress is None else asdict(progress)
            return replace(job, cancel_requested=self._client.heartbeat(job.id, job.attempt, told))

    def complete(self, job: Job, result: Json) -> Settled:
        """See `AttemptStore.complete`."""
        try:
            with _reached():
                return _settled(job, self._client.complete(job.id, job.attempt, result))
        except PayloadTooLarge as error:
            raise PayloadTooLarge("result is too large to be sent over HTTP", **error.details) from error

    def fail(self, job: Job, error_type: ErrorType, message: str, *, permanent: bool, reach: Ms) -> Settled:  # noqa: ARG002
        """See `AttemptStore.fail`."""
        with _reached():
            ended = self._client.fail(job.id, job.attempt, message, error_type=error_type, permanent=permanent)
        return _settled(job, ended)

    def snooze(self, job: Job, seconds: float, *, reach: Ms) -> Settled:  # noqa: ARG002
        """See `AttemptStore.snooze`."""
        with _reached():
            return _settled(job, self._client.snooze(job.id, job.attempt, seconds))

    def skip(self, job: Job, reason: str) -> Settled:
        """See `AttemptStore.skip`."""
        with _reached():
            return _settled(job, self._client.skip(job.id, job.attempt, reason))

    def stop(self, job: Job) -> Settled:
        """See `AttemptStore.stop`."""
        with _reached():
            return _settled(job, self._client.stopped(job.id, job.attempt))

    def together(self) -> AbstractContextManager[object]:
        """See `AttemptStore.together`: each request is a commit of its own."""
        return nullcontext()


def job_of(claimed: ClaimedJob) -> Job:
    """The job as the domain has it, as far as its worker needs it."""
    seen = claimed.job
    return Job(
        id=seen.id,
        tenant="",
        owner="",
        name=seen.name,
        queue=seen.queue,
        pool="",
        state=State.ACTIVE,
        priority=seen.priority,
        rank=0,
        data=seen.data,
        data_ref=_ELSEWHERE if "data" in seen.omitted else None,
        tags=seen.tags,
        metadata=seen.metadata,
        created_at=_ms(seen.created_at) or 0,
        updated_at=_ms(seen.updated_at) or 0,
        start_after=_ms(seen.start_after),
        soft_sla=_ms(seen.soft_sla),
        hard_sla=_ms(seen.hard_sla),
        timeout=claimed.timeout,
        retry_limit=seen.retry_limit,
        retry_delay=0,
        retry_backoff=False,
        retry_delay_max=0,
        retry_jitter=False,
        attempt=seen.attempt,
        attempts_allowed=seen.attempt + seen.retry_limit - seen.retry_count,
        started_at=_ms(seen.started_at),
        worker_id=seen.worker_id,
        dag_id=seen.dag_id,
        node=seen.node,
        dependencies=seen.dependencies,
    )


def tell(client: WorkClient, worker: Worker) -> None:
    """Tell the server of this worker."""
    client.tell(
        worker.id,
        {
            "pool": worker.pool,
            "queues": list(worker.queues),
            "host": worker.host,
            "version": worker.version,
            "concurrency": worker.concurrency,
            "started_at": datetime.fromtimestamp(worker.started_at / 1000, UTC).isoformat(),
            "running": [{"job_id": held.job_id, "attempt": held.attempt} for held in worker.running],
            "stopped": worker.stopped,
        },
    )


@contextmanager
def _reached() -> Iterator[None]:
    """What the server decided is raised as it is; all else means that it could not be asked properly."""
    try:
        yield
    except (LeaseLost, NotFound, InvalidInput, PayloadTooLarge, Unavailable):
        raise
    except TidegateError as error:
        raise Unavailable(f"{error.message}", cause=error.code) from error


def _settled(job: Job, seen: Seen) -> Settled:
    return Settled(replace(job, state=State(seen.state)))


def _ms(time: datetime | None) -> Ms | None:
    return None if time is None else round(time.timestamp() * 1000)
