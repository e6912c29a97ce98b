"""The gates of limits: slots of the tenant, of the queue, of a key; starts in a window of time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tidegate.domain.budget import Standing
from tidegate.domain.cost import dollars
from tidegate.domain.job import Job, Json, Ms
from tidegate.domain.words import duration, shortened

from .gate import NAMED, Gate, GateName


@dataclass(frozen=True, slots=True)
class SlotsUse:
    """So many slots there are, and the jobs that hold one; for a key also how many jobs rank before it in waiting."""

    limit: int
    holders: tuple[str, ...]
    before: int = 0
    exact: bool = True

    @property
    def full(self) -> bool:
        """Whether no slot is free."""
        return len(self.holders) >= self.limit


@dataclass(frozen=True, slots=True)
class RateUse:
    """So many starts are allowed in each window of so many milliseconds, so many were made in the present one."""

    limit: int
    taken: int
    period: str
    ends_at: Ms

    @property
    def full(self) -> bool:
        """Whether the window has no start left."""
        return self.taken >= self.limit


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits that a queue and its tenant have; None where they have none."""

    slots: SlotsUse | None = None
    key: SlotsUse | None = None
    rate: RateUse | None = None
    tenant: SlotsUse | None = None
    budgets: tuple[Standing, ...] = ()


def limited(job: Job, limits: Limits, now: Ms) -> Iterator[Gate]:
    """A gate for each limit of the job's tenant and queue."""
    for standing in limits.budgets:
        yield _budget(job, standing)
    if limits.tenant is not None:
        yield _tenant(job, limits.tenant)
    if limits.slots is not None:
        yield _slots(job, limits.slots)
    if limits.key is not None:
        yield _key(job, limits.key)
    if limits.rate is not None:
        yield _rate(job, limits.rate, now)


def _budget(job: Job, standing: Standing) -> Gate:
    """It holds no job that was accepted; who reads why a later one was refused finds it here."""
    facts: dict[str, Json] = {
        "tenant": job.tenant,
        "period": standing.period.value,
        "dollars": dollars(standing.spent),
        "budget": dollars(standing.budget),
        "reached": standing.reached,
        "period_ends_at": standing.ends_at,
    }
    message = f"its tenant has spent {standing.told}"
    if standing.reached:
        message += "; it was accepted before and runs, others are refused"
    return Gate(GateName.BUDGET, False, message, facts)


def _tenant(job: Job, slots: SlotsUse) -> Gate:
    facts: dict[str, Json] = {"tenant": job.tenant, **_use(slots)}
    taken = f"{len(slots.holders):,} of the {slots.limit:,} jobs that its tenant may run at once run"
    return Gate(GateName.TENANT, slots.full, taken, facts)


def _slots(job: Job, slots: SlotsUse) -> Gate:
    facts: dict[str, Json] = {"queue": job.queue, **_use(slots)}
    taken = f"{len(slots.holders):,} of the {slots.limit:,} slots of its queue '{job.queue}' are taken"
    return Gate(GateName.SLOTS, slots.full, taken, facts)


def _key(job: Job, slots: SlotsUse) -> Gate:
    facts: dict[str, Json] = {
        "queue": job.queue,
        "concurrency_key": job.concurrency_key,
        **_use(slots),
        "before": slots.before,
        "exact": slots.exact,
    }
    key = shortened(job.concurrency_key or "")
    message = f"{len(slots.holders):,} of the {slots.limit:,} jobs that may run with its concurrency key '{key}' run"
    if slots.full and slots.before:
        message += f", and {slots.before:,}{'' if slots.exact else ' or more'} with that key wait before it"
    return Gate(GateName.KEY, slots.full, message, facts)


def _rate(job: Job, rate: RateUse, now: Ms) -> Gate:
    facts: dict[str, Json] = {
        "queue": job.queue,
        "limit": rate.limit,
        "period": rate.period,
        "taken": rate.taken,
        "window_ends_at": rate.ends_at,
    }
    message = f"{rate.taken:,} of the {rate.limit:,} starts that its queue '{job.queue}' may make in a {rate.period}"
    message += f" were made; the next {rate.period} begins in {duration(rate.ends_at - now)}"
    return Gate(GateName.RATE, rate.full, message, facts)


def _use(slots: SlotsUse) -> dict[str, Json]:
    return {"limit": slots.limit, "taken": len(slots.holders), "holders": list(slots.holders[:NAMED])}
