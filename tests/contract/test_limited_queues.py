"""Queues with slots, on both homes: never more at once than allowed, everything runs, every end gives its slot back."""

from __future__ import annotations

import random
import threading
from collections import Counter
from typing import Any

import pytest

from contract.limited import (
    LAPSED,
    NARROW,
    Watched,
    claim,
    held,
    jobs_of,
    limited,
    run_all,
    started,
    submitted,
)
from home import ADMIN, Home
from support.homes import Home as Stores
from tidegate.domain.guard import Lease
from tidegate.domain.job import State
from tidegate.domain.limits import Semaphore
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.execution.runner import Again
from tidegate.service import settle
from tidegate.service.claim import LOOK_AGAIN_SECONDS, Claimed, Later, Spent
from tidegate.service.control import cancel
from tidegate.service.policies import patch_queue
from tidegate.service.tick import tick


class TestTogether:
    """Ten threads at once."""

    @pytest.mark.parametrize("slots", [1, 3])
    def test_never_more_than_the_slots_run_at_once_and_all_run(self, either: Home, home: Stores, slots: int) -> None:
        limited(either, slots=slots)
        count = 300 if home.kind == "sqlite" else 12 * slots  # moto takes a hundred times as long
        jobs = submitted(either, [JobSpec(name="work", queue="narrow") for _ in range(count)])
        work = Watched(0.001)
        run_all(either, jobs, work)
        assert work.most["all"] <= slots
        assert Counter(work.started) == Counter(job.id for job in jobs)
        assert {job.state for job in jobs_of(either, jobs)} == {State.COMPLETED}
        assert held(either.ports) == {}

    def test_of_three_slots_three_are_used(self, either: Home) -> None:
        limited(either, slots=3)
        jobs = submitted(either, [JobSpec(name="work", queue="narrow") for _ in range(9)])
        three = threading.Barrier(3)
        run_all(either, jobs, lambda job: three.wait(30) >= 0)
        assert {job.state for job in jobs_of(either, jobs)} == {State.COMPLETED}

    def test_keys_limit_each_for_itself_within_the_lane(self, either: Home, home: Stores) -> None:
        limited(either, slots=4, key_slots=1)
        count = 200 if home.kind == "sqlite" else 20
        rng = random.Random(5)
        specs = []
        for _ in range(count):
            key = rng.choice([None, "a", "b", "c"])
            specs.append(JobSpec(name="work", queue="narrow", data=key, concurrency_key=key))
        jobs = submitted(either, specs)
        work = Watched(0.002)
        run_all(either, jobs, work)
        assert work.most["all"] <= 4
        assert [work.most[f"key {key}"] for key in "abc"] == [1, 1, 1]
        assert Counter(work.started) == Counter(job.id for job in jobs)
        assert held(either.ports) == {}

    def test_failing_jobs_give_their_slots_back_too(self, either: Home) -> None:
        limited(either, slots=2, retry_limit=1, retry_delay=0.1)
        jobs = submitted(either, [JobSpec(name="work", queue="narrow") for _ in range(20)])
        work = Watched()

        def failing(job: JobContext) -> None:
            work(job)
            raise ValueError("no")

        run_all(either, jobs, failing)
        assert work.most["all"] <= 2
        assert {job.state for job in jobs_of(either, jobs)} == {State.FAILED}
        assert len(work.started) == 40
        assert held(either.ports) == {}


class TestSlots:
    def test_a_full_queue_sends_tickets_away_ever_longer_and_then_for_good(self, either: Home) -> None:
        limited(either, slots=1)
        first, second = (either.submit(queue="narrow") for _ in range(2))
        started(either, first.id)
        answers = [claim(either, second.id, receives) for receives in (1, 2, 3, 4, 5, 6)]
        assert answers == [Later(2.0), Later(4.0), Later(8.0), Later(16.0), Later(32.0), Spent()]
        assert either.job(second.id).state is State.CREATED

    def test_a_slot_that_gets_free_wakes_the_best_of_the_lane_at_once(self, either: Home) -> None:
        limited(either, slots=1)
        first = either.submit(queue="narrow")
        running = started(either, first.id)
        low, high = (either.submit(queue="narrow", priority=priority) for priority in (1, 9))
        either.drain(either.runner())
        assert isinstance(claim(either, low.id), Later)
        settle.complete(either.ports, running, None)
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [high.id, low.id]

    def test_nobody_is_woken_where_nobody_waits(self, either: Home) -> None:
        limited(either, slots=1)
        for _ in range(3):
            either.submit(queue="narrow")
            either.drain(either.runner(work=lambda job: None))
        depth = either.ports.tickets.depth("default").values()
        assert sum(each.visible + each.in_flight + each.delayed for each in depth) == 0

    @pytest.mark.parametrize("how", ["complete", "fail", "retry", "snooze", "skip", "stop"])
    def test_every_end_of_an_attempt_gives_the_slots_back(self, either: Home, how: str) -> None:
        limited(either, slots=1, key_slots=1)
        job = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        assert held(either.ports) == {"narrow/": 1, "narrow/a": 1}
        ends: dict[str, Any] = {
            "complete": lambda: settle.complete(either.ports, job, 1),
            "fail": lambda: settle.fail(either.ports, job, "agent", "no", permanent=True, reach=0),  # type: ignore[arg-type]
            "retry": lambda: settle.fail(either.ports, job, "agent", "no", permanent=False, reach=0),  # type: ignore[arg-type]
            "snooze": lambda: settle.snooze(either.ports, job, 60, reach=0),
            "skip": lambda: settle.skip(either.ports, job, "nothing"),
            "stop": lambda: settle.stop(either.ports, job),
        }
        ends[how]()
        assert held(either.ports) == {}

    def test_a_worker_that_vanished_hands_its_slot_to_the_next_attempt(self, either: Home) -> None:
        limited(either, slots=1, retry_limit=1)
        job = either.submit(queue="narrow")
        lost = started(either, job.id)
        other = either.submit(queue="narrow")
        assert isinstance(claim(either, other.id), Later)
        either.clock.advance(LAPSED)
        again = started(either, job.id)
        assert (again.attempt, again.slot) == (2, lost.slot)
        assert held(either.ports) == {"narrow/": 1}
        with pytest.raises(Exception, match="Another attempt"):
            settle.complete(either.ports, lost, 1)
        assert held(either.ports) == {"narrow/": 1}
        settle.complete(either.ports, again, 1)
        assert held(either.ports) == {}

    @pytest.mark.parametrize("stopped", [False, True])
    def test_a_vanished_last_attempt_gives_its_slot_back(self, either: Home, stopped: bool) -> None:
        limited(either, slots=1, retry_limit=0)
        job = either.submit(queue="narrow")
        started(either, job.id)
        other = either.submit(queue="narrow")
        if stopped:
            cancel(either.ports, ADMIN, job.id)
        either.clock.advance(LAPSED)
        assert not isinstance(claim(either, job.id), Claimed)
        assert either.job(job.id).state is (State.CANCELLED if stopped else State.FAILED)
        assert started(either, other.id).id == other.id

    def test_more_slots_and_fewer_take_effect_at_once(self, either: Home) -> None:
        limited(either, slots=1)
        jobs = [either.submit(queue="narrow") for _ in range(4)]
        running = [started(either, jobs[0].id)]
        patch_queue(either.ports, ADMIN, "narrow", {"slots": 2})
        running.append(started(either, jobs[1].id))
        patch_queue(either.ports, ADMIN, "narrow", {"slots": 1})
        settle.complete(either.ports, running[0], 1)
        assert isinstance(claim(either, jobs[2].id), Later)
        settle.complete(either.ports, running[1], 1)
        assert started(either, jobs[2].id).id == jobs[2].id

    def test_a_limit_that_is_taken_away_still_gets_its_slots_back(self, either: Home) -> None:
        limited(either, slots=1, key_slots=1)
        first, second = (either.submit(queue="narrow", concurrency_key="a") for _ in range(2))
        running = started(either, first.id)
        claim(either, second.id)
        patch_queue(either.ports, ADMIN, "narrow", {"slots": None, "key_slots": None})
        settle.complete(either.ports, running, 1)
        assert held(either.ports) == {}
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [second.id]

    def test_lanes_of_tenants_are_limited_each_for_itself(self, either: Home) -> None:
        limited(either, slots=1)
        assert held(either.ports) == {}
        first = either.submit(queue="narrow")
        started(either, first.id)
        other = either.submit()
        assert started(either, other.id).id == other.id

    def test_a_delayed_job_of_a_full_queue_gets_in_line(self, either: Home) -> None:
        limited(either, slots=1)
        delayed = either.submit(queue="narrow", start_after=either.clock.now() + 5_000)
        running = started(either, either.submit(queue="narrow").id)
        either.clock.advance(6)
        assert isinstance(claim(either, delayed.id), Later)
        assert [ready.job_id for ready in either.ports.jobs.head(NARROW, 5)] == [delayed.id]
        settle.complete(either.ports, running, 1)

    def test_the_clock_sends_no_more_tickets_than_there_are_free_slots(self, either: Home) -> None:
        limited(either, slots=2)
        jobs = [either.submit(queue="narrow") for _ in range(5)]
        started(either, jobs[0].id)
        either.clock.advance(61)
        assert tick(either.ports, 60).reticketed == 1


def test_a_ticket_of_a_limited_queue_that_is_done_is_done(either: Home) -> None:
    limited(either, slots=1)
    job = either.submit(queue="narrow")
    delivery = either.receive()
    assert delivery is not None
    running = started(either, job.id)
    other = either.submit(queue="narrow")
    verdict = either.runner().serve(delivery, either.acknowledge(delivery))
    assert verdict == Again(LOOK_AGAIN_SECONDS)
    settle.complete(either.ports, running, 1)
    started(either, other.id)
    assert claim(either, job.id) == Spent()


def test_a_claim_names_its_worker_and_slot(either: Home) -> None:
    limited(either, slots=1)
    job = started(either, either.submit(queue="narrow").id)
    assert job.worker_id == "w-1"
    assert either.ports.slots.get(Semaphore(NARROW)).holders == {job.slot}
    assert Lease("w", 1).slot is None
