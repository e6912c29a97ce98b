"""However much one tenant has waiting, another's first job is among the next to start."""

from __future__ import annotations

import sqlite3

import pytest

from home import Home
from tidegate.domain.caller import Caller
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.service.claim_lanes import Wanted, claim_of_queues
from tidegate.service.submit import submit

NOISY, QUIET = (Caller(tenant, "u", frozenset({"submit"})) for tenant in ("noisy", "quiet"))
MANY = 500


def flood(home: Home, tenant: str = "noisy", count: int = MANY, priority: int = 5) -> None:
    caller = Caller(tenant, "u", frozenset({"submit"}))
    for _ in range(count // 100):
        submit(home.ports, caller, [JobSpec(name="work", priority=priority, data=tenant)] * 100)


def started_before(home: Home, wanted: str) -> int:
    """How many other jobs were started before the first of a tenant."""
    order: list[str] = []

    def work(job: JobContext) -> None:
        order.append(job.data)

    runner = home.runner(work=work)
    while wanted not in order:
        assert home.serve_one(runner) is not None
    return len(order) - 1


@pytest.mark.parametrize("names", [("noisy", "quiet"), ("zz-noisy", "quiet")], ids=["before", "after"])
@pytest.mark.parametrize("priority", [5, 10], ids=["as urgent", "more urgent"])
def test_the_first_job_of_a_tenant_is_next_whatever_another_has_waiting(
    home: Home, names: tuple[str, str], priority: int
) -> None:
    flood(home, names[0], priority=priority)
    home.submit("work", QUIET, data="quiet")
    assert started_before(home, "quiet") <= 1


def test_it_is_so_in_the_middle_of_the_flood_too(home: Home) -> None:
    flood(home)
    runner = home.runner(work=lambda job: None)
    for _ in range(40):
        home.serve_one(runner)
    home.submit("work", QUIET, data="quiet")
    assert started_before(home, "quiet") <= 1


def test_every_one_of_many_tenants_gets_its_turn(home: Home) -> None:
    flood(home)
    tenants = [f"t{number:02d}" for number in range(20)]
    for tenant in tenants:
        home.submit("work", Caller(tenant, "u", frozenset({"submit"})), data=tenant)
    order: list[str] = []
    runner = home.runner(work=lambda job: order.append(job.data))
    for _ in range(21):
        home.serve_one(runner)
    assert sorted(order) == sorted([*tenants, "noisy"])


def test_a_tenants_own_jobs_keep_their_order_of_priority(home: Home) -> None:
    for priority in (0, 5, 10, 8):
        home.submit("work", QUIET, priority=priority, data=priority)
    order: list[int] = []
    home.drain(home.runner(work=lambda job: order.append(job.data)))
    assert order == [10, 8, 5, 0]


def test_tickets_that_are_taken_or_delayed_hold_up_nobodys_turn(home: Home) -> None:
    home.submit("work", NOISY, start_after=home.clock.now() + 60_000)
    home.submit("work", QUIET, data="quiet")
    taken = home.receive()
    assert taken is not None
    home.submit("work", QUIET, data="quiet")
    again = home.receive()
    assert again is not None
    assert '"quiet"' in again.body
    assert home.receive() is None


def test_workers_that_take_no_tickets_draw_lots_between_tenants(home: Home) -> None:
    flood(home, count=100)
    wanted = Wanted(worker_id="w", pool="default", queues=frozenset({"default"}), lease_seconds=10)
    waits = []
    for _ in range(20):
        home.submit("work", QUIET, data="quiet")
        waited = 0
        while claim_of_queues(home.ports, wanted, 1)[0].tenant != "quiet":
            waited += 1
        waits.append(waited)
    assert sum(waits) / len(waits) < 3
    assert max(waits) < 20


def test_a_look_for_the_next_ticket_reads_no_more_where_more_wait(
    home: Home,
) -> None:
    """SQLite's own count of the steps of its programs: it grows with the depth of an index, not with the flood."""

    def steps_of_a_receive() -> int:
        database = home.ports.tickets._database  # type: ignore[attr-defined]
        connection: sqlite3.Connection = database._connection()
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        connection.set_progress_handler(count, 1)
        delivery = home.receive()
        connection.set_progress_handler(None, 0)
        assert delivery is not None
        home.ports.tickets.again(delivery, 0)
        return steps

    flood(home, count=100)
    home.submit("work", QUIET, data="quiet")
    few = max(steps_of_a_receive() for _ in range(4))
    flood(home, count=5_000)
    many = max(steps_of_a_receive() for _ in range(4))
    assert many <= few * 1.1
