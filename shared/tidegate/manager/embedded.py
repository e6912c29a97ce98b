"""The manager on a folder: no server needed, any number of threads and processes at once.

Whoever claims also does the upkeep, once a second: delayed jobs, lapsed leases, counters. A `tidegate serve` or
`tidegate worker` may work on the same folder at the same time.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from tidegate import runtime
from tidegate.domain import job as domain
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import NotFound, Unavailable
from tidegate.domain.job import COARSE, ErrorType, Json, Progress, states_named
from tidegate.domain.logs import level_named, line_of
from tidegate.domain.queue import DEFAULT_QUEUE
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane, Ticket, decode, ticket_for
from tidegate.domain.webhook import WEBHOOK_QUEUE
from tidegate.local.background import pump_all
from tidegate.ports import Delivery, JobKey, JobQuery, Worker
from tidegate.service import control, settle
from tidegate.service.claim import Claim, Claimed, Later, claim_for
from tidegate.service.payloads import with_payloads
from tidegate.service.read_log import Told, read_log
from tidegate.service.submit import submit_one
from tidegate.service.tick import tick
from tidegate.service.tokens import DEFAULT_TENANT
from tidegate.service.upstream import Upstream, gather, upstream_of
from tidegate.service.workers import ALIVE_MS
from tidegate.service.write_log import PortsLog

from .home import UNLIMITED_SECONDS
from .job import Job, log_rows, time_of

_USER = Caller(DEFAULT_TENANT, "admin", frozenset({Scope.ADMIN}))
_LEASE_SECONDS = 60.0
"""Long enough for a computation that keeps the interpreter to itself; a crashed worker's job comes back after it."""
_UPKEEP_SECONDS = 1.0
_NO_TICKET = -1
"""The next attempt is found by the clock, that is by whoever claims."""
_LOOKED_AT = 3
"""Jobs of each lane that are compared; the claim itself looks further."""
_PAGE = 200
_LOG_PAGE = 1_000


class _Claimant(NamedTuple):
    """Who claims, and what: jobs of any type where there are no `job_types`."""

    worker_id: str
    job_types: Collection[str]


class EmbeddedHome:
    """`Home` on a folder. With `queue`, jobs are submitted to that one, and claimed of it alone."""

    lease_seconds = _LEASE_SECONDS

    def __init__(self, folder: Path, queue: str | None = None) -> None:
        self._queue = queue
        self._app = runtime.embedded(folder)
        self._ports = self._app.ports
        self._upkeep_lock = threading.Lock()
        self._upkeep_at = 0.0
        self._last_tick: int | None = None

    def submit(self, job_type: str, config: Json, priority: int, max_retries: int | None) -> str:
        """See `Home.submit`."""
        spec = JobSpec(
            name=job_type,
            queue=self._queue or DEFAULT_QUEUE,
            data=config,
            priority=priority,
            retry_limit=max_retries,
            timeout=UNLIMITED_SECONDS,
        )
        return submit_one(self._ports, _USER, spec).job.id

    def get(self, job_id: str) -> Job | None:
        """See `Home.get`."""
        try:
            return shown(control.get_job(self._ports, _USER, job_id))
        except NotFound:
            return None

    def list(self, status: str | None, job_type: str | None, limit: int) -> Sequence[Job]:
        """See `Home.list`."""
        states = frozenset[domain.State]() if status is None else states_named(status)
        query = JobQuery(tenant=_USER.tenant, states=states, name=job_type, limit=min(limit, _PAGE))
        found: list[domain.Job] = []
        while len(found) < limit:
            page = control.list_jobs(self._ports, _USER, query)
            found += page.jobs
            if page.next_cursor is None:
                break
            query = replace(query, cursor=page.next_cursor)
        return [shown(with_payloads(self._ports.blobs, job)) for job in found[:limit]]

    def claim(self, worker_id: str, job_types: Collection[str] = ()) -> Job | None:
        """See `Home.claim`. One transaction: of all threads and processes exactly one gets the job."""
        self._upkeep()
        with self._ports.together():
            deliveries = self._ports.tickets.receive("default", 1, 0)
            delivery = deliveries[0] if deliveries else None
            ticket = None if delivery is None else decode(delivery.body)
            who = _Claimant(worker_id, job_types)
            claimed = self._claimed(ticket, who)
            if delivery is not None and ticket is not None:
                claimed = self._used(delivery, ticket, claimed, who)
        if claimed is None:
            return None
        full = with_payloads(self._ports.blobs, claimed)
        return replace(shown(full), record=full)

    def heartbeat(self, job: Job, progress: Progress | None = None) -> bool:
        """See `Home.heartbeat`."""
        return settle.heartbeat(self._ports, self._held(job), _LEASE_SECONDS, progress).cancel_requested

    def complete(self, job: Job, result: Json) -> None:
        """See `Home.complete`."""
        settle.complete(self._ports, self._held(job), result)

    def fail(self, job: Job, message: str, *, final: bool) -> None:
        """See `Home.fail`."""
        settle.fail(self._ports, self._held(job), ErrorType.AGENT, message, permanent=final, reach=_NO_TICKET)

    def release(self, job: Job, seconds: float = 0.0) -> None:
        """See `Home.release`."""
        settle.snooze(self._ports, self._held(job), seconds, reach=_NO_TICKET)
        self._upkeep_at = 0.0

    def skip(self, job: Job, reason: str) -> None:
        """See `Home.skip`."""
        settle.skip(self._ports, self._held(job), reason)

    def stopped(self, job: Job) -> None:
        """See `Home.stopped`."""
        settle.stop(self._ports, self._held(job))

    def cancel(self, job_id: str) -> None:
        """See `Home.cancel`."""
        control.cancel(self._ports, _USER, job_id)

    def retry(self, job_id: str) -> None:
        """See `Home.retry`."""
        control.retry(self._ports, _USER, job_id, counted=True)

    def gather(self, job: Job) -> Json:
        """See `Home.gather`."""
        return gather(self._ports, self._held(job))

    def upstream(self, job: Job) -> Mapping[str, Upstream]:
        """See `Home.upstream`."""
        return upstream_of(self._ports, self._held(job))

    def log(self, job: Job, level: str, message: str) -> None:
        """See `Home.log`; it is on disk when this returns. Raises NotFound, Unavailable."""
        log = PortsLog(self._ports, control.visible_job(self._ports, _USER, job.job_id))
        log.append_next([line_of(self._ports.now(), level_named(level), message)])

    def logs(self, job_id: str) -> Sequence[Mapping[str, Any]]:
        """See `Home.logs`. Raises NotFound."""
        found: list[Told] = []
        page = read_log(self._ports, _USER, job_id, after=None, limit=_LOG_PAGE)
        while page.more:
            found += page.lines
            page = read_log(self._ports, _USER, job_id, after=page.cursor, limit=_LOG_PAGE)
        return log_rows(job_id, [(told.line.at, told.line.level, told.line.message) for told in (*found, *page.lines)])

    def tell(self, worker: Worker) -> None:
        """See `Home.tell`."""
        self._ports.workers.put(replace(worker, kind="embedded"))

    def is_alone(self, worker_id: str) -> bool:
        """See `Home.is_alone`."""
        seen = self._ports.workers.list(self._ports.now() - ALIVE_MS)
        return all(worker.stopped or worker.id == worker_id for worker in seen)

    def leave(self) -> None:
        """See `Home.leave`."""
        self._ports.close()

    def close(self) -> None:
        """See `Home.close`: what the calling thread holds open."""
        self._ports.close()

    def _held(self, job: Job) -> domain.Job:
        """The job as stored, at the attempt that the caller holds: the guard compares just that."""
        stored = control.visible_job(self._ports, _USER, job.job_id)
        return replace(stored, attempt=job.attempt)

    def _claimed(self, ticket: Ticket | None, who: _Claimant) -> domain.Job | None:
        found = self._candidates(ticket, who.job_types)
        for job in sorted(found, key=lambda job: (-job.priority, job.rank, job.id)):
            claim = self._claim_for(ticket_for(job), who, receives=2)
            if isinstance(claim, Claimed):
                return claim.job
        return None

    def _candidates(self, ticket: Ticket | None, names: Collection[str]) -> Iterator[domain.Job]:
        """The best of each lane, and the ticket's own job where its worker vanished."""
        lanes = [lane for lane, _ in self._ports.lanes.all() if self._is_ours(lane)]
        heads = ((lane, self._ports.jobs.head(lane, _LOOKED_AT, names=names)) for lane in lanes)
        keys = [JobKey(lane.tenant, ready.job_id) for lane, head in heads for ready in head]
        yield from (job for job in self._ports.jobs.get(keys) if job is not None)
        if ticket is not None and self._is_ours(ticket.lane):
            (own,) = self._ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
            if own is not None and own.lease_lapsed(self._ports.now()):
                yield own

    def _used(
        self, delivery: Delivery, ticket: Ticket, claimed: domain.Job | None, who: _Claimant
    ) -> domain.Job | None:
        """Spend a ticket of the claimed job's lane; put any other back, unless it turns out to have served."""
        if claimed is not None and ticket.lane == Lane(claimed.tenant, claimed.queue):
            self._ports.tickets.finish([delivery])
        elif claimed is not None or not self._is_ours(ticket.lane):
            self._ports.tickets.again(delivery, 0)
        else:
            claim = self._claim_for(ticket, who, receives=delivery.receives)
            if isinstance(claim, Later):
                self._ports.tickets.again(delivery, claim.seconds)
            else:
                self._ports.tickets.finish([delivery])
            return claim.job if isinstance(claim, Claimed) else None
        return claimed

    def _claim_for(self, ticket: Ticket, who: _Claimant, *, receives: int) -> Claim:
        return claim_for(self._ports, ticket, who.worker_id, _LEASE_SECONDS, receives=receives, names=who.job_types)

    def _is_ours(self, lane: Lane) -> bool:
        ours = lane.queue == self._queue if self._queue is not None else lane.queue != WEBHOOK_QUEUE
        return lane.tenant == _USER.tenant and ours

    def _upkeep(self) -> None:
        """Once a second what the clock and the change feed do. Busy tables are looked at again next time."""
        with self._upkeep_lock:
            if time.monotonic() - self._upkeep_at < _UPKEEP_SECONDS:
                return
            self._upkeep_at = time.monotonic()
            now = self._ports.now()
            with suppress(Unavailable):
                tick(self._ports, 0.0, self._last_tick)
                self._last_tick = now
                pump_all(self._app)


def shown(job: domain.Job) -> Job:
    """A job as the manager shows it."""
    created = time_of(job.created_at)
    if created is None:
        raise AssertionError("every job was made at some time")
    return Job(
        job_id=job.id,
        job_type=job.name,
        status=COARSE[job.state],
        priority=job.priority,
        config=job.data,
        created_at=created,
        started_at=time_of(job.started_at),
        completed_at=time_of(job.completed_at),
        error_message=job.error_message,
        worker_id=job.worker_id,
        retry_count=job.retry_count,
        max_retries=job.retry_limit,
        queue=job.queue,
        result=job.result,
        attempt=job.attempt,
    )
