"""Percentiles out of a histogram of half octaves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.durations import bucket_of, percentile


def exact(durations: list[int], share: float) -> int:
    """The smallest of them that so many do not exceed."""
    ordered = sorted(durations)
    return next(each for each in ordered if sum(1 for other in ordered if other <= each) >= share * len(ordered))


@given(st.lists(st.integers(1, 10**9), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_is_off_by_less_than_half_an_octave(durations: list[int], share: float) -> None:
    found = percentile(Counter(map(bucket_of, durations)), share)
    assert found is not None
    assert 0.7 <= found / exact(durations, share) <= 1.42


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_longer_durations_never_have_a_lower_bucket(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) == (one <= other) or bucket_of(one) == bucket_of(other)


@pytest.mark.parametrize("ms", [0, 1, -5])
def test_what_is_shorter_than_a_millisecond_counts_as_one(ms: int) -> None:
    assert bucket_of(ms) == 0


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile({}, 0.5) is None
    assert percentile({3: 0}, 0.5) is None


def test_many_in_one_bucket_are_spread_over_it() -> None:
    median, last = percentile({20: 1000}, 0.5), percentile({20: 1000}, 1.0)
    assert median is not None
    assert 2**10 < median < 2**10.5
    assert last == pytest.approx(2**10.5)
