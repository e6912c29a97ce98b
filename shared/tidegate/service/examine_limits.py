"""The doctor's part in the limits of queues: which jobs could start now, and which slots are held for nothing."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from tidegate.domain.errors import NotFound
from tidegate.domain.job import Job, Ms, State
from tidegate.domain.limits import Holder, Semaphore, is_abandoned, parse_holder, tenants_semaphore
from tidegate.domain.ticket import Lane
from tidegate.ports import Holding, JobKey, Ports

from .limits import free
from .policies import queue_named, tenant_named

_PAGE = 200
_MOST_KEYS = 10_000


def that_could_start(ports: Ports, ready: Sequence[Job]) -> list[Job]:
    """Those of the ready jobs that need a ticket: who waits for a slot is woken by whoever leaves it, and a paused
    queue is looked at once it goes on."""
    lanes: defaultdict[Lane, list[Job]] = defaultdict(list)
    for job in ready:
        lanes[Lane(job.tenant, job.queue)].append(job)
    found = [job for lane, jobs in lanes.items() for job in _within_limits(ports, lane, jobs)]
    return [job for tenant in {job.tenant for job in found} for job in _within_tenant(ports, tenant, found)]


def leaked_slots(ports: Ports, since: Ms) -> list[tuple[Semaphore, Holder]]:
    """Slots that are held for nothing since `since` or longer."""
    found: list[tuple[Semaphore, Holder]] = []
    for holding in _all(ports):
        holders = [parse_holder(name) for name in sorted(holding.holders)]
        keys = [JobKey(holding.semaphore.lane.tenant, holder.job_id) for holder in holders]
        jobs = ports.jobs.get(keys) if keys else []
        leaked = [holder for holder, job in zip(holders, jobs, strict=True) if _is_leaked(holder, job, since)]
        found += [(holding.semaphore, holder) for holder in leaked]
    return found


def free_slots_of(ports: Ports, leaked: Iterable[tuple[Semaphore, Holder]]) -> None:
    """Give the slots back, and wake who waits for them."""
    for semaphore, holder in leaked:
        free(ports, semaphore, str(holder))


def _within_tenant(ports: Ports, tenant: str, found: Sequence[Job]) -> Sequence[Job]:
    mine = [job for job in found if job.tenant == tenant]
    limit = tenant_named(ports, tenant).max_running
    if limit is None:
        return mine
    return mine[: max(0, limit - len(ports.slots.get(tenants_semaphore(tenant)).holders))]


def _within_limits(ports: Ports, lane: Lane, jobs: Sequence[Job]) -> Iterator[Job]:
    try:
        queue = queue_named(ports, *lane)
    except NotFound:
        yield from jobs
        return
    if queue.paused or not queue.limits_running:
        yield from () if queue.paused else jobs
        return
    held = {holding.semaphore.key: len(holding.holders) for holding in ports.slots.of_lane(lane, _MOST_KEYS)}
    for job in sorted(jobs, key=lambda job: (job.rank, job.id)):
        limits = [("", queue.slots)] if queue.slots is not None else []
        if queue.key_slots is not None and job.concurrency_key is not None:
            limits.append((job.concurrency_key, queue.key_slots))
        if all(held.get(key, 0) < limit for key, limit in limits):
            held.update({key: held.get(key, 0) + 1 for key, _ in limits})
            yield job


def _is_leaked(holder: Holder, job: Job | None, since: Ms) -> bool:
    if job is not None and job.slot == str(holder):
        return job.state is not State.ACTIVE and job.updated_at <= since
    return is_abandoned(holder, job, since)


def _all(ports: Ports) -> Iterator[Holding]:
    after: Semaphore | None = None
    while page := ports.slots.all(after, _PAGE):
        yield from page
        after = page[-1].semaphore
