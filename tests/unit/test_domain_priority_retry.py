"""Ranks, bands, priorities and retry delays."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.errors import InvalidInput
from tidegate.domain.priority import Band, Ordering, band_of, parse_priority, rank_of
from tidegate.domain.queue import Queue
from tidegate.domain.retry import backoff, jittered, next_attempt_at
from tidegate.domain.spec import JobSpec, new_job

NOW = 1_800_000_000_000
priorities = st.integers(0, 10)
times = st.integers(0, 4_000_000_000_000)


@pytest.mark.parametrize(
    ("value", "priority"), [("low", 0), ("normal", 5), ("HIGH", 8), ("critical", 10), (0, 0), (7, 7), (10, 10)]
)
def test_priorities_have_numbers_and_names(value: int | str, priority: int) -> None:
    assert parse_priority(value) == priority


@pytest.mark.parametrize("value", [11, -1, "urgent", "", True, 5.0, None])
def test_other_priorities_are_refused_by_name_of_the_field(value: object) -> None:
    with pytest.raises(InvalidInput, match="priority"):
        parse_priority(value)  # type: ignore[arg-type]


def test_bands_are_those_of_the_documents() -> None:
    expected = [Band.LOW] * 4 + [Band.NORMAL] * 3 + [Band.HIGH] * 3 + [Band.CRITICAL]
    assert [band_of(priority) for priority in range(11)] == expected


@given(priorities, times, priorities, times)
def test_strict_is_priority_then_age(p1: int, t1: int, p2: int, t2: int) -> None:
    first, second = (rank_of(Ordering.STRICT, priority=p, created_at=t) for p, t in ((p1, t1), (p2, t2)))
    assert (first < second) == ((-p1, t1) < (-p2, t2))


@given(priorities, times, priorities, times, st.floats(1, 3600))
def test_aging_trades_a_level_for_seconds_of_waiting(p1: int, t1: int, p2: int, t2: int, seconds: float) -> None:
    first, second = (
        rank_of(Ordering.AGING, priority=p, created_at=t, aging_seconds=seconds) for p, t in ((p1, t1), (p2, t2))
    )
    lead = (p1 - p2) * seconds * 1000 - (t1 - t2)
    if abs(lead) > 2:
        assert (first < second) == (lead > 0)


@given(priorities, times)
def test_with_aging_nothing_starves(priority: int, created: int) -> None:
    """A job of the lowest priority outranks every job created 10 levels' worth of waiting later."""
    old = rank_of(Ordering.AGING, priority=priority, created_at=created, aging_seconds=60)
    fresh = rank_of(Ordering.AGING, priority=10, created_at=created + 10 * 60_000 + 1, aging_seconds=60)
    assert old < fresh


@given(times, times, st.integers(0, 3_600_000), st.integers(0, 3_600_000), times)
def test_deadline_orders_by_slack_at_any_moment(d1: int, d2: int, e1: int, e2: int, now: int) -> None:
    first, second = (
        rank_of(Ordering.DEADLINE, priority=5, created_at=0, deadline=d, expected_ms=e, age_floor_seconds=10**10)
        for d, e in ((d1, e1), (d2, e2))
    )
    slack1, slack2 = d1 - e1 - now, d2 - e2 - now
    if min(d1 - e1, d2 - e2) > 0:
        assert (first < second) == (slack1 < slack2)


@given(priorities, times, st.none() | st.integers(0, 10**14), st.integers(0, 10**9), st.integers(1, 10**6))
def test_in_deadline_order_nothing_starves(
    priority: int, created: int, deadline: int | None, expected: int, floor: int
) -> None:
    """Whatever a job's deadline, those made `age_floor_seconds` later, and due when made or later, come after it."""
    old = rank_of(
        Ordering.DEADLINE, priority=priority, created_at=created, deadline=deadline, expected_ms=expected,
        age_floor_seconds=floor,
    )  # fmt: skip
    later = created + floor * 1000 + 1
    fresh = rank_of(
        Ordering.DEADLINE, priority=10, created_at=later, deadline=later, age_floor_seconds=floor, aging_seconds=60
    )
    assert old < fresh


@given(st.sampled_from([Ordering.STRICT, Ordering.AGING]), priorities, times)
def test_a_late_job_ranks_among_the_critical_ones(ordering: Ordering, priority: int, created: int) -> None:
    late = rank_of(ordering, priority=priority, created_at=created, late=True)
    assert late == rank_of(ordering, priority=10, created_at=created)


@given(st.sampled_from(Ordering), priorities, times, st.none() | times)
def test_ranks_fit_a_sort_key(ordering: Ordering, priority: int, created: int, deadline: int | None) -> None:
    rank = rank_of(ordering, priority=priority, created_at=created, deadline=deadline)
    assert 0 <= rank < 2**63
    assert len(str(rank)) <= 20


def test_retries_wait_two_four_eight_seconds() -> None:
    """Seed 003: retry 1 after 2 s, retry 2 after 4 s, retry 3 after 8 s."""
    assert [backoff(2.0, n, exponential=True, cap=1e9) for n in (1, 2, 3)] == [2.0, 4.0, 8.0]
    assert [backoff(5.0, n, exponential=False, cap=1e9) for n in (1, 2, 3)] == [5.0, 5.0, 5.0]


@given(st.floats(0, 1e6), st.integers(0, 10**9), st.floats(0, 1e6))
def test_backoff_never_overflows_nor_passes_its_cap(delay: float, retry: int, cap: float) -> None:
    assert 0 <= backoff(delay, retry, exponential=True, cap=cap) <= cap


@given(st.floats(0, 1e6), st.integers(1, 60))
def test_backoff_never_shrinks(delay: float, retry: int) -> None:
    assert backoff(delay, retry, exponential=True, cap=1e9) <= backoff(delay, retry + 1, exponential=True, cap=1e9)


def test_jitter_is_even_over_the_upper_half() -> None:
    """Not only inside the bounds: the distribution itself is even."""
    rng = random.Random(7)
    draws = [jittered(100.0, rng.random()) for _ in range(20_000)]
    buckets = [sum(50 + 5 * k <= draw < 55 + 5 * k for draw in draws) for k in range(10)]
    assert sum(buckets) == len(draws)
    assert max(abs(bucket - 2_000) for bucket in buckets) < 200


def test_the_next_attempt_follows_the_jobs_own_policy() -> None:
    spec = JobSpec(name="x", retry_delay=5, retry_limit=3)
    made = new_job(spec, Queue(tenant="t", name="q"), job_id="j", owner="o", now=NOW)
    waits = [next_attempt_at(NOW, replace(made, attempt=n), random.Random(1)) - NOW for n in (1, 2, 3)]
    assert waits == [5_000, 10_000, 20_000]
    flat = replace(made, retry_backoff=False, attempt=3)
    assert next_attempt_at(NOW, flat, random.Random(1)) - NOW == 5_000
