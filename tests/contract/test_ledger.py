"""What jobs cost: noted on each, and summed by day and queue by the change feed, exactly once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from contract.conftest import Feed
from contract.limited import LAPSED
from home import ADMIN
from home import Home as Whole
from tidegate.domain.budget import day_of, start_of
from tidegate.domain.caller import Caller
from tidegate.domain.cost import dollars, estimated
from tidegate.domain.errors import Forbidden, InvalidInput
from tidegate.domain.job import State
from tidegate.domain.ticket import ticket_for
from tidegate.ports import JobKey
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.control import cancel, retry
from tidegate.service.costs import by_queue, costs
from tidegate.service.examine import examine
from tidegate.service.fares import cost_of_accepting, fare_of, prices
from tidegate.service.record_changes import STORED_COST, TOTALS

ACCEPTING = cost_of_accepting()


def works(either: Whole, seconds: float) -> Any:
    return either.runner(work=lambda _: either.clock.advance(seconds), fail=lambda _: 1 / 0)


def test_a_job_costs_what_was_estimated_for_its_time(either: Whole, feed: Feed) -> None:
    fare = fare_of(either.ports)
    job = either.submit(queue="default")
    assert either.job(job.id).cost == ACCEPTING
    either.drain(works(either, 3))
    ended = either.job(job.id)
    assert (ended.state, ended.cost) == (State.COMPLETED, ACCEPTING + fare.start + 3 * fare.second)
    assert dollars(ended.cost) == pytest.approx(estimated(prices(), 3_000, 512).dollars, abs=2e-9)
    feed()
    (today,) = costs(either.ports, ADMIN, day_of(either.clock.now()))
    assert today.queues == {"default": ended.cost}


def test_every_attempt_adds_its_start_and_its_time(either: Whole, feed: Feed) -> None:
    fare = fare_of(either.ports)
    job = either.submit("fail", retry_limit=1, retry_delay=0)
    for _ in range(2):
        either.drain(works(either, 0))
        either.clock.advance(2)
    assert either.job(job.id).cost == ACCEPTING + 2 * fare.start
    retry(either.ports, ADMIN, job.id)
    either.drain(either.runner(fail=lambda _: either.clock.advance(3)))
    assert either.job(job.id).cost == ACCEPTING + 3 * fare.start + 3 * fare.second
    feed()
    assert sum(day.total for day in costs(either.ports, ADMIN)) == either.job(job.id).cost


def test_a_lost_attempt_costs_the_time_until_its_lease_ended(either: Whole, feed: Feed) -> None:
    fare = fare_of(either.ports)
    job = either.submit()
    ticket = ticket_for(job)
    assert isinstance(claim_for(either.ports, ticket, "w-1", 10.0, receives=1), Claimed)
    either.clock.advance(LAPSED + 500)
    again = claim_for(either.ports, ticket, "w-2", 10.0, receives=2)
    assert isinstance(again, Claimed)
    assert again.job.cost == ACCEPTING + 2 * fare.start + 10 * fare.second
    feed()
    assert by_queue(costs(either.ports, ADMIN)) == {"default": again.job.cost}


def test_machines_of_ones_own_are_not_paid_by_the_second(either: Whole) -> None:
    own = either.with_ports(own_memory=0)
    job = own.submit()
    own.drain(works(own, 1_000))
    start = fare_of(own.ports).start
    assert 0 < start < fare_of(either.ports).start
    assert own.job(job.id).cost == ACCEPTING + start


def test_days_queues_and_tenants_are_apart_and_what_is_erased_was_spent(either: Whole, feed: Feed) -> None:
    either.submit("work", Caller("acme", "ann", frozenset({"submit"})))
    first = either.submit()
    cancel(either.ports, ADMIN, first.id)
    feed()
    start = start_of(day_of(either.clock.now()))
    either.clock.advance((start + 86_400_000 - either.clock.now()) / 1000)
    second = either.submit(webhook=None)
    assert either.ports.jobs.erase_if_ended(JobKey("main", first.id))
    feed()
    days = costs(either.ports, ADMIN, day_of(start))
    assert [day.queues for day in days] == [{"default": ACCEPTING}] * 2
    assert [day.day for day in days] == [day_of(start), day_of(either.clock.now())]
    assert either.ports.figures.read("main", TOTALS)[STORED_COST] == second.cost == ACCEPTING


def test_the_doctor_recounts_what_the_stored_jobs_have_cost(either: Whole, feed: Feed) -> None:
    either.submit()
    either.drain(works(either, 1))
    assert examine(either.ports).counts["main", TOTALS][STORED_COST] > 0
    feed()
    assert examine(either.ports).counts == {}


def test_the_days_asked_for_must_make_sense(either: Whole) -> None:
    either.clock.advance((start_of(date(2033, 6, 3)) - either.clock.now()) / 1000)
    assert [day.day.day for day in costs(either.ports, ADMIN)] == [1, 2, 3]
    assert len(costs(either.ports, ADMIN, date(2033, 3, 4))) == 92
    with pytest.raises(InvalidInput, match="less than 92 days"):
        costs(either.ports, ADMIN, date(2033, 3, 3))
    with pytest.raises(InvalidInput, match="must not be after"):
        costs(either.ports, ADMIN, date(2033, 6, 4))
    with pytest.raises(Forbidden):
        costs(either.ports, replace(ADMIN, scopes=frozenset({"submit"})))
