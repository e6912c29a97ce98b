"""Deadlines: when they are at risk and missed, what is told, and how long jobs are expected to take."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.durations import duration_field, percentile
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import HardMiss, Job, Sla, State
from tidegate.domain.queue import Queue
from tidegate.domain.sla import Deadlines, is_stopped, next_look, risk_at, standing
from tidegate.domain.spec import JobSpec, new_job

NOW = 1_800_000_000_000
HOUR = 3_600_000
levels = st.sampled_from(Sla)
maybe_times = st.none() | st.integers(NOW, NOW + 1_000)


def made(queue: Queue | None = None, **fields: Any) -> Job:
    queue = queue or Queue(tenant="main", name="default")
    return new_job(JobSpec(name="extract", **fields), queue, job_id="j", owner="me", now=NOW)


def test_deadlines_are_the_jobs_own_as_a_time_then_as_seconds_then_the_queues() -> None:
    queue = Queue(tenant="main", name="default", soft_sla_seconds=10, hard_sla_seconds=100)
    by_queue = made(queue)
    assert (by_queue.soft_sla, by_queue.hard_sla) == (NOW + 10_000, NOW + 100_000)
    by_seconds = made(queue, soft_sla_seconds=20)
    assert (by_seconds.soft_sla, by_seconds.hard_sla) == (NOW + 20_000, NOW + 100_000)
    both = made(queue, soft_sla_seconds=20, soft_sla=NOW + 5)
    assert both.soft_sla == NOW + 5
    assert made().soft_sla is None


def test_seconds_count_from_when_the_job_may_start() -> None:
    assert made(start_after=NOW + HOUR, hard_sla_seconds=1).hard_sla == NOW + HOUR + 1_000
    assert made(start_after=NOW - HOUR, hard_sla_seconds=1).hard_sla == NOW + 1_000


@pytest.mark.parametrize("fields", [{"soft_sla": NOW + 2, "hard_sla": NOW + 1}, {"soft_sla_seconds": 101.0}])
def test_a_hard_deadline_before_the_soft_one_is_refused_wherever_it_comes_from(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="hard_sla: must not be before soft_sla"):
        made(Queue(tenant="main", name="default", hard_sla_seconds=100), **fields)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf"), 367 * 86_400])
def test_a_queues_deadlines_are_checked(value: float) -> None:
    with pytest.raises(InvalidInput, match="soft_sla_seconds"):
        Queue(tenant="main", name="q", soft_sla_seconds=value)
    with pytest.raises(InvalidInput, match="hard_sla_seconds: must not be less"):
        Queue(tenant="main", name="q", soft_sla_seconds=2, hard_sla_seconds=1)


def test_a_deadline_is_missed_once_it_is_past() -> None:
    both = Deadlines(NOW, NOW + 10)
    assert [both.missed_at(NOW + late) for late in (0, 1, 10, 11)] == [
        Sla.NONE, Sla.SOFT_MISSED, Sla.SOFT_MISSED, Sla.HARD_MISSED,
    ]  # fmt: skip
    assert Deadlines(None, NOW).missed_at(NOW + 1) is Sla.HARD_MISSED
    assert Deadlines(NOW, None).missed_at(NOW + 10**9) is Sla.SOFT_MISSED


@given(maybe_times, maybe_times, st.lists(levels, min_size=2).map(sorted))
def test_each_thing_is_told_once_however_the_standing_grows(
    soft: int | None, hard: int | None, path: list[Sla]
) -> None:
    """In any number of steps; and what the job has no deadline for is never told."""
    deadlines = Deadlines(soft, hard)
    told = [each for before, after in itertools.pairwise(path) for each in deadlines.told(before, after)]
    assert len(told) == len(set(told))
    assert (Sla.SOFT_MISSED in told) == (soft is not None and path[0] < Sla.SOFT_MISSED <= path[-1])
    assert (Sla.HARD_MISSED in told) == (hard is not None and path[0] < Sla.HARD_MISSED <= path[-1])


def test_a_waiting_job_is_at_risk_when_it_must_start_now() -> None:
    assert risk_at(NOW + 10 * HOUR, NOW, 2 * HOUR) == NOW + 8 * HOUR
    assert risk_at(NOW + HOUR, NOW, 2 * HOUR) == NOW  # it was asked for too late
    assert risk_at(NOW + 60_000, NOW, 0) == NOW + 54_000  # nothing is known: a tenth of the time given
    assert risk_at(NOW + 10 * HOUR, NOW, 0) == NOW + 10 * HOUR - 900_000  # a quarter of an hour at most


def test_a_running_job_is_at_risk_when_it_takes_longer_than_usual() -> None:
    assert risk_at(NOW + HOUR, NOW, 600_000, started_at=NOW) == NOW + 600_000
    assert risk_at(NOW + HOUR, NOW, 600_000, started_at=NOW + 3_500_000) == NOW + 3_000_000  # it began too late


def test_a_risk_is_seen_a_tick_ahead_and_a_miss_never() -> None:
    job = made(soft_sla=NOW + 100_000)
    assert standing(job, 50_000, NOW + 40_000) is Sla.NONE
    assert standing(job, 50_000, NOW + 40_000, ahead=10_000) is Sla.AT_RISK
    assert standing(job, 50_000, NOW + 100_000, ahead=10_000) is Sla.AT_RISK
    assert standing(job, 50_000, NOW + 100_001) is Sla.SOFT_MISSED


def test_looks_go_from_step_to_step_and_end() -> None:
    job = made(soft_sla=NOW + 100_000, hard_sla=NOW + 200_000)
    looks = [next_look(replace(job, sla=sla), 50_000, 1_000) for sla in Sla]
    assert looks == [NOW + 49_000, NOW + 100_001, NOW + 200_001, None]
    assert next_look(made(), 50_000) is None


@given(
    soft=maybe_times,
    hard=maybe_times,
    sla=levels,
    expected=st.integers(0, 2_000),
    started=st.none() | st.integers(0, 900),
)
def test_a_look_that_is_due_finds_something_new(
    soft: int | None, hard: int | None, sla: Sla, expected: int, started: int | None
) -> None:
    """Otherwise the clock would look at a job in vain; and it would miss what comes between two looks."""
    running = {} if started is None else {"state": State.ACTIVE, "started_at": NOW + started}
    job = replace(made(), soft_sla=soft, hard_sla=hard, sla=sla, **running)  # type: ignore[arg-type]
    at = next_look(job, expected)
    if at is not None:
        assert standing(job, expected, at) > job.sla
        assert standing(job, expected, at - 1) <= job.sla


def test_a_hard_miss_stops_an_open_job_once_unless_it_is_only_told() -> None:
    job = made(hard_sla=NOW)
    assert not is_stopped(job, NOW)
    assert is_stopped(job, NOW + 1)
    assert not is_stopped(replace(job, sla=Sla.HARD_MISSED), NOW + 1)
    assert not is_stopped(replace(job, on_hard_miss=HardMiss.ONLY_TELL), NOW + 1)
    assert not is_stopped(replace(job, state=State.COMPLETED), NOW + 1)


@given(st.lists(st.integers(0, 8 * 86_400_000), min_size=1, max_size=200), st.floats(0.01, 1))
def test_a_percentile_is_at_most_a_fifth_too_long_and_never_too_short(durations: list[int], share: float) -> None:
    totals: dict[str, int] = {"COMPLETED": 5, "run_ms": 10**9, "r1": 3}
    for duration in durations:
        field = duration_field(duration)
        totals[field] = totals.get(field, 0) + 1
    exact = sorted(durations)[max(0, -int(-share * len(durations) // 1) - 1)]
    found = percentile(totals, share)
    assert min(exact, 7 * 86_400_000) <= found <= max(1.2 * exact, 2) + 1


def test_nothing_is_expected_of_a_name_that_never_completed() -> None:
    assert percentile({"FAILED": 3}, 0.95) == 0


def test_the_histogram_is_bounded() -> None:
    fields = {duration_field(1 << shift) for shift in range(60)}
    assert max(int(field[1:]) for field in fields) <= 120
