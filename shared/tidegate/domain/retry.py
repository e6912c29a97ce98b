"""When a failed attempt is tried again."""

from __future__ import annotations

import random

from .job import Job, Ms

_MAX_DOUBLINGS = 62
"""2^62 seconds is far above any cap: a bound that keeps the power from overflowing."""


def backoff(delay: float, retry: int, *, exponential: bool, cap: float) -> float:
    """Seconds before retry number `retry` (from 1): delay · 2^(retry−1), at most `cap`.

    Seeds 000 and 003 state the curve; without `exponential` every retry waits `delay`.
    """
    doublings = min(max(retry, 1) - 1, _MAX_DOUBLINGS) if exponential else 0
    return float(min(delay * 2.0**doublings, cap))


def jittered(seconds: float, draw: float) -> float:
    """`seconds` spread evenly over its upper half; `draw` is uniform in [0, 1).

    "Equal jitter" keeps at least half the delay, so that a failing dependency is never hammered.
    """
    return seconds * (0.5 + draw / 2)


def next_attempt_at(now: Ms, job: Job, rng: random.Random) -> Ms:
    """The earliest time of the attempt that follows the failed one of `job`."""
    seconds = backoff(job.retry_delay, job.retry_count + 1, exponential=job.retry_backoff, cap=job.retry_delay_max)
    if job.retry_jitter:
        seconds = jittered(seconds, rng.random())
    return now + round(seconds * 1000)
