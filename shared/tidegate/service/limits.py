"""The limits that a claim meets: slots of the tenant, of the lane, of the job's key; starts in a window.

A claim takes them in this order and writes the name it took slots under on the job, so that whoever ends the
attempt knows what to give back. Where it fails it gives back what it took. Where it dies, the clock does
(`sweep_slots`): a slot whose name is on no running job is held for nothing.

The start is counted last, because a start cannot be given back once its window has passed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.domain import guarded
from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import Lease, Outcome
from tidegate.domain.job import WAITING, Job, Ms
from tidegate.domain.limits import (
    CONFIRM_MS,
    PERIODS,
    Holder,
    Semaphore,
    held_by,
    tenants_semaphore,
    window_end,
    window_of,
)
from tidegate.domain.queue import Queue
from tidegate.domain.tenant import Tenant
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.ports import Holding, JobKey, Ports

from .announce import remember_lanes, send_tickets
from .own_claim import claimed
from .policies import tenant_named

_log = logging.getLogger("tidegate.limits")
_LOOKS = 5
"""So often a ticket looks again at a full queue by itself; then it is dropped: a slot that gets free wakes the lane.

Thousands of tickets that wait for one slot would use up the messages that SQS keeps in flight (120,000).
"""
_LANES = 20
"""Lanes of a tenant that are looked at when it has a free slot; the clock looks at all each minute."""
_MINUTE_MS = 60_000
_SPREAD_MS = 30_000
"""Tickets that found a window used up come back within so long, or in the next window if that is longer."""


@dataclass(frozen=True, slots=True)
class Full:
    """Nothing can start now. `holding` has no free slot, or, where it is None, the window has no start left."""

    holding: Holding | None = None


def gate_of(ports: Ports, queue: Queue) -> Gate | None:
    """The gate that claims of the queue's jobs have to pass; none where neither queue nor tenant limits them."""
    tenant = tenant_named(ports, queue.tenant)
    return Gate(ports, queue, tenant) if queue.limits_starts or tenant.max_running is not None else None


class Gate:
    """The limits of one queue, and of its tenant, during one claim."""

    def __init__(self, ports: Ports, queue: Queue, tenant: Tenant) -> None:
        self._ports = ports
        self._queue = queue
        self._tenant = tenant
        self._lane = Lane(queue.tenant, queue.name)
        self._parked: dict[str, list[str]] = {}
        """By key without a free slot: the jobs that were put aside for it."""

    def start(self, job_id: str, lease: Lease, now: Ms) -> Outcome | Full:
        """Claim a job if all limits let it start; a job whose key has no free slot is put aside.

        Where the home can, all of it is one commit.
        """
        with self._ports.together():
            if self._queue.key_slots is None:
                return self._start(job_id, None, lease, now)
            (job,) = self._ports.jobs.get([JobKey(self._lane.tenant, job_id)])
            if job is None or not _may_start(job, now):
                return Outcome(False, job)
            if job.concurrency_key in self._parked:
                return self._park(job, now)
            return self._start(job_id, job, lease, now)

    def close(self) -> None:
        """Look again at the keys that had no free slot: one that got free meanwhile is given to the best of its jobs.

        Whoever gives back a slot later finds them by itself. Trouble is left to the clock.
        """
        try:
            for key, job_ids in self._parked.items():
                holding = self._ports.slots.get(Semaphore(self._lane, key))
                room = (self._queue.key_slots or 0) - len(holding.holders)
                if room > 0:
                    promote(self._ports, holding.semaphore, room, job_ids)
        except Unavailable as error:
            _log.warning("parked jobs are left to the clock: %s", error, extra={"action": "parked_left"})

    def _start(self, job_id: str, job: Job | None, lease: Lease, now: Ms) -> Outcome | Full:
        key = job.concurrency_key if job is not None else None
        holder = self._holder(job_id, key)
        taken: list[Semaphore] = []
        try:
            for semaphore in holder.semaphores(self._lane, key):
                grant = self._ports.slots.acquire_if_free(semaphore, str(holder), self._limit(semaphore))
                if not grant.granted:
                    self._give_back(taken, holder)
                    return self._park(job, now) if job is not None and semaphore.key else Full(grant.holding)
                taken.append(semaphore)
                if job is not None and semaphore.key and grant.holding.waiting is not None:
                    better = self._better(job)
                    if better is not None:
                        self._give_back(taken, holder)
                        return self._start(better.id, better, lease, now)
            if not self._counted(now):
                self._give_back(taken, holder)
                return Full()
        except Unavailable:
            self._give_back(taken, holder)
            raise
        return self._claim(job_id, holder, taken, lease, now)

    def _claim(self, job_id: str, holder: Holder, taken: Sequence[Semaphore], lease: Lease, now: Ms) -> Outcome:
        """The claim itself. One whose outcome stays unknown keeps its slots: it may have been applied."""
        named = replace(lease, slot=str(holder)) if taken else lease
        outcome = claimed(self._ports, guarded.claim_if_ready(self._lane, job_id, named, now), named)
        if outcome.applied and outcome.job is not None:
            late = self._ports.now() - holder.at > CONFIRM_MS
            return confirmed(self._ports, self._queue, outcome) if late else outcome
        self._give_back(taken, holder)
        if self._queue.rate_limit is not None:
            self._ports.rates.give_back(self._lane, window_of(self._queue.rate_period, now))
        return outcome

    def _park(self, job: Job, now: Ms) -> Outcome:
        """Put a job aside until its key has a free slot. Who gives one back looks for it from now on."""
        key = job.concurrency_key or ""
        self._ports.slots.expect(Semaphore(self._lane, key), job.id)  # each: the clock may just forget another's
        self._parked.setdefault(key, [])
        self._ports.jobs.apply([guarded.park_if_waiting(job, now)])
        self._parked[key].append(job.id)
        return Outcome(False)

    def _better(self, job: Job) -> Job | None:
        """The best parked job of the key, if it ranks better: it was there first when the slot got free."""
        lane, key = self._lane, job.concurrency_key or ""
        for ready in self._ports.jobs.parked(lane, key, 1):
            if (ready.rank, ready.job_id) < (job.rank, job.id):
                (found,) = self._ports.jobs.get([JobKey(lane.tenant, ready.job_id)])
                if found is not None and _may_start(found, self._ports.now()) and found.rank < job.rank:
                    return found
        return None

    def _counted(self, now: Ms) -> bool:
        limit, period = self._queue.rate_limit, self._queue.rate_period
        return limit is None or self._ports.rates.take_if_left(self._lane, window_of(period, now), limit)

    def _give_back(self, taken: Sequence[Semaphore], holder: Holder) -> None:
        """Give back what was not used. Only jobs put aside for a key are told: tickets of a full lane look again."""
        for semaphore in reversed(taken):
            _release(self._ports, semaphore, str(holder), wake=bool(semaphore.key))

    def _holder(self, job_id: str, key: str | None) -> Holder:
        nonce = f"{self._ports.rng.getrandbits(40):010x}"
        of_key = self._queue.key_slots is not None and key is not None
        of_lane, of_tenant = self._queue.slots is not None, self._tenant.max_running is not None
        return Holder(of_lane, of_key, self._ports.now(), nonce, job_id, of_tenant)

    def _limit(self, semaphore: Semaphore) -> int:
        return _limit(self._queue, self._tenant, semaphore) or 0


def confirmed(ports: Ports, queue: Queue, claimed: Outcome) -> Outcome:
    """The claim, if its job still holds its slots or gets them once more; else the job waits again, and no attempt
    is used up.

    For claims after which the clock may have freed the slots: those that were late, and those of lapsed leases.
    """
    job = claimed.job
    if not claimed.applied or job is None or job.slot is None:
        return claimed
    if _holds_slots(ports, queue, job, job.slot):
        return claimed
    now = ports.now()
    (undone,) = ports.jobs.apply([guarded.snooze_if_held(job, now, now, ticketed=False)])
    leave(ports, job)
    return Outcome(False, undone.job)


def _holds_slots(ports: Ports, queue: Queue, job: Job, name: str) -> bool:
    tenant = tenant_named(ports, job.tenant)
    limits = [(semaphore, _limit(queue, tenant, semaphore)) for semaphore in held_by(job)]
    try:
        return all(limit is None or ports.slots.acquire_if_free(each, name, limit).granted for each, limit in limits)
    except Unavailable:
        return False


def _limit(queue: Queue, tenant: Tenant, semaphore: Semaphore) -> int | None:
    if semaphore.is_tenants:
        return tenant.max_running
    return queue.key_slots if semaphore.key else queue.slots


def leave(ports: Ports, job: Job) -> None:
    """Give back the slots of an attempt that has ended, and wake who waits for one. Trouble is left to the clock."""
    for semaphore in reversed(held_by(job)):
        _release(ports, semaphore, job.slot or "")


def free(ports: Ports, semaphore: Semaphore, holder: str, *, wake: bool = True) -> bool:
    """Give back one slot and wake who waits for it; answers whether it was held."""
    left = ports.slots.release(semaphore, holder)
    if left is None:
        return False
    if wake and left.waiting is not None:
        if semaphore.key:
            promote(ports, semaphore, 1, [left.waiting])
        else:
            _wake(ports, left)
    return True


def promote(ports: Ports, semaphore: Semaphore, room: int, hints: Sequence[str] = ()) -> int:
    """Let the best parked jobs of a key get in line again, as many as there is room for; answers how many did.

    `hints` are jobs that may be too fresh for the index.
    """
    lane, key = semaphore
    now = ports.now()
    ids = [ready.job_id for ready in ports.jobs.parked(lane, key, room + 2)]
    found = ports.jobs.get([JobKey(lane.tenant, job_id) for job_id in dict.fromkeys([*ids, *hints])])
    jobs = [job for job in found if job is not None and _may_start(job, now) and job.concurrency_key == key]
    best = sorted(jobs, key=lambda job: (job.rank, job.id))[:room]
    if not best:
        return 0
    remember_lanes(ports, best)
    outcomes = ports.jobs.apply([guarded.promote_if_due(job, now) for job in best])
    moved = [outcome.job for outcome in outcomes if outcome.applied and outcome.job is not None]
    send_tickets(ports, [(ticket_for(job), 0.0) for job in moved])
    return len(moved)


def seconds_until_room(ports: Ports, queue: Queue, full: Full, receives: int, now: Ms) -> float | None:
    """When a ticket that found its queue full shall look again, twice as late each time; None: not by itself."""
    if full.holding is not None:
        return None if receives > _LOOKS else float(2**receives)
    period = PERIODS[queue.rate_period]
    spread = min(2 ** min(receives - 1, 10) - 1, _SPREAD_MS // period)
    windows = int(ports.rng.random() * (spread + 1))
    return (window_end(queue.rate_period, now) - now + windows * period) / 1000


def room_for_starts(ports: Ports, queue: Queue, most: int) -> int:
    """How many jobs of the queue could start within the next minute, as far as is known, and at most `most`."""
    room = most
    if queue.rate_limit is not None:
        room = min(room, queue.rate_limit * _MINUTE_MS // PERIODS[queue.rate_period])
    if queue.slots is not None:
        room = min(room, _free(ports, Semaphore(Lane(queue.tenant, queue.name)), queue.slots))
    tenant = tenant_named(ports, queue.tenant)
    if tenant.max_running is not None:
        room = min(room, _free(ports, tenants_semaphore(tenant.name), tenant.max_running))
    return room


def _free(ports: Ports, semaphore: Semaphore, limit: int) -> int:
    return max(0, limit - len(ports.slots.get(semaphore).holders))


def _wake(ports: Ports, left: Holding) -> None:
    """Send a ticket for the best ready job of a lane that has a free slot; of a tenant's lanes, for that of each.

    One of them takes the tenant's slot. Tickets of lanes that have limits of their own may not, so one is not enough.
    """
    tenant = left.semaphore.lane.tenant
    best = [ready.job_id for lane in lanes_of(ports, left.semaphore) for ready in ports.jobs.head(lane, 1)]
    found = ports.jobs.get([JobKey(tenant, job_id) for job_id in best or [left.waiting or ""]])
    now = ports.now()
    waiting = [job for job in found if job is not None and _may_start(job, now)]
    send_tickets(ports, [(ticket_for(job), 0.0) for job in waiting])


def lanes_of(ports: Ports, semaphore: Semaphore) -> Sequence[Lane]:
    """The lanes whose jobs need a slot of it: one, or up to `_LANES` of a tenant, those used last."""
    if not semaphore.is_tenants:
        return [semaphore.lane]
    known = [(touched, lane) for lane, touched in ports.lanes.all() if lane.tenant == semaphore.lane.tenant]
    return [lane for _, lane in sorted(known, reverse=True)[:_LANES]]


def _release(ports: Ports, semaphore: Semaphore, holder: str, *, wake: bool = True) -> None:
    try:
        free(ports, semaphore, holder, wake=wake)
    except Unavailable as error:
        extra = {"action": "slot_left", "queue": semaphore.lane.queue}
        _log.warning("a slot is left to the clock: %s", error, extra=extra)


def _may_start(job: Job, now: Ms) -> bool:
    in_time = job.expires_at is None or job.expires_at > now
    woken = job.wake_at is None or job.wake_at <= now
    return job.state in WAITING and not job.blocked and woken and in_time
