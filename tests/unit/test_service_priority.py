"""Exact priority: whenever a worker becomes free it starts the highest-ranked ready job of its lane."""

from __future__ import annotations

import random

from home import ADMIN, Home
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tidegate.domain.caller import Caller
from tidegate.execution.context import JobContext


def recorder() -> tuple[list[str], object]:
    started: list[str] = []

    def work(job: JobContext) -> None:
        started.append(job.id)

    return started, work


def test_jobs_start_in_exact_order_whatever_the_order_of_the_tickets(home: Home) -> None:
    """One worker, jobs of random priorities submitted while it is busy."""
    rng = random.Random(3)
    started, work = recorder()
    jobs = []
    for _ in range(60):
        jobs.append(home.submit(priority=rng.randint(0, 10)))
        home.clock.advance(rng.choice([0, 0.001, 1]))
    home.drain(home.runner(work=work))
    expected = [job.id for job in sorted(jobs, key=lambda job: (-job.priority, job.created_at))]
    assert [home.job(job_id).priority for job_id in started] == [home.job(job_id).priority for job_id in expected]
    assert started == expected


def test_a_critical_job_behind_a_thousand_low_ones_starts_next(home: Home) -> None:
    started, work = recorder()
    for _ in range(1_000):
        home.submit(priority=0)
    runner = home.runner(work=work)
    home.serve_one(runner)
    critical = home.submit(priority=10)
    home.serve_one(runner)
    assert started[1] == critical.id


def test_a_low_ticket_starts_the_critical_job(home: Home) -> None:
    """A ticket is a wake-up for its lane, not for its job: here the critical job's own ticket is lost."""
    started, work = recorder()
    low = home.submit(priority=0)
    delivery = home.receive()
    assert delivery is not None
    critical = home.submit(priority=10)
    lost = home.receive()
    assert lost is not None
    home.ports.tickets.finish([lost])
    home.runner(work=work).serve(delivery, home.acknowledge(delivery))
    assert started == [critical.id]
    assert home.job(low.id).state == "CREATED"


def test_one_tenant_never_holds_up_another(home: Home) -> None:
    """A lane is one tenant's part of one queue: foreign critical jobs do not outrank a tenant's own."""
    started, work = recorder()
    mine = home.submit(priority=0)
    delivery = home.receive()
    assert delivery is not None
    for _ in range(20):
        home.submit(priority=10, caller=Caller("other", "someone", ADMIN.scopes))
    home.runner(work=work).serve(delivery, home.acknowledge(delivery))
    assert started == [mine.id]


def test_a_delayed_job_gets_in_line_at_its_time(home: Home) -> None:
    """A job whose time has come is ranked with the others, not started because its ticket woke up."""
    started, work = recorder()
    delayed = home.submit(priority=3, start_after=home.clock.now() + 60_000)
    home.clock.advance(61)
    ticket = home.receive()
    assert ticket is not None
    better = home.submit(priority=9)
    lost = home.receive()
    assert lost is not None
    home.ports.tickets.finish([lost])
    runner = home.runner(work=work)
    runner.serve(ticket, home.acknowledge(ticket))
    assert started == [better.id]
    home.submit(priority=1)
    home.drain(runner)
    assert started == [better.id, delayed.id]


def test_a_changed_priority_moves_a_waiting_job_at_once(home: Home) -> None:
    from tidegate.service.control import reprioritise

    started, work = recorder()
    first, second = home.submit(priority=5), home.submit(priority=5)
    reprioritise(home.ports, ADMIN, second.id, 8)
    home.drain(home.runner(work=work))
    assert started == [second.id, first.id]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=25))
def test_whoever_becomes_free_takes_the_best(home: Home, steps: list[tuple[int, bool]]) -> None:
    """Submissions and a worker's turns in any order: each turn starts the best job that waits."""
    started, work = recorder()
    runner = home.runner(work=work)
    waiting: list[tuple[int, int, str]] = []
    home.drain(runner)
    started.clear()
    for priority, turn in steps:
        job = home.submit(priority=priority)
        waiting.append((-priority, job.created_at, job.id))
        home.clock.advance(0.001)
        if turn:
            home.serve_one(runner)
            best = min(waiting)
            waiting.remove(best)
            assert started[-1] == best[2]
    home.drain(runner)
    assert started[-len(waiting) :] == [job_id for _, _, job_id in sorted(waiting)] or not waiting
