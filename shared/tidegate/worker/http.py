"""A worker over HTTPS alone: a token of the scope `work` is all it has."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from tidegate.client import Job as Seen
from tidegate.client.work import ClaimedJob, WorkClient
from tidegate.domain.errors import Conflict, InvalidInput, NotFound, PayloadTooLarge, TidegateError, Unavailable
from tidegate.domain.job import ErrorType, Job, Json, Ms, Progress, State
from tidegate.domain.logs import LogLine, LogUsage
from tidegate.execution.attempts import Ending, Fault
from tidegate.ports import Worker
from tidegate.service.settle import Settled
from tidegate.service.upstream import Upstream
from tidegate.service.workers import MAX_NAMES
from tidegate.service.write_log import LogWriter

from .options import WorkerOptions

_LONGEST_WAIT_SECONDS = 20.0
_WORTH_WAITING_SECONDS = 5.0
"""A server that lets nobody wait so long is a Lambda, which is billed while it waits."""
_LOG_PAUSES = (0.3, 0.6, 1.2, 2.4)
"""A server that is started again is back within seconds, and an outcome waits for it too."""
_ELSEWHERE = "elsewhere"
"""Stands for the place of data that did not come with the claim."""


class HttpSource:
    """`Source` over HTTP: jobs of the names it `takes`. `on_lease` is told how long the leases last it was given."""

    def __init__(
        self,
        client: WorkClient,
        options: WorkerOptions,
        worker_id: str,
        on_lease: Callable[[float], object],
        takes: Collection[str] = (),
    ) -> None:
        self._client = client
        self._options = options
        self._worker_id = worker_id
        self._on_lease = on_lease
        self._names = sorted(takes) if len(takes) <= MAX_NAMES else ()
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
            names=self._names,
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
    """`AttemptStore` over HTTP. The server sends the tickets of jobs that wait for another attempt.

    `logs` is the client that logs are sent with: an impatient one, for nobody is to wait for a log.
    """

    def __init__(self, client: WorkClient, logs: WorkClient) -> None:
        self._client = client
        self._logs = logs

    def full(self, job: Job) -> Job:
        """See `AttemptStore.full`. Raises PayloadTooLarge for data that HTTP cannot carry."""
        if job.data_ref is None:
            return job
        with _reached():
            return replace(job, data=self._client.job_data(job.id, job.attempt), data_ref=None)

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """See `AttemptStore.upstream`."""
        if job.dag_id is None:
            return {}
        with _reached():
            found = self._client.job_upstream(job.id, job.attempt)
        return {node: Upstream(each["job_id"], State(each["state"]), each["result"]) for node, each in found.items()}

    def gather(self, job: Job) -> Json:
        """See `AttemptStore.gather`."""
        with _reached():
            return self._client.job_entries(job.id, job.attempt)

    def log(self, job: Job) -> LogWriter:
        """See `AttemptStore.log`."""
        return LogWriter(HttpLog(self._logs, job), job, _now, pauses=_LOG_PAUSES)

    def heartbeat(self, job: Job, lease_seconds: float, progress: Progress | None) -> Job:  # noqa: ARG002
        """See `AttemptStore.heartbeat`; the server knows how long its leases last."""
        with _reached():
            cancelled = self._client.heartbeat(job.id, job.attempt, _told(progress))
            return replace(job, cancel_requested=cancelled)

    def complete(self, job: Job, result: Json, ending: Ending) -> Settled:
        """See `AttemptStore.complete`."""
        try:
            with _reached():
                done = self._client.complete(job.id, job.attempt, result, progress=_told(ending.progress))
        except PayloadTooLarge as error:
            raise PayloadTooLarge("result is too large to be sent over HTTP", **error.details) from error
        return _settled(job, done)

    def fail(self, job: Job, fault: Fault, ending: Ending) -> Settled:
        """See `AttemptStore.fail`."""
        with _reached():
            ended = self._client.fail(
                job.id,
                job.attempt,
                fault.message,
                error_type=fault.error_type,
                permanent=fault.permanent,
                cleans_up=not ending.stop_if_asked,
                progress=_told(ending.progress),
            )
        return _settled(job, ended)

    def snooze(self, job: Job, seconds: float, ending: Ending) -> Settled:
        """See `AttemptStore.snooze`."""
        cleans_up, told = not ending.stop_if_asked, _told(ending.progress)
        with _reached():
            return _settled(job, self._client.snooze(job.id, job.attempt, seconds, cleans_up=cleans_up, progress=told))

    def skip(self, job: Job, reason: str, ending: Ending) -> Settled:
        """See `AttemptStore.skip`."""
        with _reached():
            return _settled(job, self._client.skip(job.id, job.attempt, reason, progress=_told(ending.progress)))

    def stop(self, job: Job, fault: Fault | None, ending: Ending) -> Settled:
        """See `AttemptStore.stop`."""
        said = fault or Fault(ErrorType.AGENT, "")
        message = None if fault is None else fault.message
        with _reached():
            ended = self._client.stopped(
                job.id, job.attempt, message, error_type=said.error_type, progress=_told(ending.progress)
            )
        return _settled(job, ended)

    def together(self) -> AbstractContextManager[object]:
        """See `AttemptStore.together`: each request is a commit of its own."""
        return nullcontext()


class HttpLog:
    """`LogStore` over HTTP."""

    def __init__(self, client: WorkClient, job: Job) -> None:
        self._client = client
        self._job = job

    def kept(self) -> tuple[LogUsage, int]:
        """See `LogStore.kept`."""
        kept = self._client.append_log(self._job.id, self._job.attempt, [])
        return LogUsage(kept.lines, kept.size, kept.overflows), kept.number

    def append(self, number: int, lines: Sequence[LogLine], before: LogUsage) -> LogUsage:  # noqa: ARG002
        """See `LogStore.append`; the server knows what is kept. Times are sent as ages: clocks differ."""
        now = _now()
        told = [
            {"level": line.level, "message": line.message, "seconds_ago": max(0, now - line.at) / 1000}
            for line in lines
        ]
        kept = self._client.append_log(self._job.id, self._job.attempt, told, number)
        return LogUsage(kept.lines, kept.size, kept.overflows)


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
        cancel_requested=claimed.cancel_requested,
        correlation_id=seen.correlation_id,
        traceparent=claimed.traceparent,
    )


def tell(client: WorkClient, worker: Worker) -> None:
    """Tell the server of this worker."""
    client.tell(
        worker.id,
        {
            "pool": worker.pool,
            "queues": list(worker.queues),
            "names": list(worker.names),
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
    except (Conflict, NotFound, InvalidInput, PayloadTooLarge, Unavailable):
        raise
    except TidegateError as error:
        raise Unavailable(f"{error.message}", cause=error.code) from error


def _now() -> Ms:
    return time.time_ns() // 1_000_000


def _told(progress: Progress | None) -> dict[str, Any] | None:
    return None if progress is None else asdict(progress)


def _settled(job: Job, seen: Seen) -> Settled:
    return Settled(replace(job, state=State(seen.state)))


def _ms(time: datetime | None) -> Ms | None:
    return None if time is None else round(time.timestamp() * 1000)
