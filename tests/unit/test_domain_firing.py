"""Which times run: missed ones, overlapping ones, held ones."""

from __future__ import annotations

from typing import Any

import pytest

from support.clock import START_MS as NOW
from support.jobs import make_job
from support.schedules import make_schedule
from tidegate.domain.firing import GRACE_MS, MAX_RELEASED, Decision, decide
from tidegate.domain.job import Job, State
from tidegate.domain.schedule import Fate, Misfire, Overlap, Schedule

MINUTE, HOUR = 60_000, 3_600_000
BY = NOW + MINUTE


def hourly(next_run: int, **changes: Any) -> Schedule:
    """Every hour on the hour that `next_run` begins."""
    return make_schedule(expression="every 1h", starts_at=next_run - 100 * HOUR, next_run=next_run, **changes)


def decided(schedule: Schedule, previous: Job | None = None, *, held: bool = False) -> Decision:
    return decide(schedule, NOW, BY, lambda *_: None, previous=previous, held=held)


def fates(decision: Decision) -> list[tuple[int, Fate]]:
    return [(firing.at, firing.fate) for firing in decision.passed]


def test_nothing_is_decided_before_its_time() -> None:
    assert decided(hourly(BY + 1)) == Decision(next_run=BY + 1)
    assert decided(make_schedule(next_run=None)) == Decision(next_run=None)


@pytest.mark.parametrize("at", [BY, NOW + 1, NOW, NOW - GRACE_MS])
@pytest.mark.parametrize("misfire", Misfire)
def test_times_ahead_and_a_little_late_run_under_every_policy(at: int, misfire: Misfire) -> None:
    decision = decided(hourly(at, misfire=misfire))
    assert decision == Decision((at,), next_run=at + HOUR)
    assert decision.certain


class TestMisfire:
    first = NOW - 5 * HOUR - MINUTE
    missed = tuple(NOW - n * HOUR - MINUTE for n in range(5, 0, -1))
    """The time one minute ago is on time."""
    late = NOW - MINUTE

    def test_skip_runs_none_of_them(self) -> None:
        decision = decided(hourly(self.first, misfire=Misfire.SKIP))
        assert (decision.release, decision.next_run) == ((self.late,), self.late + HOUR)
        assert fates(decision) == [(self.first, Fate.MISSED)]
        assert not decision.certain

    def test_run_once_runs_the_latest(self) -> None:
        decision = decided(hourly(self.first, misfire=Misfire.RUN_ONCE))
        assert decision.release == (self.missed[-1], self.late)
        assert fates(decision) == [(self.first, Fate.MISSED)]

    def test_run_once_of_one_lets_none_go(self) -> None:
        decision = decided(hourly(self.missed[-1], misfire=Misfire.RUN_ONCE))
        assert (decision.release, decision.passed) == ((self.missed[-1], self.late), ())

    def test_run_all_runs_each(self) -> None:
        decision = decided(hourly(self.first, misfire=Misfire.RUN_ALL))
        assert (decision.release, decision.passed) == ((*self.missed, self.late), ())

    @pytest.mark.parametrize(("misfire", "kept"), [(Misfire.RUN_ALL, 2), (Misfire.RUN_ONCE, 1)])
    def test_older_ones_than_the_window_are_let_go(self, misfire: Misfire, kept: int) -> None:
        decision = decided(hourly(self.first, misfire=misfire, misfire_window_seconds=2.5 * 3600))
        assert decision.release == (*self.missed[-kept:], self.late)
        assert fates(decision) == [(self.first, Fate.MISSED)]

    @pytest.mark.parametrize("misfire", Misfire)
    def test_without_a_window_none_runs(self, misfire: Misfire) -> None:
        decision = decided(hourly(self.first, misfire=misfire, misfire_window_seconds=0))
        assert decision.release == (self.late,)

    def test_years_of_seconds_are_decided_at_once(self) -> None:
        """Nobody counts what was missed: the latest is found from the end, a window is jumped to."""
        begin = NOW - 10 * 366 * 24 * HOUR
        for misfire in Misfire:
            schedule = make_schedule(
                expression="every 1s", starts_at=begin, next_run=begin, misfire=misfire, misfire_window_seconds=3600
            )
            decision = decided(schedule)
            assert 0 < len(decision.release) <= MAX_RELEASED
        assert decision.release[0] == NOW - HOUR

    def test_a_long_list_goes_on_with_the_next_step(self) -> None:
        schedule = make_schedule(expression="every 1s", starts_at=NOW, next_run=NOW - 120_000)
        schedule = make_schedule(expression="every 1s", starts_at=NOW - 120_000, next_run=NOW - 120_000)
        decision = decided(schedule)
        assert len(decision.release) == MAX_RELEASED
        assert decision.next_run == NOW - 20_000

    def test_a_single_time_that_was_missed_runs_or_not(self) -> None:
        for misfire, released in ((Misfire.SKIP, 0), (Misfire.RUN_ONCE, 1), (Misfire.RUN_ALL, 1)):
            schedule = make_schedule(expression="at 2033-05-18T02:33:20Z", next_run=NOW - HOUR, misfire=misfire)
            decision = decided(schedule)
            assert (len(decision.release), decision.next_run) == (released, None)


OPEN = make_job("before", state=State.ACTIVE)
WAITING = make_job("before", state=State.CREATED)


def ended(at: int) -> Job:
    return make_job("before", state=State.COMPLETED, completed_at=at)


class TestOverlap:
    @pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE_ONE, Overlap.CANCEL_RUNNING])
    @pytest.mark.parametrize("previous", [None, ended(NOW - 1)])
    def test_without_one_the_time_runs_at_its_second(self, overlap: Overlap, previous: Job | None) -> None:
        decision = decided(hourly(NOW + 1, overlap=overlap), previous)
        assert (decision.release, decision.next_run, decision.waits) == ((NOW + 1,), NOW + 1 + HOUR, False)
        assert not decision.certain

    @pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE_ONE, Overlap.CANCEL_RUNNING])
    @pytest.mark.parametrize("previous", [OPEN, WAITING])
    def test_a_time_ahead_is_not_decided_before_it_comes(self, overlap: Overlap, previous: Job) -> None:
        decision = decided(hourly(NOW + 1, overlap=overlap), previous)
        assert decision == Decision(next_run=NOW + 1, waits=True, certain=False)

    def test_allow_runs_beside_it(self) -> None:
        assert decided(hourly(NOW), OPEN).release == (NOW,)

    def test_skip_passes_over_it(self) -> None:
        decision = decided(hourly(NOW, overlap=Overlap.SKIP), OPEN)
        assert (decision.release, decision.next_run) == ((), NOW + HOUR)
        assert fates(decision) == [(NOW, Fate.OVERLAPPED)]

    def test_skip_looks_at_the_time_itself_however_late_it_is_decided(self) -> None:
        late = hourly(NOW - MINUTE, overlap=Overlap.SKIP)
        assert decided(late, ended(NOW - MINUTE + 1)).release == ()
        assert decided(late, ended(NOW - MINUTE)).release == (NOW - MINUTE,)

    def test_queue_one_waits(self) -> None:
        decision = decided(hourly(NOW, overlap=Overlap.QUEUE_ONE), OPEN)
        assert decision == Decision(next_run=NOW, waits=True, queued=True, certain=False)

    def test_a_queued_time_is_not_missed_however_long_it_waited_and_the_others_were_passed_over(self) -> None:
        schedule = hourly(NOW - 3 * HOUR, overlap=Overlap.QUEUE_ONE, queued=True, misfire=Misfire.RUN_ALL)
        decision = decided(schedule, ended(NOW - 1))
        assert decision.release == (NOW - 3 * HOUR,)
        assert fates(decision) == [(NOW - 2 * HOUR, Fate.OVERLAPPED), (NOW - HOUR, Fate.OVERLAPPED)]
        assert (decision.next_run, decision.waits, decision.queued) == (NOW, True, False)

    def test_cancel_running_does_so_and_runs(self) -> None:
        decision = decided(hourly(NOW, overlap=Overlap.CANCEL_RUNNING), OPEN)
        assert (decision.release, decision.cancel_previous, decision.next_run) == ((NOW,), True, NOW + HOUR)

    def test_one_at_a_time(self) -> None:
        schedule = make_schedule(
            expression="every 10s", starts_at=NOW - HOUR, next_run=NOW - 20_000, overlap=Overlap.SKIP
        )
        decision = decided(schedule, None)
        assert (decision.release, decision.next_run, decision.waits) == ((NOW - 20_000,), NOW - 10_000, True)


def test_while_all_are_held_times_pass() -> None:
    decision = decided(make_schedule(expression="every 30s", starts_at=NOW, next_run=NOW), held=True)
    assert decision.release == ()
    assert fates(decision) == [(NOW + n * 30_000, Fate.HELD) for n in range(3)]
    assert decision.next_run == NOW + 90_000
