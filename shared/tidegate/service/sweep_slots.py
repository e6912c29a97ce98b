"""The clock's part in the limits of queues: slots that nobody gave back, and jobs put aside that nobody woke."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tidegate.domain import guarded
from tidegate.domain.errors import NotFound
from tidegate.domain.job import OPEN, WAITING, Job, Ms
from tidegate.domain.limits import Holder, Semaphore, is_abandoned, parse_holder
from tidegate.ports import Holding, JobKey, Ports

from .limits import free, lanes_of, promote
from .policies import queue_named

_PAGE = 200
_PAGES = 10
"""Semaphores looked at in one sweep: 2,000. Where there are more, each sweep begins at another lane."""
_LOOK_AFTER_MS = 60_000
"""A slot taken so recently is not looked at: most are given back before."""
_PROMOTED_AT_ONCE = 25


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep did, in numbers."""

    freed: int = 0
    promoted: int = 0
    expired: int = 0


def sweep_slots(ports: Ports, now: Ms) -> Swept:
    """Free the slots that are held for nothing, and see to the jobs that wait for a slot of their key.

    Costs one query a minute where no queue has slots.
    """
    done = Swept()
    for holding in _holdings(ports):
        freed = _free_abandoned(ports, holding, now)
        promoted, expired = _see_to_parked(ports, holding, now) if _has_parked(holding) else (0, 0)
        if _is_idle(ports, holding):
            ports.slots.tidy(holding)
        done = Swept(done.freed + freed, done.promoted + promoted, done.expired + expired)
    return done


def _holdings(ports: Ports) -> Iterator[Holding]:
    page = ports.slots.all(None, _PAGE)
    if len(page) < _PAGE:
        yield from page
        return
    lanes = [lane for lane, _ in ports.lanes.all()]
    after: Semaphore | None = Semaphore(ports.rng.choice(lanes)) if lanes else page[0].semaphore
    for _ in range(_PAGES):
        page = ports.slots.all(after, _PAGE)
        yield from page
        after = page[-1].semaphore if len(page) == _PAGE else None


def _free_abandoned(ports: Ports, holding: Holding, now: Ms) -> int:
    holders = [holder for holder in map(_holder, holding.holders) if holder and now - holder.at >= _LOOK_AFTER_MS]
    if not holders:
        return 0
    tenant = holding.semaphore.lane.tenant
    jobs = ports.jobs.get([JobKey(tenant, holder.job_id) for holder in holders])
    abandoned = [str(each) for each, job in zip(holders, jobs, strict=True) if is_abandoned(each, job, now)]
    return sum(free(ports, holding.semaphore, name) for name in abandoned)


def _holder(text: str) -> Holder | None:
    try:
        return parse_holder(text)
    except ValueError:
        return None


def _is_idle(ports: Ports, holding: Holding) -> bool:
    """Whether nobody holds or waits, or a job once waited for a slot of the lane and none does any more."""
    if holding.waiting is None:
        return not holding.holders
    return not holding.semaphore.key and not any(
        ports.jobs.head(lane, 1) for lane in lanes_of(ports, holding.semaphore)
    )


def _has_parked(holding: Holding) -> bool:
    return bool(holding.semaphore.key) and holding.waiting is not None


def _see_to_parked(ports: Ports, holding: Holding, now: Ms) -> tuple[int, int]:
    """Promote and expire jobs put aside for a key; answers how many of each. Forgets that any waited if none does."""
    lane, key = holding.semaphore
    ids = [ready.job_id for ready in ports.jobs.parked(lane, key, _PROMOTED_AT_ONCE)]
    hints = [] if holding.waiting is None else [holding.waiting]
    found = ports.jobs.get([JobKey(lane.tenant, job_id) for job_id in dict.fromkeys([*ids, *hints])])
    open_ones = [job for job in found if job is not None and job.state in OPEN]
    if not open_ones:  # one that runs may be put aside again under the same note
        ports.slots.tidy(holding)
        return 0, 0
    expired = _expire(ports, [job for job in open_ones if job.state in WAITING], now)
    room = _room(ports, holding)
    return (promote(ports, holding.semaphore, room, hints) if room > 0 else 0), expired


def _expire(ports: Ports, waiting: Sequence[Job], now: Ms) -> int:
    late = [job for job in waiting if job.expires_at is not None and job.expires_at <= now]
    if late:
        ports.jobs.apply([guarded.expire_if_waiting(job, now) for job in late])
    return len(late)


def _room(ports: Ports, holding: Holding) -> int:
    lane = holding.semaphore.lane
    try:
        limit = queue_named(ports, lane.tenant, lane.queue).key_slots
    except NotFound:
        limit = None
    return _PROMOTED_AT_ONCE if limit is None else min(limit - len(holding.holders), _PROMOTED_AT_ONCE)
