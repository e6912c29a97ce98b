"""Claim jobs straight from their lanes, without a ticket: for workers that serve some queues or one tenant only.

A ticket of another queue or tenant would have to be given back, and given back again: its receive count rises, and
the tickets behind it starve. So these workers take none. What tickets tell is found in the tables:

- ready jobs at the heads of the lanes
- delayed jobs whose time has come, among the delayed ones, where the clock would find them later
- jobs whose holder vanished in line again: the clock puts them there (`tick.check_leases`)

Their tickets are taken by the pool's other workers, who find the job running or ended; where there are no others they
grow old and vanish. No ticket is held meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

from tidegate.domain import guarded
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.guarded import RESCUE_MS
from tidegate.domain.job import WAITING, Job, Ms
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.ports import JobKey, Ports

from .claim import Claimed, claim_for
from .policies import queue_named

_SPARE = 5
"""Candidates read beyond those wanted: others may claim them first."""
_NAMED_REACH = 100
"""How far into a lane jobs of certain names are looked for."""
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

    Raises Forbidden without the scope `work`.
    """
    caller.require(Scope.WORK)
    known = {queue.name for queue in ports.queues.list(caller.tenant)} | {"default"}
    names = known & wanted.queues if wanted.queues else known
    return claim_from(ports, [Lane(caller.tenant, name) for name in names], wanted, limit)


def claim_of_queues(ports: Ports, wanted: Wanted, limit: int) -> Sequence[Job]:
    """Up to `limit` jobs of any tenant in `wanted.queues`, started; for workers with access to the home itself."""
    lanes = [lane for lane, _ in ports.lanes.all() if lane.queue in wanted.queues]
    return claim_from(ports, lanes, wanted, limit)


def claim_from(ports: Ports, lanes: Iterable[Lane], wanted: Wanted, limit: int) -> Sequence[Job]:
    """Start up to `limit` of the best jobs of these lanes: of the highest priority, within a lane in its order."""
    served = frozenset(lane for lane in lanes if _serves(ports, lane, wanted.pool))
    if not served:
        return []
    _promote_due(ports, served)
    started: list[Job] = []
    for job in _candidates(ports, served, wanted, limit):
        claim = claim_for(ports, ticket_for(job), wanted.worker_id, wanted.lease_seconds, receives=1, own_only=True)
        if isinstance(claim, Claimed):
            started.append(claim.job)
            if len(started) == limit:
                break
    return started


def _serves(ports: Ports, lane: Lane, pool: str) -> bool:
    queue = queue_named(ports, lane.tenant, lane.queue)
    return queue.pool == pool and not queue.paused


def _promote_due(ports: Ports, lanes: Set[Lane]) -> None:
    """Put delayed jobs of these lanes in line whose time has come; a ticket that is under way would do the same."""
    now = ports.now()
    tenants = {lane.tenant for lane in lanes}
    keys = [key for key in ports.jobs.due(now + RESCUE_MS, _DUE_PAGE) if key.tenant in tenants]
    jobs = (job for job in (ports.jobs.get(keys) if keys else ()) if job is not None)
    due = [job for job in jobs if _is_due(job, now) and Lane(job.tenant, job.queue) in lanes]
    if due:
        ports.jobs.apply([guarded.promote_if_due(job, now) for job in due])


def _is_due(job: Job, now: Ms) -> bool:
    return job.state in WAITING and job.wake_at is not None and job.wake_at <= now


def _candidates(ports: Ports, lanes: Iterable[Lane], wanted: Wanted, limit: int) -> Iterator[Job]:
    """Jobs to be tried: the highest priority first, each lane in its own order."""
    reach = _NAMED_REACH if wanted.names else limit + _SPARE
    keys = {lane: [JobKey(lane.tenant, each.job_id) for each in ports.jobs.head(lane, reach)] for lane in lanes}
    asked = [key for found in keys.values() for key in found]
    jobs = dict(zip(asked, ports.jobs.get(asked) if asked else (), strict=True))
    queues = [_fitting([jobs[key] for key in found], wanted) for found in keys.values()]
    while queues := [queue for queue in queues if queue]:
        best = min(queues, key=lambda queue: (-queue[0].priority, queue[0].created_at, queue[0].id))
        yield best.pop(0)


def _fitting(jobs: Iterable[Job | None], wanted: Wanted) -> list[Job]:
    return [job for job in jobs if job is not None and (not wanted.names or job.name in wanted.names)]
