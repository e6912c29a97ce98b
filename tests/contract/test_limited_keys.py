"""Slots by concurrency key, and starts in windows of time, on both homes."""

from __future__ import annotations

from collections import Counter
from typing import Any

from contract.limited import (
    NARROW,
    Watched,
    claim,
    held,
    jobs_of,
    limited,
    started,
)
from home import ADMIN, Home
from tidegate.domain import guarded
from tidegate.domain.job import State
from tidegate.domain.limits import Semaphore
from tidegate.service import settle
from tidegate.service.claim import Claimed, Later
from tidegate.service.control import cancel, reprioritise
from tidegate.service.policies import patch_queue
from tidegate.service.tick import tick


class TestKeys:
    def test_a_full_key_holds_up_nobody_behind_it(self, either: Home) -> None:
        limited(either, key_slots=1)
        busy = started(either, either.submit(queue="narrow", concurrency_key="a", priority=9).id)
        parked = [either.submit(queue="narrow", concurrency_key="a", priority=8) for _ in range(15)]
        other = either.submit(queue="narrow", concurrency_key="b", priority=1)
        assert started(either, parked[0].id).id == other.id
        assert either.ports.jobs.head(NARROW, 50) == []
        assert len(either.ports.jobs.parked(NARROW, "a", 50)) == 15
        settle.complete(either.ports, busy, 1)
        assert [ready.job_id for ready in either.ports.jobs.head(NARROW, 50)] == [parked[0].id]

    def test_parked_jobs_start_in_exact_order_with_all_others(self, either: Home) -> None:
        """One worker beside one that holds the key: once it is free, ranks alone decide."""
        limited(either, key_slots=1)
        busy = started(either, either.submit(queue="narrow", concurrency_key="a", priority=10).id)
        first = either.submit(queue="narrow", concurrency_key="a", priority=3)
        best = either.submit(queue="narrow", concurrency_key="a", priority=7)
        other = either.submit(queue="narrow", priority=5)
        work = Watched()
        runner = either.runner(work=work)
        either.serve_one(runner)
        assert work.started == [other.id]
        low = either.submit(queue="narrow", priority=4)
        settle.complete(either.ports, busy, 1)
        either.drain(runner)
        assert work.started == [other.id, best.id, low.id, first.id]

    def test_a_fresh_job_does_not_overtake_a_better_parked_one_of_its_key(self, either: Home) -> None:
        """Even where nobody promoted the parked one: here whoever gave the slot back died before."""
        limited(either, key_slots=1)
        busy = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        better = either.submit(queue="narrow", concurrency_key="a", priority=6)
        claim(either, better.id)
        either.ports.slots.release(Semaphore(NARROW, "a"), busy.slot)
        worse = either.submit(queue="narrow", concurrency_key="a", priority=5)
        assert started(either, worse.id).id == better.id

    def test_a_key_that_gets_free_while_a_job_is_put_aside_wakes_it(self, either: Home) -> None:
        """The holder leaves between the refusal and the parking: whoever parks looks again."""
        limited(either, key_slots=1)
        busy = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        late = either.submit(queue="narrow", concurrency_key="a")

        class Slots:
            def __getattr__(self, name: str) -> Any:
                return getattr(either.ports.slots, name)

            def acquire_if_free(self, *arguments: Any) -> Any:
                answer = either.ports.slots.acquire_if_free(*arguments)
                settle.complete(either.ports, busy, 1)
                return answer

        home = either.with_ports(slots=Slots())
        assert not isinstance(claim(home, late.id), Claimed)
        assert [ready.job_id for ready in either.ports.jobs.head(NARROW, 5)] == [late.id]
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [late.id]

    def test_jobs_without_a_key_mind_no_key(self, either: Home) -> None:
        limited(either, key_slots=1)
        jobs = [either.submit(queue="narrow") for _ in range(3)]
        assert [started(either, job.id).id for job in jobs] == [job.id for job in jobs]

    def test_a_parked_job_can_be_moved_cancelled_and_expires(self, either: Home) -> None:
        limited(either, key_slots=1)
        busy = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        moved, stopped = (either.submit(queue="narrow", concurrency_key="a") for _ in range(2))
        late = either.submit(queue="narrow", concurrency_key="a", expire_in_seconds=30)
        either.drain(either.runner())
        assert len(either.ports.jobs.parked(NARROW, "a", 10)) == 3
        reprioritise(either.ports, ADMIN, moved.id, 9)
        assert cancel(either.ports, ADMIN, stopped.id).state is State.CANCELLED
        either.clock.advance(61)
        assert tick(either.ports, 60).expired == 1
        assert either.job(late.id).state is State.EXPIRED
        settle.complete(either.ports, busy, 1)
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [moved.id]

    def test_the_clock_rescues_parked_jobs_whose_key_is_free(self, either: Home) -> None:
        limited(either, key_slots=2)
        busy = [started(either, either.submit(queue="narrow", concurrency_key="a").id) for _ in range(2)]
        parked = [either.submit(queue="narrow", concurrency_key="a") for _ in range(3)]
        either.drain(either.runner())
        for job in busy:  # their holders end without waking anybody
            either.ports.jobs.apply([guarded.complete_if_held(job, 1, None, either.clock.now())])
            either.ports.slots.release(Semaphore(NARROW, "a"), job.slot)
        assert tick(either.ports, 60).reticketed == 2
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [job.id for job in parked]

    def test_parked_jobs_start_when_the_limit_is_taken_away(self, either: Home) -> None:
        limited(either, key_slots=1)
        started(either, either.submit(queue="narrow", concurrency_key="a").id)
        parked = [either.submit(queue="narrow", concurrency_key="a") for _ in range(3)]
        either.drain(either.runner())
        patch_queue(either.ports, ADMIN, "narrow", {"key_slots": None})
        tick(either.ports, 60)
        work = Watched()
        either.drain(either.runner(work=work))
        assert work.started == [job.id for job in parked]


class TestRates:
    def test_exactly_so_many_start_in_each_window(self, either: Home) -> None:
        limited(either, rate_limit=3, rate_period="second")
        jobs = [either.submit(queue="narrow") for _ in range(10)]
        runner = either.runner(work=lambda job: None)
        for _ in range(60 * 5):
            either.drain(runner)
            either.clock.advance(0.2)
        starts = [job.started_at for job in jobs_of(either, jobs)]
        assert None not in starts
        windows = Counter((at or 0) // 1_000 for at in starts)
        assert max(windows.values()) == 3
        assert sum(windows.values()) == 10

    def test_a_used_up_window_sends_tickets_to_the_next(self, either: Home) -> None:
        limited(either, rate_limit=1, rate_period="minute")
        jobs = [either.submit(queue="narrow") for _ in range(2)]
        either.clock.advance(20)
        begin = either.clock.now() % 60_000 / 1_000
        started(either, jobs[0].id)
        assert claim(either, jobs[1].id) == Later(60 - begin)
        either.clock.advance(60 - begin)
        assert started(either, jobs[1].id).id == jobs[1].id

    def test_a_start_that_was_lost_to_another_is_not_counted(self, either: Home) -> None:
        limited(either, rate_limit=5)
        job = either.submit(queue="narrow")
        started(either, job.id)
        window = either.clock.now() // 1_000 * 1_000
        assert not isinstance(claim(either, job.id), Claimed)
        assert either.ports.rates.taken(NARROW, window) == 1

    def test_a_used_up_window_leaves_no_slot_held(self, either: Home) -> None:
        limited(either, slots=2, key_slots=2, rate_limit=1)
        first, second = (either.submit(queue="narrow", concurrency_key="a") for _ in range(2))
        settle.complete(either.ports, started(either, first.id), 1)
        assert isinstance(claim(either, second.id), Later)
        assert held(either.ports) == {}
