"""Budgets in both homes: when they are told, what they shut out, and what goes on nevertheless."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from typing import Any

import pytest

from contract.conftest import Feed
from home import ADMIN, Home
from tidegate.domain.budget import Level, Period, amount, day_of, start_of
from tidegate.domain.caller import Caller
from tidegate.domain.cost import dollars
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import TooManyRequests
from tidegate.domain.events import AnyEvent, BudgetEvent, body_of
from tidegate.domain.job import State
from tidegate.domain.schedule import Fate, JobTemplate
from tidegate.domain.spec import JobSpec
from tidegate.domain.why.gate import GateName
from tidegate.ports import JobQuery
from tidegate.service.budgets import own_standings, tell_budgets
from tidegate.service.fares import cost_of_accepting
from tidegate.service.runs import submit_dag
from tidegate.service.schedules import backfill_schedule, create_schedule, get_schedule
from tidegate.service.submit import Submitted, submit
from tidegate.service.tenants import change_tenant, get_tenant
from tidegate.service.why import why

JOB = dollars(cost_of_accepting())
"""Dollars that a job costs which never starts."""
OTHER = Caller("zeta", "eve", frozenset({"submit"}))
DAY_MS = 86_400_000


class Bus:
    """Keeps what is announced."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    def publish(self, events: Sequence[AnyEvent]) -> None:
        self.events.extend(events)


@pytest.fixture
def bus() -> Bus:
    return Bus()


@pytest.fixture
def spender(either: Home, bus: Bus) -> Home:
    return either.with_ports(events=bus, clock_seconds=1.0)


@pytest.fixture
def told(spender: Home, bus: Bus, feed: Feed) -> Callable[[], list[str]]:
    """Lets the change feed do its part; answers what it told of budgets since the last time."""

    def tell() -> list[str]:
        before = len(bus.events)
        tell_budgets(spender.ports, feed())
        return [event.type for event in bus.events[before:]]

    return tell


def outcomes(home: Home, count: int = 1, caller: Caller = ADMIN, **fields: Any) -> list[str]:
    found = submit(home.ports, caller, [JobSpec(name="work", **fields) for _ in range(count)])
    return ["ok" if isinstance(each, Submitted) else each.code for each in found]


def test_a_budget_warns_once_then_shuts_the_door_until_the_day_is_over(
    spender: Home, bus: Bus, told: Callable[[], list[str]]
) -> None:
    change_tenant(spender.ports, ADMIN, {"daily_budget": 10 * JOB})
    assert outcomes(spender, 7) == ["ok"] * 7
    assert told() == []
    outcomes(spender)
    assert told() == ["budget.warned"]
    outcomes(spender)
    assert told() == []
    assert outcomes(spender, 2) == ["ok", "ok"]
    assert told() == ["budget.reached"]
    (refusal,) = submit(spender.ports, ADMIN, [JobSpec(name="work")])
    assert isinstance(refusal, TooManyRequests)
    ends = start_of(day_of(spender.clock.now())) + DAY_MS
    seconds = -(-(ends - spender.clock.now()) // 1000)
    assert dict(refusal.details) == {"reason": "budget", "period": "day", "retry_after": seconds}
    spent = f"{amount(11 * cost_of_accepting())} of the {amount(10 * cost_of_accepting())}"
    assert refusal.message.startswith(f"tenant 'main' has spent {spent} that it may spend in a day: nothing more is")
    assert outcomes(spender, caller=OTHER) == ["ok"]
    assert told() == []
    spender.clock.advance(seconds)
    assert outcomes(spender, 8) == ["ok"] * 8
    assert told() == ["budget.warned"]
    assert len({event.id for event in bus.events if isinstance(event, BudgetEvent)}) == len(bus.events) == 3
    (*_, last) = bus.events
    assert isinstance(last, BudgetEvent)
    assert body_of(last)["budget"] == {
        "period": "day",
        "from": day_of(spender.clock.now()).isoformat(),
        "until": f"{day_of(ends + DAY_MS).isoformat()}T00:00:00.000Z",
        "dollars": pytest.approx(8 * JOB),
        "budget": pytest.approx(10 * JOB),
    }


def test_a_month_goes_on_over_its_days_and_a_raised_budget_opens_the_door(
    spender: Home, told: Callable[[], list[str]]
) -> None:
    change_tenant(spender.ports, ADMIN, {"monthly_budget": 3 * JOB, "budget_warn_at": 0.5})
    outcomes(spender)
    assert told() == []
    spender.clock.advance(3 * 86_400)
    outcomes(spender, 2)
    assert told() == ["budget.warned", "budget.reached"]
    assert outcomes(spender) == ["TOO_MANY_REQUESTS"]
    _, use = get_tenant(spender.ports, ADMIN)
    assert use.spent_in_day is None
    assert use.spent_in_month == pytest.approx(3 * JOB)
    change_tenant(spender.ports, ADMIN, {"monthly_budget": 5 * JOB})
    assert outcomes(spender) == ["ok"]
    assert told() == ["budget.warned"]
    change_tenant(spender.ports, ADMIN, {"monthly_budget": None, "daily_budget": 4 * JOB})
    assert [(each.period, each.reached) for each in own_standings(spender.ports, ADMIN)] == [(Period.DAY, False)]


def test_what_was_accepted_runs_and_why_tells_of_the_budget(spender: Home, told: Callable[[], list[str]]) -> None:
    change_tenant(spender.ports, ADMIN, {"daily_budget": JOB})
    job = spender.submit("work", job_id="mine")
    assert told() == ["budget.warned", "budget.reached"]
    gates = {gate.name: gate for gate in why(spender.ports, ADMIN, job.id).gates}
    assert not gates[GateName.BUDGET].holds
    assert gates[GateName.BUDGET].facts["reached"] is True
    assert "it was accepted before and runs, others are refused" in gates[GateName.BUDGET].message
    assert outcomes(spender, job_id="mine") == ["ok"], "the same request again"
    spender.drain(spender.runner(work=lambda _: None))
    assert spender.job(job.id).state is State.COMPLETED


def test_runs_and_schedules_are_shut_out_too_and_the_schedule_says_so(
    spender: Home, told: Callable[[], list[str]]
) -> None:
    change_tenant(spender.ports, ADMIN, {"daily_budget": JOB})
    job = JobTemplate(name="work")
    create_schedule(spender.ports, ADMIN, name="s", expression="every 10s", job=job)
    outcomes(spender)
    told()
    with pytest.raises(TooManyRequests, match="nothing more is accepted"):
        submit_dag(spender.ports, ADMIN, DagSpec(name="run", nodes=(NodeSpec(id="a", job={"name": "work"}),)), {})
    start = spender.clock.now()
    for _ in range(4):
        spender.clock.advance(10)
        spender.tick(1)
    schedule = get_schedule(spender.ports, ADMIN, "s")
    assert [firing.fate for firing in schedule.recent] == [Fate.REFUSED] * 4
    assert "it may spend in a day" in str(schedule.last_error)
    begun, count = backfill_schedule(spender.ports, ADMIN, "s", start, spender.clock.now() - 1, 60)
    assert (count, begun.backfill is not None) == (3, True)
    spender.tick(1)
    waiting = get_schedule(spender.ports, ADMIN, "s").backfill
    assert waiting is not None
    assert waiting.made == 0
    change_tenant(spender.ports, ADMIN, {"daily_budget": None})
    spender.clock.advance(10)
    spender.tick(1)
    after = get_schedule(spender.ports, ADMIN, "s")
    assert (after.backfill, after.fired, after.last_error) == (None, 1, None)
    assert len(spender.ports.jobs.page(JobQuery(tenant="main", limit=50)).jobs) == 1 + 3 + 1


def test_periods_end_where_days_and_months_of_utc_do() -> None:
    leap, last = date(2032, 2, 29), date(2033, 12, 31)
    assert (Period.DAY.first(leap), Period.MONTH.first(leap)) == (leap, date(2032, 2, 1))
    assert Period.DAY.ends(leap) == Period.MONTH.ends(leap) == start_of(date(2032, 3, 1))
    assert Period.MONTH.ends(date(2033, 1, 31)) == start_of(date(2033, 2, 1))
    assert Period.MONTH.ends(last) == Period.DAY.ends(last) == start_of(date(2034, 1, 1))
    assert list(Level) == ["warned", "reached"]
