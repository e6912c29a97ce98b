"""The clock: what lost, late or missing tickets would have caused is found here and caused again.

Every part is bounded, may run twice at once, and may be skipped: the next tick does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.domain import guarded
from tidegate.domain.job import WAITING, Job, Ms, State
from tidegate.domain.ticket import Lane, Ticket, ticket_for
from tidegate.ports import JobKey, Ports, Timer

from .announce import remember_lanes, send_tickets
from .fire_schedules import fire_schedules
from .limits import free_slots
from .policies import queue_named
from .retention import retire
from .supervise import check_deadlines, check_runs
from .sweep_slots import sweep_slots

_PAGE = 200
_LANE_HEAD = 25
_MINUTE_MS = 60_000
_LOST_AFTER_MS = 60_000
"""A job at the head of its lane for so long has no ticket under way, or the workers are saturated."""
_LANE_IDLE_MS = 3 * 3_600_000
_CHECK_AGAIN_MS = 300_000


@dataclass(frozen=True, slots=True)
class Ticked:
    """What one tick did, in numbers."""

    woken: int = 0
    reticketed: int = 0
    recovered: int = 0
    expired: int = 0
    freed: int = 0
    """Slots that were held for nothing."""
    retired: int = 0
    fired: int = 0
    """Jobs made by schedules."""


def tick(ports: Ports, period_seconds: float, last_tick: Ms | None = None) -> Ticked:
    """Do what is due now.

    `period_seconds` is the time until the next tick: it looks that far ahead. `last_tick` is when the one
    before was, if known: lanes are looked at once a minute, however often the clock ticks.
    """
    now = ports.now()
    until = now + round(period_seconds * 1000)
    fired = fire_schedules(ports, until)
    done = replace(wake_due(ports, now, until), fired=len(fired))
    done = replace(done, recovered=check_leases(ports, now), retired=retire(ports, now))
    if last_tick is None or now // _MINUTE_MS != last_tick // _MINUTE_MS:
        reticketed, expired = reticket_lanes(ports, now)
        swept = sweep_slots(ports, now)
        check_runs(ports)
        expired += done.expired + swept.expired
        return replace(done, reticketed=reticketed + swept.promoted, expired=expired, freed=swept.freed)
    check_deadlines(ports, now)
    return done


def wake_due(ports: Ports, now: Ms, by: Ms) -> Ticked:
    """Send a ticket for every delayed job whose time comes until `by`; those whose time has come get in line."""
    woken = expired = 0
    while keys := ports.jobs.due(by, _PAGE):
        jobs = [job for job in ports.jobs.get(keys) if job is not None and job.state in WAITING]
        late = [job for job in jobs if job.expires_at is not None and job.expires_at <= now]
        ready = [job for job in jobs if job not in late and (job.wake_at is None or job.wake_at <= now)]
        soon = [job for job in jobs if job.wake_at is not None and now < job.wake_at <= by]
        remember_lanes(ports, ready)
        send_tickets(ports, [(ticket_for(job), 0.0) for job in ready])
        send_tickets(ports, [(ticket_for(job), ((job.wake_at or now) - now) / 1000) for job in soon])
        writes = [guarded.expire_if_waiting(job, now) for job in late]
        writes += [guarded.promote_if_due(job, now) for job in ready]
        writes += [guarded.mark_ticketed_if_waiting(job, now) for job in soon]
        moved = [outcome for outcome in ports.jobs.apply(writes) if outcome.applied] if writes else []
        woken, expired = woken + len(ready) + len(soon), expired + len(late)
        if len(keys) < _PAGE or not moved:
            break
    return Ticked(woken=woken, expired=expired)


def check_leases(ports: Ports, now: Ms) -> int:
    """Send a ticket for every running job whose lease ran out: whoever gets it reclaims the job."""
    recovered = 0
    while timers := ports.timers.due(now, _PAGE):
        jobs = ports.jobs.get([JobKey(timer.tenant, timer.job_id) for timer in timers])
        held = [job for timer, job in zip(timers, jobs, strict=True) if job is not None and _runs(job, timer)]
        lapsed = [job for job in held if job.lease_lapsed(now)]
        send_tickets(ports, [(ticket_for(job), 0.0) for job in lapsed])
        ports.timers.set([_next_timer(job, now) for job in held])
        ports.timers.clear(timers)
        recovered += len(lapsed)
        if len(timers) < _PAGE:
            break
    return recovered


def reticket_lanes(ports: Ports, now: Ms) -> tuple[int, int]:
    """Send tickets for jobs that wait at the head of their lane too long; answers how many, and how many expired."""
    sent = expired = 0
    for lane, touched in ports.lanes.all():
        head = ports.jobs.head(lane, _LANE_HEAD)
        if not head:
            if now - touched > _LANE_IDLE_MS:
                ports.lanes.drop_if_untouched(lane, touched)
            continue
        tickets, over = _overdue(ports, lane, [ready.job_id for ready in head], now)
        if tickets:
            tickets = tickets[: free_slots(ports, queue_named(ports, lane.tenant, lane.queue))]
        send_tickets(ports, tickets)
        sent, expired = sent + len(tickets), expired + over
    return sent, expired


def _overdue(ports: Ports, lane: Lane, job_ids: Sequence[str], now: Ms) -> tuple[list[tuple[Ticket, float]], int]:
    found = ports.jobs.get([JobKey(lane.tenant, job_id) for job_id in job_ids])
    waiting = [job for job in found if job is not None and job.state in WAITING]
    late = [job for job in waiting if job.expires_at is not None and job.expires_at <= now]
    if late:
        ports.jobs.apply([guarded.expire_if_waiting(job, now) for job in late])
    stuck = [job for job in waiting if job not in late and now - job.updated_at >= _LOST_AFTER_MS]
    return [(ticket_for(job), 0.0) for job in stuck], len(late)


def _runs(job: Job, timer: Timer) -> bool:
    return job.state is State.ACTIVE and job.attempt == timer.attempt


def _next_timer(job: Job, now: Ms) -> Timer:
    at = now + _CHECK_AGAIN_MS if job.lease_lapsed(now) else job.lease_until or now
    return Timer(at, job.tenant, job.id, job.attempt)
