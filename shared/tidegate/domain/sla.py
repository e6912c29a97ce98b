"""Deadlines: when they are missed, when they are at risk, and what is told of it."""

from __future__ import annotations

from typing import NamedTuple

from .errors import InvalidInput
from .job import OPEN, HardMiss, Job, Ms, Sla, State

_SHORT_NOTICE_MS = 900_000
"""At risk at the latest so long before the deadline, or when a tenth of the time given is left if that is less."""


class Deadlines(NamedTuple):
    """The soft and the hard deadline of a job, as far as it has them. One is missed once it is past."""

    soft: Ms | None = None
    hard: Ms | None = None

    @property
    def first(self) -> Ms | None:
        """The one to be met: the soft one, else the hard one."""
        return self.hard if self.soft is None else self.soft

    def missed_at(self, at: Ms) -> Sla:
        """What a job that is not done at this time has missed."""
        if self.hard is not None and at > self.hard:
            return Sla.HARD_MISSED
        return Sla.SOFT_MISSED if self.soft is not None and at > self.soft else Sla.NONE

    def told(self, before: Sla, after: Sla) -> tuple[Sla, ...]:
        """What there is to tell when a job comes from one standing to another; a risk only while nothing is missed."""
        risk = (Sla.AT_RISK,) if before < after is Sla.AT_RISK else ()
        missed = ((Sla.SOFT_MISSED, self.soft), (Sla.HARD_MISSED, self.hard))
        return (*risk, *(sla for sla, deadline in missed if deadline is not None and before < sla <= after))


NO_DEADLINES = Deadlines()


def check_order(deadlines: Deadlines) -> Deadlines:
    """The same deadlines; raises InvalidInput when the hard one comes first."""
    if deadlines.soft is not None and deadlines.hard is not None and deadlines.hard < deadlines.soft:
        raise InvalidInput.field("hard_sla", "must not be before soft_sla (which the queue may have given)")
    return deadlines


def deadlines(job: Job) -> Deadlines:
    """Those of a job."""
    return Deadlines(job.soft_sla, job.hard_sla)


def risk_at(first: Ms, created_at: Ms, expected_ms: int, started_at: Ms | None = None) -> Ms:
    """From when a job is at risk of missing its first deadline.

    Waiting: when it must start now to be done in time, `expected_ms` being how long jobs of its name usually take
    (0 where nothing is known). Running since `started_at`: when it takes longer than usual; if it began too late to
    be done in time, as one that waits. Never before it was made.
    """
    if started_at is not None and expected_ms and started_at + expected_ms <= first:
        return started_at + expected_ms
    notice = min(_SHORT_NOTICE_MS, (first - created_at) // 10)
    return max(created_at, first - max(notice, expected_ms))


def standing(job: Job, expected_ms: int, now: Ms, ahead: Ms = 0) -> Sla:
    """How an open job stands now. A risk is noticed `ahead` of its time (ms): before the miss, not with it."""
    missed = deadlines(job).missed_at(now)
    risk = _risk_of(job, expected_ms)
    return Sla.AT_RISK if missed is Sla.NONE and risk is not None and risk <= now + ahead else missed


def next_look(job: Job, expected_ms: int, ahead: Ms = 0) -> Ms | None:
    """When to look at an open job again, `ahead` as in `standing`; None when there is nothing left to be told."""
    soft = job.soft_sla if job.sla < Sla.SOFT_MISSED else None
    hard = job.hard_sla if job.sla < Sla.HARD_MISSED else None
    risk = _risk_of(job, expected_ms) if job.sla < Sla.AT_RISK else None
    times = (
        None if risk is None else risk - ahead,
        None if soft is None else soft + 1,
        None if hard is None else hard + 1,
    )
    return min((time for time in times if time is not None), default=None)


def is_stopped(job: Job, now: Ms) -> bool:
    """Whether an open job must not go on: its hard deadline is missed, for the first time, and that ends it."""
    counts = job.on_hard_miss is not HardMiss.ONLY_TELL and job.sla < Sla.HARD_MISSED
    return job.state in OPEN and counts and deadlines(job).missed_at(now) is Sla.HARD_MISSED


def _risk_of(job: Job, expected_ms: int) -> Ms | None:
    first = deadlines(job).first
    started_at = job.started_at if job.state is State.ACTIVE else None
    return None if first is None else risk_at(first, job.created_at, expected_ms, started_at)
