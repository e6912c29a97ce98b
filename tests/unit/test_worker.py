"""`tidegate worker` inside: its threads, filters, limits and its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from home import ADMIN, Clock, Home, RealClock, executors
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.execution.context import JobContext
from tidegate.execution.presence import Presence, describe
from tidegate.execution.runner import Runner
from tidegate.ports import Worker
from tidegate.service.claim_lanes import Wanted
from tidegate.service.workers import list_workers
from tidegate.worker.budget import Budget
from tidegate.worker.claims import ClaimLoop, LaneSource
from tidegate.worker.crew import Crew
from tidegate.worker.options import WorkerOptions
from tidegate.worker.pull import PullLoop

QUICK = 0.01


@pytest.fixture
def clock() -> Clock:
    return RealClock()


def run_all(home: Home, loops: list[PullLoop]) -> None:
    """Run loops on threads until they end."""

    def work(loop: PullLoop) -> None:
        loop.run()
        home.close()

    threads = [threading.Thread(target=work, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def states(home: Home, jobs: list[Job]) -> list[State]:
    return [home.job(job.id).state for job in jobs]


# The budget.


def test_a_budget_without_a_limit_grants_all() -> None:
    budget = Budget(None)
    assert (budget.reserve(10), budget.reserve(10), budget.is_spent) == (10, 10, False)


def test_a_budget_is_spent_exactly() -> None:
    budget = Budget(3)
    assert (budget.reserve(2), budget.reserve(10), budget.reserve(1)) == (2, 1, 0)
    budget.spend()
    budget.release(1)
    assert (budget.reserve(5), budget.spent, budget.is_spent) == (1, 1, False)
    budget.spend()
    budget.spend()
    assert (budget.reserve(1), budget.is_spent) == (0, True)


@pytest.mark.parametrize("limit", [1, 7, 20])
def test_max_jobs_is_exact_over_threads_that_take_tickets(home: Home, limit: int) -> None:
    jobs = [home.submit() for _ in range(20)]
    options = WorkerOptions(max_jobs=limit, poll_interval=0.05)
    budget = Budget(limit)
    runners = [home.runner(f"w-{number}", work=lambda job: time.sleep(0.005)) for number in range(4)]
    run_all(home, [PullLoop(home.app, runner, options, budget) for runner in runners])
    assert states(home, jobs).count(State.COMPLETED) == limit == budget.spent
    assert states(home, jobs).count(State.CREATED) == 20 - limit
    assert all(home.job(job.id).attempt <= 1 for job in jobs)


def test_threads_run_jobs_at_once(home: Home) -> None:
    meeting = threading.Barrier(3, timeout=10)
    jobs = [home.submit() for _ in range(3)]
    options, budget = WorkerOptions(max_jobs=3, poll_interval=0.05), Budget(3)
    runners = [home.runner(f"w-{number}", work=lambda job: meeting.wait()) for number in range(3)]
    run_all(home, [PullLoop(home.app, runner, options, budget) for runner in runners])
    assert states(home, jobs) == [State.COMPLETED] * 3


@pytest.mark.parametrize("concurrency", [0, 257])
def test_concurrency_has_bounds(concurrency: int) -> None:
    with pytest.raises(InvalidInput):
        WorkerOptions(concurrency=concurrency)


# Workers of some queues.


def lane_loop(home: Home, budget: Budget, threads: int = 1, **functions: Callable[[JobContext], Any]) -> ClaimLoop:
    wanted = Wanted(worker_id="w-1", pool="default", queues=frozenset({"mine"}), lease_seconds=10)
    runners = [home.runner("w-1", **functions) for _ in range(threads)]
    return ClaimLoop(LaneSource(home.ports, wanted, QUICK, QUICK), runners, budget, home.close)


@pytest.fixture
def queues(home: Home) -> Home:
    for name in ("mine", "other"):
        home.ports.queues.put_if_unchanged(Queue(tenant="main", name=name), None)
    return home


@pytest.mark.parametrize("threads", [1, 3])
def test_only_jobs_of_the_queue_are_run_and_no_ticket_is_touched(queues: Home, threads: int) -> None:
    """Even behind a thousand better tickets of another queue."""
    home = queues
    others = [home.submit(queue="other", priority=10) for _ in range(100)]
    mine = [home.submit(queue="mine", priority=0) for _ in range(9)]
    budget = Budget(9)
    assert lane_loop(home, budget, threads, work=lambda job: job.id).run() == 9
    assert states(home, mine) == [State.COMPLETED] * 9
    assert set(states(home, others)) == {State.CREATED}
    deliveries = [each for _ in range(20) for each in home.ports.tickets.receive("default", 10, 0)]
    assert len(deliveries) == 109
    assert {each.receives for each in deliveries} == {1}


def test_a_failing_job_is_retried_by_a_worker_of_its_queue(queues: Home) -> None:
    job = queues.submit(queue="mine", retry_delay=0.2)
    tries: list[int] = []

    def work(context: JobContext) -> str:
        tries.append(context.attempt)
        if context.attempt == 1:
            raise ValueError("not yet")
        return "at last"

    lane_loop(queues, Budget(2), work=work).run()
    assert tries == [1, 2]
    assert queues.job(job.id).result == "at last"


def test_a_stop_lets_running_jobs_finish_and_starts_no_other(queues: Home) -> None:
    jobs = [queues.submit(queue="mine") for _ in range(6)]
    started, go_on = threading.Semaphore(0), threading.Event()

    def work(context: JobContext) -> str:
        started.release()
        assert go_on.wait(10)
        return "done"

    loop = lane_loop(queues, Budget(None), 2, work=work)

    def run() -> None:
        loop.run()
        queues.close()

    running = threading.Thread(target=run)
    running.start()
    assert started.acquire(timeout=5)
    assert started.acquire(timeout=5)
    loop.stop()
    go_on.set()
    running.join(10)
    assert not running.is_alive()
    assert sorted(states(queues, jobs)) == sorted([State.COMPLETED] * 2 + [State.CREATED] * 4)


def test_a_job_claimed_while_a_stop_came_is_given_back_unharmed(queues: Home) -> None:
    job = queues.submit(queue="mine")
    loop = lane_loop(queues, Budget(None), work=lambda context: "ran")
    claim = loop._source.claim

    def stop_meanwhile(limit: int) -> Any:
        loop.stop()
        return claim(limit)

    loop._source.claim = stop_meanwhile  # type: ignore[method-assign]
    loop.run()
    back = queues.job(job.id)
    assert (back.state, back.retry_count, back.failures) == (State.RETRY, 0, ())
    lane_loop(queues, Budget(1), work=lambda context: "ran").run()
    assert queues.job(job.id).result == "ran"


def test_trouble_with_the_store_ends_no_loop(queues: Home) -> None:
    queues.submit(queue="mine")
    loop = lane_loop(queues, Budget(1), work=lambda context: "ran")
    claim, troubles = loop._source.claim, [Unavailable("throttled")]

    def fail_once(limit: int) -> Any:
        if troubles:
            raise troubles.pop()
        return claim(limit)

    loop._source.claim = fail_once  # type: ignore[method-assign]
    assert loop.run() == 1


def test_one_stuck_attempt_lets_the_others_finish_before_the_process_ends(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)
    crew, finished = Crew(), threading.Event()

    class Busy:
        def __init__(self, is_busy: Callable[[], bool]) -> None:
            self.is_busy = is_busy

        @property
        def running(self) -> object:
            return "job" if self.is_busy() else None

    crew.runners = [Busy(lambda: True), Busy(lambda: not finished.is_set())]  # type: ignore[list-item]
    ending = threading.Thread(target=crew.end_process, args=(75,))
    ending.start()
    time.sleep(0.3)
    assert codes == []
    finished.set()
    ending.join(5)
    assert codes == [75]


# What a worker says of itself.


def test_a_worker_tells_of_itself_and_says_good_bye(home: Home) -> None:
    job = home.submit()
    told = threading.Event()
    runner = home.runner(work=lambda context: told.wait(10))
    about = describe("w-1", kind="embedded", pool="default", version="1", names=runner.names, concurrency=1)
    presence = Presence(
        about,
        home.ports.workers.put,
        lambda: [runner.running],
        every=0.05,
        now=home.ports.now,
        close=home.close,
    )
    working = threading.Thread(target=home.drain_and_close, args=(runner,))
    working.start()
    presence.start()
    end = time.monotonic() + 10
    while not (found := [run for seen in list_workers(home.ports, ADMIN) for run in seen.running]):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert [run.id for run in found] == [job.id]
    assert [seen.worker.names for seen in list_workers(home.ports, ADMIN)] == [("work",)]
    told.set()
    working.join(10)
    presence.stop()
    assert list_workers(home.ports, ADMIN) == []


def test_a_worker_of_too_many_names_tells_of_none() -> None:
    names = [f"n{number:03}" for number in range(101)]
    told = [describe("w", kind="pull", pool="default", version="", names=names[:some]).names for some in (100, 101)]
    assert [len(each) for each in told] == [100, 0]


def test_a_lambda_tells_of_itself_once_a_minute_when_a_job_starts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Worker] = []
    now = [1_000.0]
    monkeypatch.setattr("tidegate.execution.presence.time.monotonic", lambda: now[0])
    presence = Presence(
        describe("l-1", kind="lambda", pool="default", version="", names=()), told.append, list, every=60
    )
    runner = Runner(
        home.ports, executors(work=lambda context: 1), worker_id="l-1", lease_seconds=10, on_start=presence.starts
    )
    jobs = [home.submit() for _ in range(5)]
    for seconds in (0, 30, 29.9, 0.1, 30):
        now[0] += seconds
        home.serve_one(runner)
    assert [worker.running[0].job_id for worker in told] == [jobs[0].id, jobs[3].id]


def test_trouble_with_telling_stands_in_nobodys_way(home: Home) -> None:
    def fail(_: Worker) -> None:
        raise Unavailable("throttled")

    presence = Presence(describe("w-1", kind="pull", pool="default", version="", names=()), fail, list)
    job = home.submit()
    runner = Runner(
        home.ports, executors(work=lambda context: 1), worker_id="w-1", lease_seconds=10, on_start=presence.starts
    )
    home.serve_one(runner)
    assert home.job(job.id).state is State.COMPLETED
