"""Durations as a histogram of half octaves: enough for percentiles, small enough to be counted as they come."""

from __future__ import annotations

from collections.abc import Mapping
from math import floor, log2

_PER_OCTAVE = 2
"""Buckets until a duration has doubled: each is wider than the one before by √2."""


def bucket_of(ms: int) -> int:
    """The bucket of a duration in milliseconds; what is shorter than one counts as one."""
    return floor(_PER_OCTAVE * log2(max(1, ms)))


def percentile(histogram: Mapping[int, int], share: float) -> float | None:
    """The duration in milliseconds that `share` (0..1) of those counted do not exceed; None if none was counted.

    Within a bucket durations are taken as spread evenly over its logarithm, so the answer is off by √2 at most, and
    much less where many were counted.
    """
    left = share * sum(histogram.values())
    for bucket, count in sorted(histogram.items()):
        if count >= left and count:
            return float(2 ** ((bucket + left / count) / _PER_OCTAVE))
        left -= count
    return None
