"""The clock: what lost, late or missing tickets would have caused is found here and caused again.

Every part is bounded, may run twice at once, and may be skipped: the next tick does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.domain import guarded
from tidegate.domain.guard import GuardedWrite
from tidegate.domain.job import WAITING, Job, Ms, Sla, State
from tidegate.domain.ticket import ticket_for
from tidegate.ports import DEADLINES, JobKey, Ports, Timer

from .announce import announce, remember_lanes, send_tickets
from .apart import Apart
from .claim import CLEAN_UP_TRIES
from .deadlines import look_at_deadlines
from .fire_schedules import fire_schedules
from .limits import leave
from .retention import retire
from .reticket import reticket_lanes
from .supervise import check_deadlines, check_runs
from .sweep_slots import Swept, sweep_slots

_PAGE = 200
_PAGES = 50
"""Of each part of one tick, so that all parts get their turn: 10,000 jobs; the next tick goes on."""
_MINUTE_MS = 60_000
_CHECK_AGAIN_MS = 300_000
_CLEAN_UP_BY_TICKET_MS = 60_000
"""For so long a cancelled job whose holder vanished is left to the bearers of tickets, who know its clean-up."""


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
    at_risk: int = 0
    """Jobs noted as at risk of missing their first deadline; `missed_soft` and `missed_hard` likewise."""
    missed_soft: int = 0
    missed_hard: int = 0


def tick(ports: Ports, period_seconds: float, last_tick: Ms | None = None) -> Ticked:
    """Do what is due now.

    `period_seconds` is the time until the next tick: it looks that far ahead. `last_tick` is when the one
    before was, if known: lanes are looked at once a minute, however often the clock ticks.

    A part that fails keeps none of the others from being done. What it raised is raised at the end: Unavailable, or
    whatever else went wrong.
    """
    now = ports.now()
    until = now + round(period_seconds * 1000)
    parts = Apart("tick_part_failed")
    fired = parts.do("schedules", lambda: len(fire_schedules(ports, until)), 0)
    woken = parts.do("due jobs", lambda: wake_due(ports, now, until), Ticked())
    done = parts.do("timers", lambda: check_timers(ports, now), Ticked())
    retired = parts.do("retention", lambda: retire(ports, now), 0)
    done = replace(done, fired=fired, woken=woken.woken, expired=woken.expired, retired=retired)
    if last_tick is None or now // _MINUTE_MS != last_tick // _MINUTE_MS:
        reticketed, expired = parts.do("lanes", lambda: _look_into_lanes(ports, now), (0, 0))
        swept = parts.do("slots", lambda: sweep_slots(ports, now), Swept())
        parts.do("runs", lambda: check_runs(ports), 0)
        expired += done.expired + swept.expired
        done = replace(done, reticketed=reticketed + swept.promoted, expired=expired, freed=swept.freed)
    else:
        parts.do("deadlines", lambda: check_deadlines(ports, now), None)
    parts.conclude()
    return done


def wake_due(ports: Ports, now: Ms, by: Ms) -> Ticked:
    """Send a ticket for every delayed job whose time comes until `by`; those whose time has come get in line."""
    woken = expired = 0
    for _ in range(_PAGES):
        keys = ports.jobs.due(by, _PAGE)
        if not keys:
            break
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


def check_timers(ports: Ports, now: Ms) -> Ticked:
    """Look at every job whose time to be looked at has come.

    One whose lease ran out is put back in line with a ticket, or ended if it may not run again: in line it is found
    by whoever looks for work, also by workers that take no tickets. What a job has come to with its deadlines is
    noted. The next looks are set before these are cleared, so that a crash forgets none.
    """
    done = Ticked()
    for _ in range(_PAGES):
        timers = ports.timers.due(now, _PAGE)
        if not timers:
            break
        jobs = ports.jobs.get([JobKey(timer.tenant, timer.job_id) for timer in timers])
        found = [(timer, job) for timer, job in zip(timers, jobs, strict=True) if job is not None]
        held = [job for timer, job in found if _runs(job, timer)]
        lapsed = [job for job in held if job.lease_lapsed(now, ports.lease_grace_ms)]
        moved = _recovered(ports, lapsed, now)
        timed = {_key(job): job for timer, job in found if timer.attempt == DEADLINES}
        noted, again = look_at_deadlines(ports, list(timed.values()), now)
        ports.timers.set(
            [*again, *(_next_timer(job, now, ports.lease_grace_ms) for job in held if _key(job) not in moved)]
        )
        ports.timers.clear(timers)
        done = replace(
            done,
            recovered=done.recovered + len(lapsed),
            at_risk=done.at_risk + noted[Sla.AT_RISK],
            missed_soft=done.missed_soft + noted[Sla.SOFT_MISSED],
            missed_hard=done.missed_hard + noted[Sla.HARD_MISSED],
        )
        if len(timers) < _PAGE:
            break
    return done


def _look_into_lanes(ports: Ports, now: Ms) -> tuple[int, int]:
    """Find what waits too long; queues are polled as long as any lane is known, for hours after its last job."""
    lanes = ports.lanes.all()
    found = reticket_lanes(ports, lanes, now)
    if lanes:
        ports.polling.wake()
    else:
        ports.polling.rest()
    return found


def _recovered(ports: Ports, lapsed: Sequence[Job], now: Ms) -> frozenset[JobKey]:
    """Write what becomes of jobs whose holders vanished; answers those that run no longer."""
    found = [(job, _recovery(job, now, ports.lease_grace_ms)) for job in lapsed]
    remember_lanes(ports, [job for job, write in found if write is not None])
    send_tickets(ports, [(ticket_for(job), 0.0) for job, write in found if write is None])
    writes = [write for _, write in found if write is not None]
    outcomes = ports.jobs.apply(writes) if writes else []
    moved = [outcome.job for outcome in outcomes if outcome.applied and outcome.job is not None]
    for job in moved:
        leave(ports, job)
    announce(ports, [job for job in moved if job.state in WAITING])
    return frozenset(_key(job) for job in moved)


def _recovery(job: Job, now: Ms, grace: Ms) -> GuardedWrite | None:
    """What becomes of a running job whose holder vanished; None while that is for whoever gets its ticket."""
    if job.cancel_requested:
        if not job.lease_lapsed(now, grace + _CLEAN_UP_BY_TICKET_MS):
            return None
        may_clean_up = job.attempt < job.attempts_allowed + CLEAN_UP_TRIES
        return guarded.release_if_lapsed(job, now) if may_clean_up else guarded.cancel_if_lapsed(job, now)
    if job.is_last_attempt:
        return guarded.fail_if_lapsed(job, now)
    return guarded.release_if_lapsed(job, now)


def _key(job: Job) -> JobKey:
    return JobKey(job.tenant, job.id)


def _runs(job: Job, timer: Timer) -> bool:
    return job.state is State.ACTIVE and job.attempt == timer.attempt


def _next_timer(job: Job, now: Ms, grace: Ms) -> Timer:
    """When to look at a running job again."""
    at = (job.lease_until or now) + grace
    if job.lease_lapsed(now, grace):
        at = at + _CLEAN_UP_BY_TICKET_MS if job.cancel_requested else now + _CHECK_AGAIN_MS
    return Timer(max(at, now + 1), job.tenant, job.id, job.attempt)
