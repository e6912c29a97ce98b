"""The clock's look at deadlines: what is at risk or missed is noted on the job, and what the queue wants is done.

A job's note (`sla`) only ever grows, by one guarded write for each step, and never once the job has ended: so each step
is noted at most once, however often and by how many clocks it is looked at. The change feed counts and announces
what was noted, and what a job missed by ending late.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tidegate.domain import guarded
from tidegate.domain.errors import NotFound
from tidegate.domain.guard import GuardedWrite, Outcome
from tidegate.domain.job import OPEN, TERMINAL, Job, Ms, Sla, State
from tidegate.domain.sla import is_stopped, next_look, standing
from tidegate.ports import DEADLINES, Ports, Timer

from .expectations import Expectations
from .limits import leave
from .policies import queue_named
from .ranks import rank_now


def look_at_deadlines(ports: Ports, jobs: Sequence[Job], now: Ms) -> tuple[Counter[Sla], list[Timer]]:
    """Note how each job stands; answers how many came to which standing, and when to look at them again.

    A job that somebody else changed meanwhile is looked at again with the next tick.
    """
    expectations = Expectations(ports)
    wanted = [_write(ports, job, expectations, now) for job in jobs]
    writes = [write for write in wanted if write is not None]
    outcomes = iter(ports.jobs.apply(writes) if writes else [])
    seen = [(job, None if write is None else next(outcomes)) for job, write in zip(jobs, wanted, strict=True)]
    noted = Counter(write.values["sla"] for write, (_, outcome) in zip(wanted, seen, strict=True)
                    if write is not None and outcome is not None and outcome.applied)  # fmt: skip
    _leave_slots(ports, seen)
    again = (_next_look(ports, job, outcome, expectations, now) for job, outcome in seen)
    return noted, [timer for timer in again if timer is not None]


def _leave_slots(ports: Ports, seen: Sequence[tuple[Job, Outcome | None]]) -> None:
    """An attempt that was ended holds none of its queue's slots any more."""
    for job, outcome in seen:
        ended = None if outcome is None or not outcome.applied else outcome.job
        if job.state is State.ACTIVE and ended is not None and ended.state in TERMINAL:
            leave(ports, ended)


def _write(ports: Ports, job: Job, expectations: Expectations, now: Ms) -> GuardedWrite | None:
    """What is to be noted of a job, or done to it; nothing when it stands as before, or has ended."""
    if job.state not in OPEN:
        return None
    if is_stopped(job, now):
        return guarded.end_if_hard_missed(job, now)
    sla = standing(job, expectations.of(job.tenant, job.name), now, _ahead(ports))
    if sla <= job.sla:
        return None
    return guarded.note_sla_if_open(job, sla, _rank(ports, job, sla, expectations), now)


def _ahead(ports: Ports) -> Ms:
    """A tick: so early a risk is noticed, or the miss might be noticed with it."""
    return round(ports.clock_seconds * 1000)


def _rank(ports: Ports, job: Job, sla: Sla, expectations: Expectations) -> int:
    try:
        queue = queue_named(ports, job.tenant, job.queue)
    except NotFound:
        return job.rank
    return rank_now(queue, job, job.priority, expectations, sla)


def _next_look(ports: Ports, job: Job, outcome: Outcome | None, expectations: Expectations, now: Ms) -> Timer | None:
    current = job if outcome is None else outcome.job
    if current is None or current.state not in OPEN:
        return None
    if outcome is not None and not outcome.applied:
        return Timer(now + 1, job.tenant, job.id, DEADLINES)
    at = next_look(current, expectations.of(current.tenant, current.name), _ahead(ports))
    return None if at is None else Timer(max(at, now + 1), job.tenant, job.id, DEADLINES)
