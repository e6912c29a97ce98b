"""The client for ordinary code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import httpx

from tidegate.domain.errors import PayloadTooLarge, TidegateError
from tidegate.domain.job import Json

from . import calls, definitions
from .audit import AuditMethods
from .builder import Dag
from .calls import Call
from .definitions import Definition, Delivery, WebhookSecret
from .endpoint import find_endpoint
from .errors import WaitTimeout
from .explanation import Why
from .fields import JobFields, JobFilters, NewJob, chunks
from .models import Batch, DagRun, Health, Identity, Job, Page, Queue, Stats
from .operations import Operations
from .records import History, LogLine
from .retries import Retries
from .schedules import ScheduleMethods
from .tenants import TenantMethods
from .tokens import TokenMethods
from .transport import request_of, settings_of, trouble
from .waiting import next_look
from .workers import Worker

T = TypeVar("T")
MAX_PAGE = 200
MAX_LINES = 1_000


class Client(Operations, ScheduleMethods, TokenMethods, AuditMethods, TenantMethods):
    """Speaks to a Tidegate server; safe to share among threads, closed by `close()` or `with`.

    Requests are repeated on lost connections, 429 and 503 as `retries` says; a submission carries an id
    made here, so that repeating it never makes a second job.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        data: Path | None = None,
        retries: Retries | None = None,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to `url` with `token`, else as TIDEGATE_URL and TIDEGATE_TOKEN say, else to this machine's server.

        `data` is the embedded home's folder, whose token file is used for a server on this machine.
        Raises InvalidInput for an address or a token that cannot be one.
        """
        self.endpoint = find_endpoint(url, token, data)
        self._retries = retries or Retries()
        self._http = httpx.Client(**settings_of(self.endpoint), transport=transport)
        self._sleep = sleep
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def submit(
        self,
        name: str | None = None,
        data: Json = None,
        *,
        idempotency_key: str | None = None,
        **fields: Unpack[JobFields],
    ) -> Job:
        """Submit one job; without `name`, `data["agent"]` names it. Fields are those of the HTTP API.

        Raises InvalidInput, PayloadTooLarge, Conflict when `job_id` was used for something else.
        """
        return self._run(calls.submit(name, data, idempotency_key, fields))

    def estimate(self, name: str | None = None, data: Json = None, **fields: Unpack[JobFields]) -> Mapping[str, Any]:
        """What a job would cost in the cloud, without submitting it: `dollars`, and what they are made of.

        Raises what `submit` would raise of the job itself.
        """
        return self._run(calls.estimate(name, data, fields))

    def submit_many(self, jobs: Iterable[NewJob | Mapping[str, Any]]) -> Batch:
        """Submit any number of jobs, 100 per request; says which were accepted and why others were not."""
        return sum(self.submit_chunks(jobs), Batch())

    def submit_chunks(self, jobs: Iterable[NewJob | Mapping[str, Any]]) -> Iterator[Batch]:
        """Like `submit_many`, lazily: what became of each request's jobs, as soon as it is known."""
        done = 0
        for chunk in chunks(calls.batch_entry(job) for job in jobs):
            try:
                yield self._run(calls.submit_chunk(chunk, done))
            except PayloadTooLarge as error:
                if len(chunk) > 1:
                    raise
                yield Batch.refused(done, error)
            done += len(chunk)

    def get(self, job_id: str) -> Job:
        """The job with its data and result. Raises NotFound."""
        return self._run(calls.get(job_id))

    def list(self, *, max_jobs: int | None = None, **filters: Unpack[JobFilters]) -> Iterator[Job]:
        """Jobs that fit the filters, newest first, fetched page by page; at most `max_jobs`."""
        left, cursor = max_jobs, None
        while left is None or left > 0:
            page = self.page(limit=min(MAX_PAGE, left or MAX_PAGE), cursor=cursor, **filters)
            yield from page.jobs
            left, cursor = left and left - len(page.jobs), page.next_cursor
            if cursor is None:
                return

    def page(self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[JobFilters]) -> Page:
        """One page of 1 to 200 jobs, with the cursor of the next."""
        return self._run(calls.page(filters, limit, cursor))

    def cancel(self, job_id: str, reason: str | None = None) -> Job:
        """Stop a job: at once while it waits, cooperatively while it runs. Raises NotFound, WrongState."""
        return self._run(calls.cancel(job_id, reason))

    def retry(self, job_id: str, *, counted: bool = False) -> Job:
        """Start an ended job over, with a fresh set of retries, or (`counted`) those it has left.

        Raises NotFound, WrongState.
        """
        return self._run(calls.retry(job_id, counted))

    def set_priority(self, job_id: str, priority: int | str) -> Job:
        """Move a waiting job in its queue: 0 to 10, or low, normal, high, critical. Raises NotFound, WrongState."""
        return self._run(calls.set_priority(job_id, priority))

    def delete(self, job_id: str) -> str:
        """Cancel a live job, erase an ended one; says which: cancelled, cancel_requested, erased. Raises NotFound."""
        return self._run(calls.delete(job_id))

    def watch(self, job_id: str, *, timeout: float | None = None) -> Iterator[Job]:
        """The job now, and again whenever it changed, until it has ended.

        Raises NotFound, WaitTimeout after `timeout` seconds; the job goes on.
        """
        start, last = self._clock(), None
        while True:
            job = self.get(job_id)
            if job != last:
                yield job
            if job.ended:
                return
            pause = next_look(self._clock() - start, timeout)
            if pause is None:
                raise WaitTimeout(f"job '{job_id}' is still {job.state} after {timeout:g} s", job_id=job_id)
            last = job
            self._sleep(pause)

    def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """The job once it has ended, however it did: see `Job.succeeded`. Raises NotFound, WaitTimeout."""
        *_, job = self.watch(job_id, timeout=timeout)
        return job

    def submit_dag(self, dag: Dag | Mapping[str, Any], *, idempotency_key: str | None = None) -> DagRun:
        """Submit a run: one that was built, or the body of `POST /dags`. Raises InvalidInput naming every fault.

        With the same `idempotency_key` the same run is submitted once, whoever of the user's programs asks again.
        """
        return self._run(calls.submit_dag(dag.body() if isinstance(dag, Dag) else dag, idempotency_key))

    def validate_dag(self, dag: Dag | Mapping[str, Any]) -> Mapping[str, int]:
        """How many `nodes` and `edges` a run would have, and its `depth`. Raises InvalidInput naming every fault."""
        return self._run(calls.validate_dag(dag.body() if isinstance(dag, Dag) else dag))

    def dag(self, dag_id: str) -> DagRun:
        """One run, with its nodes. Raises NotFound."""
        return self._run(calls.dag(dag_id))

    def dags(self, state: str | None = None, limit: int = 50) -> tuple[DagRun, ...]:
        """The newest runs, at most so many."""
        found, cursor = self._run(calls.dags(state, limit, None))
        while cursor is not None and len(found) < limit:
            more, cursor = self._run(calls.dags(state, limit - len(found), cursor))
            found += more
        return tuple(found)

    def dag_graph(self, dag_id: str, format_name: str = "json") -> Any:
        """A run as a picture: nodes and edges, or text as `mermaid` or `dot`. Raises NotFound."""
        return self._run(calls.dag_graph(dag_id, format_name))

    def dag_next(self, dag_id: str) -> Job | None:
        """The run's next ready job. Raises NotFound."""
        return self._run(calls.dag_next(dag_id))

    def cancel_dag(self, dag_id: str, reason: str | None = None) -> DagRun:
        """Stop a run: waiting jobs at once, running ones cooperatively. Raises NotFound, WrongState."""
        return self._run(calls.cancel_dag(dag_id, reason))

    def resume_dag(self, dag_id: str) -> DagRun:
        """Run again what failed in an ended run, and what hung on it. Raises NotFound, WrongState."""
        return self._run(calls.resume_dag(dag_id))

    def watch_dag(self, dag_id: str, *, timeout: float | None = None) -> Iterator[DagRun]:
        """The run now, and again whenever it changed, until it has ended. Raises NotFound, WaitTimeout."""
        started, looks, last = self._clock(), 0, None
        while True:
            run = self.dag(dag_id)
            if run != last:
                yield run
            if run.ended:
                return
            looks, last = looks + 1, run
            if timeout is not None and self._clock() - started >= timeout:
                raise WaitTimeout(f"run '{dag_id}' is still {run.state} after {timeout:g} seconds")
            self._sleep(min(0.05 * looks, 1.0))

    def wait_dag(self, dag_id: str, *, timeout: float | None = None) -> DagRun:
        """The run once it has ended. Raises NotFound, WaitTimeout."""
        *_, run = self.watch_dag(dag_id, timeout=timeout)
        return run

    def logs(self, job_id: str, *, level: str | None = None, follow: bool = False) -> Iterator[LogLine]:
        """What a job's handler told, oldest first, of at least `level` (DEBUG, INFO, WARNING, ERROR).

        With `follow`, waits for more until the job has ended. Raises NotFound.
        """
        after, quiet_since = None, self._clock()
        while True:
            page = self._run(calls.logs(job_id, after, MAX_LINES, level))
            yield from page.lines
            after = page.next_after
            if page.more:
                continue
            if page.ended or not follow:
                return
            if page.lines:
                quiet_since = self._clock()
            self._sleep(next_look(self._clock() - quiet_since, None) or 0.0)

    def history(self, job_id: str) -> History:
        """Every attempt of a job that is known, and when its state changed. Raises NotFound."""
        return self._run(calls.history(job_id))

    def why(self, job_id: str) -> Why:
        """Why a job is not running, still runs, or ended as it did. Raises NotFound."""
        return self._run(calls.why(job_id))

    def queues(self) -> tuple[Queue, ...]:
        """Every queue, by name."""
        return self._run(calls.queues())

    def queue(self, name: str) -> Queue:
        """One queue. Raises NotFound."""
        return self._run(calls.queue(name))

    def put_queue(self, name: str, **settings: Any) -> Queue:
        """Make a queue or replace its settings; those not given get their defaults."""
        return self._run(calls.put_queue(name, settings))

    def patch_queue(self, name: str, **settings: Any) -> Queue:
        """Change the given settings of a queue. Raises NotFound."""
        return self._run(calls.patch_queue(name, settings))

    def pause_queue(self, name: str, reason: str | None = None) -> Queue:
        """Start no more jobs of a queue; running ones go on. Raises NotFound."""
        return self._run(calls.pause_queue(name, reason))

    def resume_queue(self, name: str) -> Queue:
        """Start jobs of a queue again. Raises NotFound."""
        return self._run(calls.resume_queue(name))

    def definitions(self) -> tuple[Definition, ...]:
        """The latest version of every definition, by name."""
        return self._run(definitions.definitions())

    def definition(self, name: str, version: int | None = None) -> Definition:
        """One definition, the latest version unless told. Raises NotFound."""
        return self._run(definitions.definition(name, version))

    def put_definition(
        self,
        name: str,
        *,
        schema: Json = None,
        job: NewJob | Mapping[str, Any] | None = None,
        description: str = "",
        dag: Dag | Mapping[str, Any] | None = None,
    ) -> Definition:
        """Store a new version, unless the latest says the same.

        `job` holds what its jobs have by default; a definition of runs has a `dag` instead.
        """
        return self._run(definitions.put_definition(name, schema, job, description, dag))

    def webhook_secret(self, queue: str) -> WebhookSecret:
        """What messages about the queue's jobs are signed with. Raises NotFound."""
        return self._run(definitions.webhook_secret(queue))

    def rotate_webhook_secret(self, queue: str) -> WebhookSecret:
        """Replace the secret; for a day messages are signed with both. Raises NotFound."""
        return self._run(definitions.rotate_webhook_secret(queue))

    def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """The messages to webhooks about a job, newest first. Raises NotFound."""
        return self._run(definitions.deliveries(job_id))

    def stats(self) -> Stats:
        """How many jobs stand where."""
        return self._run(calls.stats())

    def workers(self) -> tuple[Worker, ...]:
        """The workers that were seen in the last minute, and what each runs."""
        return self._run(calls.workers())

    def health(self) -> Health:
        """Whether the server is up, and its version."""
        return self._run(calls.health())

    def whoami(self) -> Identity:
        """Whose token this client uses, and what it may do."""
        return self._run(calls.whoami())

    def _run(self, call: Call[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                return self._once(call)
            except TidegateError as error:
                pause = self._retries.pause_after(tries, error, repeatable=call.repeatable)
                if pause is None:
                    raise
            self._sleep(pause)

    def _once(self, call: Call[T]) -> T:
        try:
            response = self._http.request(**request_of(call))
        except httpx.HTTPError as error:
            raise trouble(error, self.endpoint) from error
        return call.answer(response.status_code, response.headers, response.content)
