"""Claim jobs straight from their lanes, without a ticket: for workers that serve some queues or one tenant only.

A ticket of another queue or tenant would have to be given back, and given back again: its receive count rises, and
the tickets behind it starve. So these workers take none. What tickets tell is found in the tables:

- ready jobs at the heads of the lanes
- delayed jobs whose time has come, among the delayed ones; the clock would find them later
- jobs whose holder vanished in line again: the clock puts them there (`tick.check_timers`)

Their tickets are taken by the pool's other workers, who find the job running or ended; where there are no others they
grow old and vanish. No ticket is held meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import RESCUE_MS
from tidegate.domain.job import WAITING, Job, Ms
from tidegate.domain.queue import DEFAULT_QUEUE, Queue
from tidegate.domain.spread import asked
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.domain.webhook import WEBHOOK_QUEUE
from tidegate.ports import NAMED_REACH, JobKey, Ports

from .claim import claim_own, is_wanted
from .limits import Full
from .policies import queue_named

_log = logging.getLogger("tidegate.claim")
_SPARE = 5
"""Candidates read beyond those wanted: others may claim them first."""
_DUE_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which jobs a worker takes. Empty `queues` or `names`: any."""

    worker_id: str
    pool: str
    queues: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    lease_seconds: float


def claim_of_tenant(ports: Ports, caller: Caller, wanted: Wanted, limit: int) -> Sequence[Job]:
    """Up to `limit` jobs of the caller's tenant, started: each one's `attempt` fences its lease.

    Deliveries of webhooks are not among them: they are signed with secrets that these workers may not read.
    Raises Forbidden without the scope `work`.
    """
    caller.require(Scope.WORK)
    queues = {queue.name: queue for queue in ports.queues.list(caller.tenant)}
    queues.setdefault(DEFAULT_QUEUE, queue_named(ports, caller.tenant, DEFAULT_QUEUE))
    queues.pop(WEBHOOK_QUEUE, None)
    served = (queue for queue in queues.values() if not wanted.queues or queue.name in wanted.queues)
    return _claim(ports, _open(served, wanted), wanted, limit)


def claim_of_queues(ports: Ports, wanted: Wanted, limit: int) -> Sequence[Job]:
    """Up to `limit` jobs of any tenant in `wanted.queues`, started; for workers with access to the home itself."""
    lanes = [lane for lane, _ in ports.lanes.all() if lane.queue in wanted.queues]
    served = (queue_named(ports, lane.tenant, lane.queue) for lane in lanes)
    return _claim(ports, _open(served, wanted), wanted, limit)


def _open(queues: Iterable[Queue], wanted: Wanted) -> Mapping[Lane, range]:
    """The lanes that the worker may take jobs of, and the keys on which they stand."""
    return {
        Lane(queue.tenant, queue.name): range(asked(queue))
        for queue in queues
        if queue.pool == wanted.pool and not queue.paused
    }


def _claim(ports: Ports, lanes: Mapping[Lane, range], wanted: Wanted, limit: int) -> Sequence[Job]:
    """Start up to `limit` of the best jobs of these lanes, in the order of `_candidates`.

    Trouble with one keeps none of those that were started before it from their worker.
    """
    started: list[Job] = []
    full: set[Lane] = set()
    try:
        for job in _candidates(ports, lanes, wanted, limit):
            ticket = ticket_for(job)
            if ticket.lane in full:
                continue
            claim = claim_own(ports, ticket, wanted.worker_id, wanted.lease_seconds)
            if isinstance(claim, Full):
                full.add(ticket.lane)
            elif claim is not None and is_wanted(ports, claim, wanted.names):
                started.append(claim)
                if len(started) == limit:
                    break
    except Unavailable as error:
        if not started:
            raise
        _log.warning("claimed fewer than wanted: %s", error, extra={"action": "claim_cut_short"})
    return started


def _candidates(ports: Ports, lanes: Mapping[Lane, range], wanted: Wanted, limit: int) -> Iterator[Job]:
    """Jobs to be tried: of each tenant the highest priority first, each lane in its own order.

    Whose tenant's turn it is is drawn by lot: one that has many waiting delays nobody else's first.
    """
    lot = {lane.tenant: ports.rng.random() for lane in lanes}
    found = {lane: _line(ports, lane, keys, wanted, limit) for lane, keys in lanes.items()}
    for job in _due(ports, found.keys()) if found else ():
        line = found[Lane(job.tenant, job.queue)]
        line.append(job)
        line.sort(key=lambda each: each.rank)
    lines = [_named(line, wanted) for line in found.values()]
    while lines := [line for line in lines if line]:
        best = min(lines, key=lambda line: (lot[line[0].tenant], -line[0].priority, line[0].created_at, line[0].id))
        yield best.pop(0)


def _line(ports: Ports, lane: Lane, keys: range, wanted: Wanted, limit: int) -> list[Job]:
    """The ready jobs of a lane, the best first, as far as they are looked at."""
    wide = limit + _SPARE
    line = _first(ports, lane, keys, wide)
    if len(line) == wide and len(_named(line, wanted)) < limit:
        line = _first(ports, lane, keys, NAMED_REACH)
    return line


def _first(ports: Ports, lane: Lane, keys: range, count: int) -> list[Job]:
    head = ports.jobs.head(lane, count, keys=keys)
    jobs = ports.jobs.get([JobKey(lane.tenant, ready.job_id) for ready in head]) if head else ()
    return [job for job in jobs if job is not None]


def _named(line: Sequence[Job], wanted: Wanted) -> list[Job]:
    return [job for job in line if not wanted.names or job.name in wanted.names]


def _due(ports: Ports, lanes: Set[Lane]) -> list[Job]:
    """Delayed jobs of these lanes whose time has come; the clock looks at those with a ticket only later."""
    now = ports.now()
    tenants = {lane.tenant for lane in lanes}
    keys = [key for key in ports.jobs.due(now + RESCUE_MS, _DUE_PAGE) if key.tenant in tenants]
    jobs = (job for job in (ports.jobs.get(keys) if keys else ()) if job is not None)
    return [job for job in jobs if _is_due(job, now) and Lane(job.tenant, job.queue) in lanes]


def _is_due(job: Job, now: Ms) -> bool:
    return job.state in WAITING and job.wake_at is not None and job.wake_at <= now
