"""The token bucket, as a pure rule: never more than the burst at once, never more than the rate on the long run."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain.bucket import Bucket

NOW = 2_000_000_000_000


def test_a_full_bucket_lets_a_burst_pass_and_then_its_rate() -> None:
    bucket = Bucket(rate=2, burst=5)
    assert bucket.room(0, NOW) == 5
    full_at = bucket.after(0, NOW, 5)
    assert bucket.room(full_at, NOW) == 0
    assert bucket.seconds_until(full_at, NOW) == 0.5
    assert [bucket.room(full_at, NOW + ms) for ms in (499, 500, 1_000, 2_500, 99_999)] == [0, 1, 2, 5, 5]


def test_waiting_as_long_as_told_is_enough() -> None:
    bucket = Bucket(rate=0.3, burst=4)
    full_at = bucket.after(0, NOW, 4)
    for wanted in (1, 3, 4, 9):
        later = NOW + round(bucket.seconds_until(full_at, NOW, wanted) * 1000) + 1
        assert bucket.room(full_at, later) == min(wanted, 4)


@given(
    st.floats(0.01, 5_000),
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 5_000), st.integers(1, 200)), max_size=40),
)
def test_no_history_lets_more_pass_than_burst_and_rate_allow(
    rate: float, burst: int, asked: list[tuple[int, int]]
) -> None:
    bucket, full_at, now, passed = Bucket(rate, burst), 0, NOW, 0
    for pause, wanted in asked:
        now += pause
        count = min(wanted, bucket.room(full_at, now))
        full_at = bucket.after(full_at, now, count)
        passed += count
    assert passed <= burst + (now - NOW) * 1000 / bucket.each
