"""Limited queues where processes die, sleep, or reach no store: no job and no slot is ever lost."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from contract.limited import (
    LAPSED,
    NARROW,
    Calls,
    Crash,
    all_quiet,
    claim,
    held,
    home_of,
    jobs_of,
    let_pass,
    limited,
    note_running,
    started,
    without_transactions,
)
from home import Home
from support.clock import Clock
from support.homes import Home as Stores
from tidegate.adapters.sqlite.limits import SqliteSlots
from tidegate.adapters.sqlite.ports import open_ports
from tidegate.domain import guarded
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import OPEN, Job, State
from tidegate.domain.limits import Holder, Semaphore
from tidegate.domain.ticket import ticket_for
from tidegate.service import settle
from tidegate.service.claim import Claimed, Later, claim_for
from tidegate.service.sweep_slots import Swept
from tidegate.service.tick import tick


class TestCrashes:
    """A process dies at every call to a port, before it and right after it took effect."""

    @pytest.mark.parametrize("grouped", [True, False], ids=["grouped", "each-call-alone"])
    def test_nothing_is_lost_whatever_call_is_the_last(
        self, home: Stores, request: pytest.FixtureRequest, tmp_path: Path, grouped: bool
    ) -> None:
        if home.kind == "aws" and grouped:
            pytest.skip("no call is grouped with another on AWS")
        step = 3 if home.kind == "sqlite" else 37  # moto takes ten times as long
        points, lost = crash_everywhere(lambda name: _anew(home, request, tmp_path / name), grouped=grouped, step=step)
        assert lost == []
        assert points * step > 80

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

    def test_a_lapsed_attempt_whose_slot_is_another_jobs_now_is_not_taken_over(self, either: Home) -> None:
        """Its claim was applied so late that the clock had freed the slot, and its worker never learnt of it."""
        limited(either, slots=1, retry_limit=0)
        lost = started(either, either.submit(queue="narrow", retry_limit=1).id)
        either.ports.slots.release(Semaphore(NARROW), lost.slot)
        other = started(either, either.submit(queue="narrow").id)
        either.clock.advance(LAPSED)
        settle.heartbeat(either.ports, other, 600)
        assert not isinstance(claim(either, lost.id), Claimed)
        assert either.job(lost.id).state is State.RETRY
        assert held(either.ports) == {"narrow/": 1}
        settle.complete(either.ports, other, 1)
        assert started(either, lost.id).state is State.ACTIVE

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
