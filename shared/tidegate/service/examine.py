"""Find drift: what the store says against what stands around it. And put it right, where that is asked for.

Everything found here heals by itself or does no harm, while clock and change feed run; the doctor is for when they
did not, and for the proof that they did. It reads every job once. Nothing that may be in order a moment later is
reported: jobs and timers are given `GRACE_MS`, and counters are compared only when the feed is not behind.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.domain import guarded
from tidegate.domain.job import OPEN, WAITING, Job, Ms, Sla, State
from tidegate.domain.priority import HIGHEST, LOWEST
from tidegate.domain.sla import deadlines, next_look
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.ports import BACKLOG, DEADLINES, Addition, JobKey, Ports, Timer, backlog_series

from .announce import send_tickets
from .examine_limits import free_slots_of, leaked_slots, that_could_start
from .expectations import NAME
from .record_changes import AT_RISK, QUEUE, RETRIES, SLA, STATES, STORED_COST, TOTALS, WAITING_AT

GRACE_MS = 180_000
"""Three minutes: the clock finds a lost ticket within two, and looks again at a lapsed lease within one."""
_PART = 500
_END_OF_TIME: Ms = 999_999_999_999_998
_MOST_TIMERS = 100_000
_EXAMPLES = 5


class Drift(StrEnum):
    """What may be wrong."""

    UNKNOWN_LANE = "unknown_lane"
    """A ready job stands in a lane that the clock does not look into."""
    LOST_TICKET = "lost_ticket"
    """More jobs of a pool could start than it has tickets."""
    OVERDUE = "overdue"
    """A delayed job's time came, and nobody put it among the ready ones or expired it."""
    LAPSED_LEASE = "lapsed_lease"
    """A running job's lease ran out, and no timer makes the clock look at it."""
    MISSED_DEADLINE = "missed_deadline"
    """A deadline passed, nothing was told of it, and no timer makes the clock look at the job."""
    ORPHANED_TIMER = "orphaned_timer"
    """A timer was due, its attempt or its job has ended, and it is still there."""
    LEAKED_SLOT = "leaked_slot"
    """A slot of a queue is held by no running attempt."""
    COUNTER = "counter"
    """A counter is not what a recount gives."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of drift: how often it was found, some examples, and whether it was put right."""

    drift: Drift
    count: int
    examples: tuple[str, ...]
    repaired: bool


Counts = Mapping[tuple[str, str], Mapping[str, int]]


@dataclass(slots=True)
class _Seen:
    """What a walk over all jobs gathers."""

    jobs: int = 0
    ready: list[Job] = field(default_factory=list)
    overdue: list[Job] = field(default_factory=list)
    lapsed: list[Job] = field(default_factory=list)
    active: dict[JobKey, int] = field(default_factory=dict)
    open: set[JobKey] = field(default_factory=set)
    """Those with deadlines."""
    missed: list[Job] = field(default_factory=list)
    counts: defaultdict[tuple[str, str], Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


@dataclass(frozen=True, slots=True)
class Examination:
    """How many jobs were looked at, and what was found."""

    jobs: int
    findings: Sequence[Finding]
    counts: Counts
    """How far each counter is off: to be compared with a second look before anyone believes it."""


def examine(ports: Ports, *, repair: bool = False, told: Callable[[int], object] = lambda _: None) -> Examination:
    """Look at everything but the counters' truth: `counts` says what they lack, `repair_counters` sets them right.

    `told` hears how many jobs were looked at so far.
    """
    now = ports.now()
    seen = _walked(ports, now, told)
    timers = ports.timers.due(_END_OF_TIME, _MOST_TIMERS)
    checks = (
        _unknown_lanes(ports, seen, repair=repair),
        _lost_tickets(ports, seen, repair=repair),
        _overdue(ports, seen, now, repair=repair),
        _lapsed(ports, seen, timers, now, repair=repair),
        _missed(ports, seen, timers, now, repair=repair),
        _orphaned(ports, seen, timers, now, repair=repair),
        _leaked(ports, now, repair=repair),
    )
    return Examination(seen.jobs, [each for each in checks if each is not None], _differences(ports, seen.counts))


def off_twice(first: Counts, second: Counts) -> Counts:
    """What both looks found off by the same: what was merely late has changed in between."""
    return {key: lacking for key, lacking in first.items() if lacking and second.get(key) == lacking}


def counter_finding(counts: Counts, *, repaired: bool) -> Finding | None:
    """The finding that these counters are off."""
    names = [f"{tenant} {series} {dict(lacking)}" for (tenant, series), lacking in sorted(counts.items())]
    return _finding(Drift.COUNTER, names, repaired=repaired)


def repair_counters(ports: Ports, counts: Counts) -> None:
    """Add to each counter what it lacks."""
    additions = [Addition(tenant, series, lacking) for (tenant, series), lacking in counts.items()]
    ports.figures.add_once(f"repair-{ports.new_id()}", additions)


def _walked(ports: Ports, now: Ms, told: Callable[[int], object]) -> _Seen:
    seen = _Seen()
    after: str | None = None
    while True:
        jobs, after = ports.upkeep.walk(after, _PART)
        for job in jobs:
            _note(seen, job, now)
        told(seen.jobs)
        if after is None:
            return seen


def _note(seen: _Seen, job: Job, now: Ms) -> None:
    seen.jobs += 1
    _recount(seen.counts, job)
    if job.state is State.ACTIVE:
        seen.active[JobKey(job.tenant, job.id)] = job.attempt
        if job.lease_until is not None and job.lease_until <= now - GRACE_MS:
            seen.lapsed.append(job)
    if job.state in OPEN and (look_at := next_look(job, 0)) is not None:
        seen.open.add(JobKey(job.tenant, job.id))
        if look_at <= now - GRACE_MS and deadlines(job).missed_at(now - GRACE_MS) > job.sla:
            seen.missed.append(job)
    if job.state in WAITING:
        if job.wake_at is not None and job.wake_at <= now - GRACE_MS:
            seen.overdue.append(job)
        if job.wake_at is None and job.updated_at <= now - GRACE_MS:
            seen.ready.append(job)


def _recount(counts: defaultdict[tuple[str, str], Counter[str]], job: Job) -> None:
    for series in (STATES, QUEUE + job.queue):
        counts[job.tenant, series][job.state] += 1
    if job.retry_count:
        counts[job.tenant, NAME + job.name][f"r{job.retry_count}"] += 1
    counts[job.tenant, TOTALS][STORED_COST] += job.cost
    if job.state is State.CREATED and job.wake_at is not None:
        counts[job.tenant, TOTALS]["scheduled"] += 1
    elif job.state in WAITING and not job.blocked:
        counts[job.tenant, TOTALS][f"{WAITING_AT}{job.priority}"] += 1
    if job.state in OPEN and job.sla is Sla.AT_RISK:
        counts[job.tenant, SLA + job.queue][AT_RISK] += 1
    if job.state is State.CREATED and job.counted:
        counts[job.tenant, backlog_series(Lane(job.tenant, job.queue))]["size"] += 1


def _unknown_lanes(ports: Ports, seen: _Seen, *, repair: bool) -> Finding | None:
    known = {lane for lane, _ in ports.lanes.all()}
    lost = {Lane(job.tenant, job.queue): job for job in seen.ready if Lane(job.tenant, job.queue) not in known}
    if repair:
        for lane in lost:
            ports.lanes.touch(lane, ports.now())
    return _finding(Drift.UNKNOWN_LANE, [job.id for job in lost.values()], repaired=repair)


def _lost_tickets(ports: Ports, seen: _Seen, *, repair: bool) -> Finding | None:
    """Any ticket starts any job of its lane, so a pool needs as many as could start there. Depths are approximate."""
    lacking: list[Job] = []
    for pool in sorted({job.pool for job in seen.ready}):
        jobs = that_could_start(ports, [job for job in seen.ready if job.pool == pool])
        if jobs and pool in ports.pools:
            depths = ports.tickets.depth(pool).values()
            tickets = sum(depth.visible + depth.in_flight + depth.delayed for depth in depths)
            lacking += sorted(jobs, key=lambda job: job.rank)[: max(0, len(jobs) - tickets)]
    if repair and lacking:
        send_tickets(ports, [(ticket_for(job), 0.0) for job in lacking])
    return _finding(Drift.LOST_TICKET, [job.id for job in lacking], repaired=repair)


def _overdue(ports: Ports, seen: _Seen, now: Ms, *, repair: bool) -> Finding | None:
    if repair and seen.overdue:
        expired = [job for job in seen.overdue if job.expires_at is not None and job.expires_at <= now]
        ready = [job for job in seen.overdue if job not in expired]
        for lane in {Lane(job.tenant, job.queue) for job in ready}:
            ports.lanes.touch(lane, now)
        writes = [guarded.expire_if_waiting(job, now) for job in expired]
        ports.jobs.apply([*writes, *(guarded.promote_if_due(job, now) for job in ready)])
        send_tickets(ports, [(ticket_for(job), 0.0) for job in ready])
    return _finding(Drift.OVERDUE, [job.id for job in seen.overdue], repaired=repair)


def _lapsed(ports: Ports, seen: _Seen, timers: Sequence[Timer], now: Ms, *, repair: bool) -> Finding | None:
    timed = {(timer.tenant, timer.job_id, timer.attempt) for timer in timers}
    lost = [job for job in seen.lapsed if (job.tenant, job.id, job.attempt) not in timed]
    if repair and lost:
        ports.timers.set([Timer(now, job.tenant, job.id, job.attempt) for job in lost])
    return _finding(Drift.LAPSED_LEASE, [job.id for job in lost], repaired=repair)


def _missed(ports: Ports, seen: _Seen, timers: Sequence[Timer], now: Ms, *, repair: bool) -> Finding | None:
    timed = {JobKey(timer.tenant, timer.job_id) for timer in timers if timer.attempt == DEADLINES}
    lost = [job for job in seen.missed if JobKey(job.tenant, job.id) not in timed]
    if repair and lost:
        ports.timers.set([Timer(now, job.tenant, job.id, DEADLINES) for job in lost])
    return _finding(Drift.MISSED_DEADLINE, [job.id for job in lost], repaired=repair)


def _orphaned(ports: Ports, seen: _Seen, timers: Sequence[Timer], now: Ms, *, repair: bool) -> Finding | None:
    """A timer whose attempt or job ended goes when it is due, so only those that are overdue are left behind."""

    def serves(timer: Timer) -> bool:
        key = JobKey(timer.tenant, timer.job_id)
        return key in seen.open if timer.attempt == DEADLINES else seen.active.get(key) == timer.attempt

    orphans = [timer for timer in timers if timer.at <= now - GRACE_MS and not serves(timer)]
    if repair and orphans:
        ports.timers.clear(orphans)
    return _finding(Drift.ORPHANED_TIMER, [timer.job_id for timer in orphans], repaired=repair)


def _leaked(ports: Ports, now: Ms, *, repair: bool) -> Finding | None:
    leaked = leaked_slots(ports, now - GRACE_MS)
    if repair:
        free_slots_of(ports, leaked)
    return _finding(Drift.LEAKED_SLOT, [holder.job_id for _, holder in leaked], repaired=repair)


def _differences(ports: Ports, recount: Mapping[tuple[str, str], Counter[str]]) -> Counts:
    """What each counter lacks to be what a recount gives; only fields that tell of jobs as they are now count."""
    found: dict[tuple[str, str], Mapping[str, int]] = {}
    for tenant in {tenant for tenant, _ in recount} | {lane.tenant for lane, _ in ports.lanes.all()}:
        counted = dict(_gauges(ports, tenant))
        for series in {*counted, *(name for owner, name in recount if owner == tenant)}:
            lacking = Counter(recount.get((tenant, series), Counter()))
            lacking.subtract(counted.get(series, {}))
            if any(lacking.values()):
                found[tenant, series] = {name: n for name, n in sorted(lacking.items()) if n}
    return found


def _gauges(ports: Ports, tenant: str) -> Iterator[tuple[str, Mapping[str, int]]]:
    for first in (QUEUE, NAME, SLA):
        for series, totals in ports.figures.between(tenant, first, first + "~").items():
            yield series, {field: n for field, n in totals.items() if _is_gauge(first, field)}
    for series, totals in ports.figures.between(tenant, BACKLOG, BACKLOG + "~").items():
        yield series, {field: totals.get(field, 0) for field in ("size", "pending")}
    yield STATES, ports.figures.read(tenant, STATES)
    now = {"scheduled", STORED_COST, *(f"{WAITING_AT}{priority}" for priority in range(LOWEST, HIGHEST + 1))}
    yield TOTALS, {field: n for field, n in ports.figures.read(tenant, TOTALS).items() if field in now}


def _is_gauge(first: str, field: str) -> bool:
    return first == QUEUE or (field == AT_RISK if first == SLA else RETRIES.fullmatch(field) is not None)


def _finding(drift: Drift, names: Sequence[str], *, repaired: bool) -> Finding | None:
    return Finding(drift, len(names), tuple(names[:_EXAMPLES]), repaired) if names else None
