"""What jobs cost: noted on each, and summed by day and queue by the change feed, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tidegate_functions.changes.handler import batch_name
from tidegate_functions.changes.records import changes_in

from contract.limited import LAPSED, home_of
from home import ADMIN
from home import Home as Whole
from support.homes import Home, stream_records
from tidegate.adapters.sqlite.feed import SqliteFeed
from tidegate.adapters.sqlite.ports import open_database
from tidegate.domain.caller import Caller
from tidegate.domain.cost import dollars, estimated
from tidegate.domain.errors import Forbidden, InvalidInput
from tidegate.domain.job import State
from tidegate.domain.ticket import ticket_for
from tidegate.ports import JobKey
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.control import cancel, retry
from tidegate.service.costs import by_queue, costs, day_of, start_of
from tidegate.service.examine import examine
from tidegate.service.fares import cost_of_accepting, fare_of, prices
from tidegate.service.record_changes import STORED_COST, TOTALS, record_changes

ACCEPTING = cost_of_accepting()
Feed = Callable[[], None]


@pytest.fixture
def whole(home: Home) -> Whole:
    return home_of(home)


@pytest.fixture
def feed(home: Home, tmp_path: Path) -> Iterator[Feed]:
    """Counts all changes so far, from the first on, in one batch and then once more: as a stream that starts again."""
    database = open_database(tmp_path) if home.kind == "sqlite" else None
    done: list[str] = []

    def count() -> None:
        records = stream_records(home) if database is None else list(SqliteFeed(database).read(1_000))
        fresh = [record for record in records if record["eventID"] not in done]
        for _ in range(2):
            if fresh:
                record_changes(home.ports, batch_name(fresh), changes_in(fresh))
        done.extend(record["eventID"] for record in fresh)

    yield count
    if database is not None:
        database.close()


def works(whole: Whole, seconds: float) -> Any:
    return whole.runner(work=lambda _: whole.clock.advance(seconds), fail=lambda _: 1 / 0)


def test_a_job_costs_what_was_estimated_for_its_time(whole: Whole, feed: Feed) -> None:
    fare = fare_of(whole.ports)
    job = whole.submit(queue="default")
    assert whole.job(job.id).cost == ACCEPTING
    whole.drain(works(whole, 3))
    ended = whole.job(job.id)
    assert (ended.state, ended.cost) == (State.COMPLETED, ACCEPTING + fare.start + 3 * fare.second)
    assert dollars(ended.cost) == pytest.approx(estimated(prices(), 3_000, 512).dollars, abs=2e-9)
    feed()
    (today,) = costs(whole.ports, ADMIN, day_of(whole.clock.now()))
    assert today.queues == {"default": ended.cost}


def test_every_attempt_adds_its_start_and_its_time(whole: Whole, feed: Feed) -> None:
    fare = fare_of(whole.ports)
    job = whole.submit("fail", retry_limit=1, retry_delay=0)
    for _ in range(2):
        whole.drain(works(whole, 0))
        whole.clock.advance(2)
    assert whole.job(job.id).cost == ACCEPTING + 2 * fare.start
    retry(whole.ports, ADMIN, job.id)
    whole.drain(whole.runner(fail=lambda _: whole.clock.advance(3)))
    assert whole.job(job.id).cost == ACCEPTING + 3 * fare.start + 3 * fare.second
    feed()
    assert sum(day.total for day in costs(whole.ports, ADMIN)) == whole.job(job.id).cost


def test_a_lost_attempt_costs_the_time_until_its_lease_ended(whole: Whole, feed: Feed) -> None:
    fare = fare_of(whole.ports)
    job = whole.submit()
    ticket = ticket_for(job)
    assert isinstance(claim_for(whole.ports, ticket, "w-1", 10.0, receives=1), Claimed)
    whole.clock.advance(LAPSED + 500)
    again = claim_for(whole.ports, ticket, "w-2", 10.0, receives=2)
    assert isinstance(again, Claimed)
    assert again.job.cost == ACCEPTING + 2 * fare.start + 10 * fare.second
    feed()
    assert by_queue(costs(whole.ports, ADMIN)) == {"default": again.job.cost}


def test_machines_of_ones_own_are_not_paid_by_the_second(whole: Whole) -> None:
    own = whole.with_ports(own_memory=0)
    job = own.submit()
    own.drain(works(own, 1_000))
    start = fare_of(own.ports).start
    assert 0 < start < fare_of(whole.ports).start
    assert own.job(job.id).cost == ACCEPTING + start


def test_days_queues_and_tenants_are_apart_and_what_is_erased_was_spent(whole: Whole, feed: Feed) -> None:
    whole.submit("work", Caller("acme", "ann", frozenset({"submit"})))
    first = whole.submit()
    cancel(whole.ports, ADMIN, first.id)
    feed()
    start = start_of(day_of(whole.clock.now()))
    whole.clock.advance((start + 86_400_000 - whole.clock.now()) / 1000)
    second = whole.submit(webhook=None)
    assert whole.ports.jobs.erase_if_ended(JobKey("main", first.id))
    feed()
    days = costs(whole.ports, ADMIN, day_of(start))
    assert [day.queues for day in days] == [{"default": ACCEPTING}] * 2
    assert [day.day for day in days] == [day_of(start), day_of(whole.clock.now())]
    assert whole.ports.figures.read("main", TOTALS)[STORED_COST] == second.cost == ACCEPTING


def test_the_doctor_recounts_what_the_stored_jobs_have_cost(whole: Whole, feed: Feed) -> None:
    whole.submit()
    whole.drain(works(whole, 1))
    assert examine(whole.ports).counts["main", TOTALS][STORED_COST] > 0
    feed()
    assert examine(whole.ports).counts == {}


def test_the_days_asked_for_must_make_sense(whole: Whole) -> None:
    whole.clock.advance((start_of(date(2033, 6, 3)) - whole.clock.now()) / 1000)
    assert [day.day.day for day in costs(whole.ports, ADMIN)] == [1, 2, 3]
    assert len(costs(whole.ports, ADMIN, date(2033, 3, 4))) == 92
    with pytest.raises(InvalidInput, match="less than 92 days"):
        costs(whole.ports, ADMIN, date(2033, 3, 3))
    with pytest.raises(InvalidInput, match="must not be after"):
        costs(whole.ports, ADMIN, date(2033, 6, 4))
    with pytest.raises(Forbidden):
        costs(whole.ports, replace(ADMIN, scopes=frozenset({"submit"})))
