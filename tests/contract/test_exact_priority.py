"""Exact priority: whenever a worker becomes free it starts the highest-ranked ready job of its lane."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from home import ADMIN, Home
from support.homes import Home as Stores
from tidegate.domain.caller import Caller
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.runtime import App
from tidegate.service.control import reprioritise
from tidegate.service.submit import submit
from tidegate.settings import Settings


@pytest.fixture
def exact(home: Stores) -> Home:
    """Either home, with the services on top."""
    return Home(App(home.ports, Settings(pools={key: {} for key in home.ports.pools})), home.clock)


def recorder() -> tuple[list[str], Callable[[JobContext], None]]:
    started: list[str] = []

    def work(job: JobContext) -> None:
        started.append(job.id)

    return started, work


def test_jobs_start_in_exact_order_whatever_the_order_of_the_tickets(exact: Home) -> None:
    """One worker, jobs of random priorities submitted while it is busy."""
    rng = random.Random(3)
    started, work = recorder()
    jobs = []
    for _ in range(60):
        jobs.append(exact.submit(priority=rng.randint(0, 10)))
        exact.clock.advance(rng.choice([0, 0.001, 1]))
    exact.drain(exact.runner(work=work))
    expected = [job.id for job in sorted(jobs, key=lambda job: (-job.priority, job.created_at))]
    assert [exact.job(job_id).priority for job_id in started] == [exact.job(job_id).priority for job_id in expected]
    assert started == expected


def test_a_critical_job_behind_a_thousand_low_ones_starts_next(exact: Home) -> None:
    started, work = recorder()
    for _ in range(10):
        submit(exact.ports, ADMIN, [JobSpec(name="work", priority=0) for _ in range(100)])
    runner = exact.runner(work=work)
    exact.serve_one(runner)
    critical = exact.submit(priority=10)
    exact.serve_one(runner)
    assert started[1] == critical.id


def test_a_low_ticket_starts_the_critical_job(exact: Home) -> None:
    """A ticket is a wake-up for its lane, not for its job: here the critical job's own ticket is lost."""
    started, work = recorder()
    low = exact.submit(priority=0)
    delivery = exact.receive()
    assert delivery is not None
    critical = exact.submit(priority=10)
    lost = exact.receive()
    assert lost is not None
    exact.ports.tickets.finish([lost])
    exact.runner(work=work).serve(delivery, exact.acknowledge(delivery))
    assert started == [critical.id]
    assert exact.job(low.id).state == "CREATED"


def test_one_tenant_never_holds_up_another(exact: Home) -> None:
    """A lane is one tenant's part of one queue: foreign critical jobs do not outrank a tenant's own."""
    started, work = recorder()
    mine = exact.submit(priority=0)
    delivery = exact.receive()
    assert delivery is not None
    for _ in range(20):
        exact.submit(priority=10, caller=Caller("other", "someone", ADMIN.scopes))
    exact.runner(work=work).serve(delivery, exact.acknowledge(delivery))
    assert started == [mine.id]


def test_a_delayed_job_gets_in_line_at_its_time(exact: Home) -> None:
    """A job whose time has come is ranked with the others, not started because its ticket woke up."""
    started, work = recorder()
    delayed = exact.submit(priority=3, start_after=exact.clock.now() + 60_000)
    exact.clock.advance(61)
    ticket = exact.receive()
    assert ticket is not None
    better = exact.submit(priority=9)
    lost = exact.receive()
    assert lost is not None
    exact.ports.tickets.finish([lost])
    runner = exact.runner(work=work)
    runner.serve(ticket, exact.acknowledge(ticket))
    assert started == [better.id]
    exact.submit(priority=1)
    exact.drain(runner)
    assert started == [better.id, delayed.id]


def test_a_changed_priority_moves_a_waiting_job_at_once(exact: Home) -> None:
    started, work = recorder()
    first, second = exact.submit(priority=5), exact.submit(priority=5)
    reprioritise(exact.ports, ADMIN, second.id, 8)
    exact.drain(exact.runner(work=work))
    assert started == [second.id, first.id]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=25))
def test_whoever_becomes_free_takes_the_best(exact: Home, steps: list[tuple[int, bool]]) -> None:
    """Submissions and a worker's turns in any order: each turn starts the best job that waits."""
    started, work = recorder()
    runner = exact.runner(work=work)
    waiting: list[tuple[int, int, str]] = []
    exact.drain(runner)
    started.clear()
    for priority, turn in steps:
        job = exact.submit(priority=priority)
        waiting.append((-priority, job.created_at, job.id))
        exact.clock.advance(0.001)
        if turn:
            exact.serve_one(runner)
            best = min(waiting)
            waiting.remove(best)
            assert started[-1] == best[2]
    exact.drain(runner)
    assert started[-len(waiting) :] == [job_id for _, _, job_id in sorted(waiting)] or not waiting
