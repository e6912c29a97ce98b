"""The client for asyncio: the methods of `Client`, awaited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar, Unpack

import httpx

from tidegate.domain.errors import PayloadTooLarge, TidegateError
from tidegate.domain.job import Json

from . import calls, definitions
from .audit import AsyncAuditMethods
from .builder import Dag
from .calls import Call
from .definitions import Definition, Delivery, WebhookSecret
from .endpoint import find_endpoint
from .errors import WaitTimeout
from .explanation import Why
from .fields import JobFields, JobFilters, NewJob, chunks
from .models import Batch, DagRun, Health, Identity, Job, Page, Queue, Stats
from .operations import AsyncOperations
from .records import History, LogLine
from .retries import Retries
from .schedules import AsyncScheduleMethods
from .tenants import AsyncTenantMethods
from .tokens import AsyncTokenMethods
from .transport import request_of, settings_of, trouble
from .waiting import next_look
from .workers import Worker

T = TypeVar("T")
MAX_PAGE = 200
MAX_LINES = 1_000


class AsyncClient(AsyncOperations, AsyncScheduleMethods, AsyncTokenMethods, AsyncAuditMethods, AsyncTenantMethods):
    """Speaks to a Tidegate server; for one event loop, closed by `close()` or `async with`.

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
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Connect to `url` with `token`, else as TIDEGATE_URL and TIDEGATE_TOKEN say, else to this machine's server.

        `data` is the embedded home's folder, whose token file is used for a server on this machine.
        Raises InvalidInput for an address or a token that cannot be one.
        """
        self.endpoint = find_endpoint(url, token, data)
        self._retries = retries or Retries()
        self._http = httpx.AsyncClient(**settings_of(self.endpoint), transport=transport)
        self._sleep = sleep
        self._clock = clock

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def submit(
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
        return await self._run(calls.submit(name, data, idempotency_key, fields))

    async def estimate(
        self, name: str | None = None, data: Json = None, **fields: Unpack[JobFields]
    ) -> Mapping[str, Any]:
        """See `Client.estimate`."""
        return await self._run(calls.estimate(name, data, fields))

    async def submit_many(self, jobs: Iterable[NewJob | Mapping[str, Any]]) -> Batch:
        """Submit any number of jobs, 100 per request; says which were accepted and why others were not."""
        total = Batch()
        async for batch in self.submit_chunks(jobs):
            total += batch
        return total

    async def submit_chunks(self, jobs: Iterable[NewJob | Mapping[str, Any]]) -> AsyncIterator[Batch]:
        """Like `submit_many`, lazily: what became of each request's jobs, as soon as it is known."""
        done = 0
        for chunk in chunks(calls.batch_entry(job) for job in jobs):
            try:
                yield await self._run(calls.submit_chunk(chunk, done))
            except PayloadTooLarge as error:
                if len(chunk) > 1:
                    raise
                yield Batch.refused(done, error)
            done += len(chunk)

    async def get(self, job_id: str) -> Job:
        """The job with its data and result. Raises NotFound."""
        return await self._run(calls.get(job_id))

    async def list(self, *, max_jobs: int | None = None, **filters: Unpack[JobFilters]) -> AsyncIterator[Job]:
        """Jobs that fit the filters, newest first, fetched page by page; at most `max_jobs`."""
        left, cursor = max_jobs, None
        while left is None or left > 0:
            page = await self.page(limit=min(MAX_PAGE, left or MAX_PAGE), cursor=cursor, **filters)
            for job in page.jobs:
                yield job
            left, cursor = left and left - len(page.jobs), page.next_cursor
            if cursor is None:
                return

    async def page(self, *, limit: int = 50, cursor: str | None = None, **filters: Unpack[JobFilters]) -> Page:
        """One page of 1 to 200 jobs, with the cursor of the next."""
        return await self._run(calls.page(filters, limit, cursor))

    async def cancel(self, job_id: str, reason: str | None = None) -> Job:
        """Stop a job: at once while it waits, cooperatively while it runs. Raises NotFound, WrongState."""
        return await self._run(calls.cancel(job_id, reason))

    async def retry(self, job_id: str, *, counted: bool = False) -> Job:
        """Start an ended job over, with a fresh set of retries, or (`counted`) those it has left.

        Raises NotFound, WrongState.
        """
        return await self._run(calls.retry(job_id, counted))

    async def set_priority(self, job_id: str, priority: int | str) -> Job:
        """Move a waiting job in its queue: 0 to 10, or low, normal, high, critical. Raises NotFound, WrongState."""
        return await self._run(calls.set_priority(job_id, priority))

    async def delete(self, job_id: str) -> str:
        """Cancel a live job, erase an ended one; says which: cancelled, cancel_requested, erased. Raises NotFound."""
        return await self._run(calls.delete(job_id))

    async def watch(self, job_id: str, *, timeout: float | None = None) -> AsyncIterator[Job]:
        """The job now, and again whenever it changed, until it has ended.

        Raises NotFound, WaitTimeout after `timeout` seconds; the job goes on.
        """
        start, last = self._clock(), None
        while True:
            job = await self.get(job_id)
            if job != last:
                yield job
            if job.ended:
                return
            pause = next_look(self._clock() - start, timeout)
            if pause is None:
                raise WaitTimeout(f"job '{job_id}' is still {job.state} after {timeout:g} s", job_id=job_id)
            last = job
            await self._sleep(pause)

    async def wait(self, job_id: str, *, timeout: float | None = None) -> Job:
        """The job once it has ended, however it did: see `Job.succeeded`. Raises NotFound, WaitTimeout."""
        async for last in self.watch(job_id, timeout=timeout):
            job = last
        return job

    async def submit_dag(self, dag: Dag | Mapping[str, Any], *, idempotency_key: str | None = None) -> DagRun:
        """Submit a run: one that was built, or the body of `POST /dags`. Raises InvalidInput naming every fault.

        With the same `idempotency_key` the same run is submitted once, whoever of the user's programs asks again.
        """
        return await self._run(calls.submit_dag(dag.body() if isinstance(dag, Dag) else dag, idempotency_key))

    async def validate_dag(self, dag: Dag | Mapping[str, Any]) -> Mapping[str, int]:
        """How many `nodes` and `edges` a run would have, and its `depth`. Raises InvalidInput naming every fault."""
        return await self._run(calls.validate_dag(dag.body() if isinstance(dag, Dag) else dag))

    async def dag(self, dag_id: str) -> DagRun:
        """One run, with its nodes. Raises NotFound."""
        return await self._run(calls.dag(dag_id))

    async def dags(self, state: str | None = None, limit: int = 50) -> tuple[DagRun, ...]:
        """The newest runs, at most so many."""
        found, cursor = await self._run(calls.dags(state, limit, None))
        while cursor is not None and len(found) < limit:
            more, cursor = await self._run(calls.dags(state, limit - len(found), cursor))
            found += more
        return tuple(found)

    async def dag_graph(self, dag_id: str, format_name: str = "json") -> Any:
        """A run as a picture: nodes and edges, or text as `mermaid` or `dot`. Raises NotFound."""
        return await self._run(calls.dag_graph(dag_id, format_name))

    async def dag_next(self, dag_id: str) -> Job | None:
        """The run's next ready job. Raises NotFound."""
        return await self._run(calls.dag_next(dag_id))

    async def cancel_dag(self, dag_id: str, reason: str | None = None) -> DagRun:
        """Stop a run: waiting jobs at once, running ones cooperatively. Raises NotFound, WrongState."""
        return await self._run(calls.cancel_dag(dag_id, reason))

    async def resume_dag(self, dag_id: str) -> DagRun:
        """Run again what failed in an ended run, and what hung on it. Raises NotFound, WrongState."""
        return await self._run(calls.resume_dag(dag_id))

    async def watch_dag(self, dag_id: str, *, timeout: float | None = None) -> AsyncIterator[DagRun]:
        """The run now, and again whenever it changed, until it has ended. Raises NotFound, WaitTimeout."""
        started, looks, last = self._clock(), 0, None
        while True:
            run = await self.dag(dag_id)
            if run != last:
                yield run
            if run.ended:
                return
            looks, last = looks + 1, run
            if timeout is not None and self._clock() - started >= timeout:
                raise WaitTimeout(f"run '{dag_id}' is still {run.state} after {timeout:g} seconds")
            await self._sleep(min(0.05 * looks, 1.0))

    async def wait_dag(self, dag_id: str, *, timeout: float | None = None) -> DagRun:
        """The run once it has ended. Raises NotFound, WaitTimeout."""
        async for found in self.watch_dag(dag_id, timeout=timeout):
            run = found
        return run

    async def logs(self, job_id: str, *, level: str | None = None, follow: bool = False) -> AsyncIterator[LogLine]:
        """What a job's handler told, oldest first, of at least `level` (DEBUG, INFO, WARNING, ERROR).

        With `follow`, waits for more until the job has ended. Raises NotFound.
        """
        after, quiet_since = None, self._clock()
        while True:
            page = await self._run(calls.logs(job_id, after, MAX_LINES, level))
            for line in page.lines:
                yield line
            after = page.next_after
            if page.more:
                continue
            if page.ended or not follow:
                return
            if page.lines:
                quiet_since = self._clock()
            await self._sleep(next_look(self._clock() - quiet_since, None) or 0.0)

    async def history(self, job_id: str) -> History:
        """Every attempt of a job that is known, and when its state changed. Raises NotFound."""
        return await self._run(calls.history(job_id))

    async def why(self, job_id: str) -> Why:
        """Why a job is not running, still runs, or ended as it did. Raises NotFound."""
        return await self._run(calls.why(job_id))

    async def queues(self) -> tuple[Queue, ...]:
        """Every queue, by name."""
        return await self._run(calls.queues())

    async def queue(self, name: str) -> Queue:
        """One queue. Raises NotFound."""
        return await self._run(calls.queue(name))

    async def put_queue(self, name: str, **settings: Any) -> Queue:
        """Make a queue or replace its settings; those not given get their defaults."""
        return await self._run(calls.put_queue(name, settings))

    async def patch_queue(self, name: str, **settings: Any) -> Queue:
        """Change the given settings of a queue. Raises NotFound."""
        return await self._run(calls.patch_queue(name, settings))

    async def pause_queue(self, name: str, reason: str | None = None) -> Queue:
        """Start no more jobs of a queue; running ones go on. Raises NotFound."""
        return await self._run(calls.pause_queue(name, reason))

    async def resume_queue(self, name: str) -> Queue:
        """Start jobs of a queue again. Raises NotFound."""
        return await self._run(calls.resume_queue(name))

    async def definitions(self) -> tuple[Definition, ...]:
        """The latest version of every definition, by name."""
        return await self._run(definitions.definitions())

    async def definition(self, name: str, version: int | None = None) -> Definition:
        """One definition, the latest version unless told. Raises NotFound."""
        return await self._run(definitions.definition(name, version))

    async def put_definition(
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
        return await self._run(definitions.put_definition(name, schema, job, description, dag))

    async def webhook_secret(self, queue: str) -> WebhookSecret:
        """What messages about the queue's jobs are signed with. Raises NotFound."""
        return await self._run(definitions.webhook_secret(queue))

    async def rotate_webhook_secret(self, queue: str) -> WebhookSecret:
        """Replace the secret; for a day messages are signed with both. Raises NotFound."""
        return await self._run(definitions.rotate_webhook_secret(queue))

    async def deliveries(self, job_id: str) -> tuple[Delivery, ...]:
        """The messages to webhooks about a job, newest first. Raises NotFound."""
        return await self._run(definitions.deliveries(job_id))

    async def stats(self) -> Stats:
        """How many jobs stand where."""
        return await self._run(calls.stats())

    async def workers(self) -> tuple[Worker, ...]:
        """The workers that were seen in the last minute, and what each runs."""
        return await self._run(calls.workers())

    async def health(self) -> Health:
        """Whether the server is up, and its version."""
        return await self._run(calls.health())

    async def whoami(self) -> Identity:
        """Whose token this client uses, and what it may do."""
        return await self._run(calls.whoami())

    async def _run(self, call: Call[T]) -> T:
        tries = 0
        while True:
            tries += 1
            try:
                return await self._once(call)
            except TidegateError as error:
                pause = self._retries.pause_after(tries, error, repeatable=call.repeatable)
                if pause is None:
                    raise
            await self._sleep(pause)

    async def _once(self, call: Call[T]) -> T:
        try:
            response = await self._http.request(**request_of(call))
        except httpx.HTTPError as error:
            raise trouble(error, self.endpoint) from error
        return call.answer(response.status_code, response.headers, response.content)
