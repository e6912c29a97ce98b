"""Queues with limits, on both homes: never more at once than allowed, everything runs, no slot is ever lost."""

from __future__ import annotations

import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.limited import (
    Calls,
    Crash,
    Watched,
    all_quiet,
    held,
    home_of,
    jobs_of,
    let_pass,
    limited,
    note_running,
    run_all,
    without_transactions,
)
from home import ADMIN, Home
from support.clock import Clock
from support.homes import Home as Stores
from tidegate.adapters.sqlite.limits import SqliteSlots
from tidegate.adapters.sqlite.ports import open_ports
from tidegate.domain import guarded
from tidegate.domain.errors import Unavailable
from tidegate.domain.guarded import Lease
from tidegate.domain.job import OPEN, Job, State
from tidegate.domain.limits import Holder, Semaphore
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.execution.context import JobContext
from tidegate.execution.runner import Again, Done
from tidegate.service import settle
from tidegate.service.claim import Claimed, Later, Spent, claim_for
from tidegate.service.control import cancel, reprioritise
from tidegate.service.policies import patch_queue
from tidegate.service.submit import Submitted, submit
from tidegate.service.sweep_slots import Swept
from tidegate.service.tick import tick

NARROW = Lane("main", "narrow")
LEASE = 10.0


@pytest.fixture
def either(home: Stores) -> Home:
    """Either home, with the services on top."""
    return home_of(home)


def submitted(home: Home, specs: list[JobSpec]) -> list[Any]:
    found: list[Any] = []
    for start in range(0, len(specs), 100):
        found += submit(home.ports, ADMIN, specs[start : start + 100])
    assert all(isinstance(each, Submitted) for each in found)
    return [each.job for each in found]


def claim(home: Home, job_id: str, receives: int = 1) -> Any:
    return claim_for(home.ports, ticket_for(home.job(job_id)), "w-1", LEASE, receives=receives)


def jobs_named(home: Home, ids: Sequence[str]) -> list[Job]:
    return [home.job(job_id) for job_id in ids]


def started(home: Home, job_id: str) -> Any:
    found = claim(home, job_id)
    assert isinstance(found, Claimed), found
    return found.job


class TestTogether:
    """Ten threads at once."""

    @pytest.mark.parametrize("slots", [1, 3])
    def test_never_more_than_the_slots_run_at_once_and_all_run(self, either: Home, home: Stores, slots: int) -> None:
        limited(either, slots=slots)
        count = 300 if home.kind == "sqlite" else 30 * slots  # moto takes a hundred times as long
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
        count = 200 if home.kind == "sqlite" else 50
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
        either.clock.advance(LEASE + 1)
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
        either.clock.advance(LEASE + 1)
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


class TestCrashes:
    """A process dies at every call to a port, before it and right after it took effect."""

    @pytest.mark.parametrize("grouped", [True, False], ids=["grouped", "each-call-alone"])
    def test_nothing_is_lost_whatever_call_is_the_last(
        self, home: Stores, request: pytest.FixtureRequest, tmp_path: Path, grouped: bool
    ) -> None:
        if home.kind == "aws" and grouped:
            pytest.skip("no call is grouped with another on AWS")
        step = 1 if home.kind == "sqlite" else 7  # moto takes a hundred times as long
        points, lost = crash_everywhere(lambda name: _anew(home, request, tmp_path / name), grouped=grouped, step=step)
        assert lost == []
        assert points * step > 100

    @pytest.mark.parametrize("mutant", ["sweep_slots", "leave", "expect"])
    def test_what_keeps_slots_and_jobs_from_getting_lost_is_needed(
        self, mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Without the clock's sweep, the giving back, or the note that a job waits, the test above finds losses."""
        match mutant:
            case "sweep_slots":
                monkeypatch.setattr("tidegate.service.tick.sweep_slots", lambda ports, now: Swept())
            case "leave":
                monkeypatch.setattr("tidegate.service.settle.leave", lambda ports, job: None)
                monkeypatch.setattr("tidegate.service.sweep_slots.free", lambda *_: False)
            case "expect":
                monkeypatch.setattr(SqliteSlots, "expect", lambda *_: None)
        _, lost = crash_everywhere(lambda name: _fresh_sqlite(tmp_path / name), grouped=False, step=3)
        assert lost


def crash_everywhere(anew: Callable[[str], Stores], *, grouped: bool, step: int) -> tuple[int, list[str]]:
    """How many crash points there were, and after which of them a job or a slot was lost."""
    points, lost = 0, []
    for after in (False, True):
        for fatal in itertools.count(1, step):
            made, busy, jobs = _prepared(anew(f"{after}-{fatal}"))
            calls = Calls(fatal, after=after)
            dying = calls.watching(made if grouped else without_transactions(made))
            try:
                _scenario(dying, busy)
            except Crash:
                points += 1
            else:
                break
            finally:
                _assert_within(made)
            note_running(made, jobs)
            let_pass(made, made.runner(work=lambda job: None), 600, partial(all_quiet, made, jobs))
            if not all_quiet(made, jobs):
                lost.append(f"{'after' if after else 'before'} {calls.names[-1]} ({fatal})")
            assert all(job.state in (State.COMPLETED, *OPEN) for job in jobs_of(made, jobs))
            made.ports.close()
    return points, lost


def _prepared(stores: Stores) -> tuple[Home, Job, list[Job]]:
    """A queue with every limit, a running job that holds key `a`, and four that wait."""
    home = home_of(stores)
    queue = limited(home, slots=2, key_slots=1, rate_limit=100, rate_period="minute")
    busy = started(home, home.submit(queue=queue, concurrency_key="a").id)
    return home, busy, [busy, *(home.submit(queue=queue, concurrency_key=key) for key in ("a", "a", "b", "b"))]


def _scenario(home: Home, busy: Job) -> None:
    """Jobs of the full key are put aside, another key's run; the holder leaves, and the rest runs."""
    runner = home.runner(work=lambda job: None)
    for _ in range(2):
        home.serve_one(runner)
    settle.complete(home.ports, busy, None)
    for _ in range(5):
        home.serve_one(runner)


def _anew(home: Stores, request: pytest.FixtureRequest, folder: Path) -> Stores:
    if home.kind == "aws":
        aws = request.getfixturevalue("aws")
        return Stores("aws", aws.reset(), aws.clock)
    return _fresh_sqlite(folder)


def _fresh_sqlite(folder: Path) -> Stores:
    clock = Clock()
    ports = open_ports(folder, now=clock.now, new_id=clock.new_id, rng=random.Random(1), visibility=30)
    return Stores("sqlite", ports, clock)


def _assert_within(home: Home) -> None:
    counts = held(home.ports)
    assert counts.get("narrow/", 0) <= 2
    assert all(count <= 1 for name, count in counts.items() if name != "narrow/")


class TestLeaks:
    def test_the_clock_frees_the_slot_of_a_claim_that_never_happened(self, either: Home) -> None:
        limited(either, slots=1)
        job = either.submit(queue="narrow")
        orphan = str(Holder(True, False, either.clock.now(), "ff", job.id))
        assert either.ports.slots.acquire_if_free(Semaphore(NARROW), orphan, 1).granted
        assert isinstance(claim(either, job.id), Later)
        either.clock.advance(119)
        assert tick(either.ports, 60).freed == 0
        either.clock.advance(2)
        assert tick(either.ports, 60).freed == 1
        assert started(either, job.id).id == job.id

    def test_the_clock_frees_the_slot_of_an_attempt_that_has_ended(self, either: Home) -> None:
        limited(either, slots=1)
        job = started(either, either.submit(queue="narrow").id)
        either.ports.jobs.apply([guarded.complete_if_held(job, 1, None, either.clock.now())])
        either.clock.advance(61)
        assert tick(either.ports, 60).freed == 1
        assert held(either.ports) == {}

    def test_the_clock_leaves_running_jobs_their_slots_however_long(self, either: Home) -> None:
        limited(either, slots=1, key_slots=1)
        job = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        for _ in range(10):
            either.clock.advance(3_600)
            assert tick(either.ports, 60).freed == 0
        assert held(either.ports) == {"narrow/": 1, "narrow/a": 1}
        settle.complete(either.ports, job, 1)

    def test_a_claim_too_late_for_its_slot_does_not_run(self, either: Home) -> None:
        """The claimer sleeps between taking the slot and claiming: the clock gave the slot to another meanwhile."""
        limited(either, slots=1)
        late, other = (either.submit(queue="narrow", priority=priority) for priority in (9, 5))
        slept: list[Any] = []

        class Jobs:
            def __getattr__(self, name: str) -> Any:
                return getattr(either.ports.jobs, name)

            def apply(self, writes: Any) -> Any:
                if not slept:
                    either.clock.advance(180)
                    tick(either.ports, 60)
                    slept.append(claim_for(either.ports, ticket_for(other), "w-2", 600, receives=1))
                return either.ports.jobs.apply(writes)

        home = without_transactions(either.with_ports(jobs=Jobs()))
        answer = claim_for(home.ports, ticket_for(late), "w-1", 600, receives=1)
        assert isinstance(slept[0], Claimed)
        running = [job for job in jobs_of(either, [late, other]) if job.state is State.ACTIVE]
        assert len(running) == 1
        assert held(either.ports) == {"narrow/": 1}
        assert not isinstance(answer, Claimed)
        settle.complete(either.ports, slept[0].job, 1)
        let_pass(either, either.runner(work=lambda job: None), 300, lambda: all_quiet(either, [late, other]))
        assert {job.state for job in jobs_of(either, [late, other])} == {State.COMPLETED}
        assert all(job.retry_count == 0 for job in jobs_of(either, [late, other]))

    @pytest.mark.parametrize("call", ["acquire_if_free", "release", "get", "expect"])
    def test_a_store_that_is_out_of_reach_costs_no_slot(self, either: Home, call: str) -> None:
        limited(either, slots=1, key_slots=1)
        jobs = [either.submit(queue="narrow", concurrency_key="a") for _ in range(3)]

        class Slots:
            down = True

            def __getattr__(self, name: str) -> Any:
                def refused(*_: Any) -> Any:
                    raise Unavailable("down")

                return refused if self.down and name == call else getattr(either.ports.slots, name)

        slots = Slots()
        flaky = either.with_ports(slots=slots)
        runner = flaky.runner(work=lambda job: None)
        for _ in range(6):
            try:
                flaky.serve_one(runner)
            except Unavailable:
                continue
        slots.down = False
        let_pass(flaky, runner, 600, lambda: all_quiet(either, jobs))
        assert {job.state for job in jobs_of(either, jobs)} == {State.COMPLETED}
        assert held(either.ports) == {}

    def test_semaphores_that_nobody_needs_are_forgotten(self, either: Home) -> None:
        limited(either, slots=1, key_slots=1)
        jobs = [either.submit(queue="narrow", concurrency_key=key) for key in "aabbcc"]
        either.drain(either.runner(work=lambda job: None))
        assert {job.state for job in jobs_of(either, jobs)} == {State.COMPLETED}
        for _ in range(2):
            either.clock.advance(61)
            tick(either.ports, 60)
        assert either.ports.slots.all(None, 10) == []


class TestCosts:
    """Limits that a queue has not cost nothing."""

    def calls(self, either: Home, **settings: Any) -> Counter[str]:
        limited(either, **settings)
        calls = Calls()
        counted = calls.watching(either)
        counted.submit(queue="narrow", concurrency_key="a")
        assert counted.serve_one(counted.runner(work=lambda job: None)) == Done()
        return Counter(calls.names)

    PLAIN = Counter(
        {
            "queues.get": 2,
            "jobs.create": 1,
            "lanes.touch": 1,
            "tickets.send": 1,
            "tickets.receive": 1,
            "jobs.head": 1,
            "jobs.apply": 2,
            "tickets.finish": 1,
        }
    )

    @pytest.mark.parametrize(
        ("settings", "more"),
        [
            ({}, {}),
            ({"slots": 5}, {"slots.acquire_if_free": 1, "slots.release": 1}),
            ({"key_slots": 5}, {"jobs.get": 1, "slots.acquire_if_free": 1, "slots.release": 1}),
            ({"slots": 5, "key_slots": 5}, {"jobs.get": 1, "slots.acquire_if_free": 2, "slots.release": 2}),
            ({"rate_limit": 5}, {"rates.take_if_left": 1}),
            ({"max_queue_size": 5}, {"backlogs.admit_if_room": 1}),
            ({"timeout_retry_limit": 5}, {}),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_a_job_costs_so_many_calls(self, either: Home, settings: dict[str, Any], more: dict[str, int]) -> None:
        assert self.calls(either, **settings) == self.PLAIN + Counter(more)

    def test_each_call_to_a_limit_is_one_request(self, either: Home, home: Stores, request: Any) -> None:
        if home.kind != "aws":
            pytest.skip("requests are counted on AWS")
        limited(either, slots=5, key_slots=5, rate_limit=5, max_queue_size=5)
        client = request.getfixturevalue("aws").clients.dynamodb
        seen: Counter[str] = Counter()

        def count(model: Any, **_: Any) -> None:
            seen[model.name] += 1

        client.meta.events.register("before-call.dynamodb", count)
        try:
            job = either.submit(queue="narrow", concurrency_key="a")
            assert seen == {"GetItem": 1, "UpdateItem": 1, "PutItem": 2}  # policy, admission, job, lane
            seen.clear()
            running = claim_for(either.ports, ticket_for(job), "w-1", LEASE, receives=1)
            assert isinstance(running, Claimed)
            assert seen == {"GetItem": 2, "Query": 1, "UpdateItem": 4}  # two semaphores, one window, the claim
            seen.clear()
            settle.complete(either.ports, running.job, 1)
            assert seen == {"UpdateItem": 3}
        finally:
            client.meta.events.unregister("before-call.dynamodb", count)

    def test_an_idle_minute_asks_once_for_all_semaphores(self, either: Home) -> None:
        calls = Calls()
        tick(calls.watching(either).ports, 60)
        assert Counter(calls.names)["slots.all"] == 1


def test_a_ticket_of_a_limited_queue_that_is_done_is_done(either: Home) -> None:
    limited(either, slots=1)
    job = either.submit(queue="narrow")
    delivery = either.receive()
    assert delivery is not None
    running = started(either, job.id)
    other = either.submit(queue="narrow")
    verdict = either.runner().serve(delivery, either.acknowledge(delivery))
    assert verdict == Again(LEASE)
    settle.complete(either.ports, running, 1)
    started(either, other.id)
    assert claim(either, job.id) == Spent()


def test_a_claim_names_its_worker_and_slot(either: Home) -> None:
    limited(either, slots=1)
    job = started(either, either.submit(queue="narrow").id)
    assert job.worker_id == "w-1"
    assert either.ports.slots.get(Semaphore(NARROW)).holders == {job.slot}
    assert Lease("w", 1).slot is None
