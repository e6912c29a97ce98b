"""Budgets: what a tenant has spent of them, the door that is shut once one is, and who is told."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import date, timedelta

from tidegate.domain.budget import WARN_AT, Period, Standing, day_of
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.change import Change
from tidegate.domain.errors import TidegateError, TooManyRequests
from tidegate.domain.events import BudgetEvent, budget_event
from tidegate.domain.job import Job, Ms
from tidegate.domain.tenant import Tenant
from tidegate.ports import Addition, Ports

from .costs import spent_on
from .door import but_for_known
from .policies import tenant_named
from .record_changes import hour_series

_EARLIER_SECONDS = 3_600.0
"""So long a process remembers what days that are long over have cost."""
TOLD = "budget#"
"""Before a month: the series that says when which level of which budget was told."""


def own_standings(ports: Ports, caller: Caller) -> list[Standing]:
    """How the caller's tenant stands to its budgets. Raises Forbidden."""
    caller.require(Scope.READ)
    return standings(ports, tenant_named(ports, caller.tenant), ports.now())


def standings(ports: Ports, tenant: Tenant, now: Ms, fresh: Collection[str] | None = None) -> list[Standing]:
    """How the tenant stands to each of its budgets; nothing is read where it has none.

    What was spent lately may be as old as policies are, or as old as the index of the store where `fresh` names
    the hourly series that have just been written.
    """
    today = day_of(now)
    return [
        Standing(
            period=period,
            first=period.first(today),
            ends_at=period.ends(today),
            spent=_spent(ports, tenant.name, period, today, fresh),
            budget=budget,
            warn_at=WARN_AT if tenant.budget_warn_at is None else tenant.budget_warn_at,
        )
        for period, budget in tenant.budgets.items()
    ]


def reached(ports: Ports, tenant: Tenant, now: Ms) -> Standing | None:
    """The budget that the tenant has reached, the one that is over last; None for none."""
    full = [each for each in standings(ports, tenant, now) if each.reached]
    return max(full, key=lambda each: each.ends_at, default=None)


def within_budget(
    ports: Ports, tenant: Tenant, made: Sequence[Job | TidegateError], now: Ms
) -> Sequence[Job | TidegateError]:
    """The same jobs, or TooManyRequests in their places where a budget of the tenant is spent.

    A job that was accepted before is let through in any case, to be answered as such.
    """
    full = reached(ports, tenant, now)
    if full is None:
        return made
    return but_for_known(ports, made, [job for job in made if isinstance(job, Job)], _refusal(tenant, full, now))


def check_budget(ports: Ports, tenant: Tenant, now: Ms) -> None:
    """Raises TooManyRequests where a budget of the tenant is spent."""
    full = reached(ports, tenant, now)
    if full is not None:
        raise _refusal(tenant, full, now)


def tell_budgets(ports: Ports, changes: Sequence[Change]) -> list[BudgetEvent]:
    """Announce each budget that comes to a level with these changes, which must be counted; answers what was told.

    Each level of a budget is told once in its period, and again after a crash that left it unnoted. Raises Unavailable.
    """
    hours: defaultdict[str, set[str]] = defaultdict(set)
    for change in changes:
        if change.state is not None and change.cost != change.old_cost:
            hours[change.tenant].add(hour_series(change.at))
    told: list[BudgetEvent] = []
    now = ports.now()
    for name, fresh in hours.items():
        for standing in standings(ports, tenant_named(ports, name), now, fresh):
            told += _told(ports, name, standing, now)
    return told


def _told(ports: Ports, name: str, standing: Standing, now: Ms) -> list[BudgetEvent]:
    if not standing.levels:
        return []
    series = f"{TOLD}{standing.first:%Y-%m}"
    known = ports.figures.read(name, series)
    events = [budget_event(name, standing, level, now) for level in standing.levels]
    fresh = [event for event in events if event.id not in known]
    if fresh:
        ports.events.publish(fresh)
        noted = {event.id: now for event in fresh}
        ports.figures.add_once("#".join(noted), [Addition(name, series, {}, noted)])
    return fresh


def _spent(ports: Ports, tenant: str, period: Period, today: date, fresh: Collection[str] | None) -> int:
    """In nano-dollars. Of a month, what was spent before yesterday is remembered, for it hardly changes."""
    first, yesterday = period.first(today), today - timedelta(days=1)
    lately = max(first, yesterday)
    earlier = 0
    if first < lately:
        earlier = ports.remember(
            ("spent", tenant, first, lately),
            _EARLIER_SECONDS,
            lambda: _sum(ports, tenant, first, lately - timedelta(days=1)),
        )
    if fresh is not None:
        return earlier + _sum(ports, tenant, lately, today, fresh)
    key = ("spent lately", tenant, lately, today)
    return earlier + ports.remember(key, ports.policy_seconds, lambda: _sum(ports, tenant, lately, today))


def _sum(ports: Ports, tenant: str, first: date, last: date, fresh: Collection[str] = ()) -> int:
    return sum(day.total for day in spent_on(ports, tenant, first, last, fresh))


def _refusal(tenant: Tenant, full: Standing, now: Ms) -> TooManyRequests:
    return TooManyRequests(
        f"tenant '{tenant.name}' has spent {full.told}: nothing more is accepted until that is over",
        reason="budget",
        period=full.period.value,
        retry_after=max(1, math.ceil((full.ends_at - now) / 1000)),
    )
