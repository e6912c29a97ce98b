"""Priorities, the four bands that SQS sees, and the rank that decides who starts next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .errors import InvalidInput
from .job import Ms

LOWEST, DEFAULT, HIGHEST = 0, 5, 10
NAMES: Mapping[str, int] = {"low": 0, "normal": 5, "high": 8, "critical": 10}

_RANK_SPAN_MS = 100_000_000_000_000
"""Wider than any creation time in milliseconds (the year 5138), so that a priority level always outweighs age."""


AGE_FLOOR_SECONDS = 86_400.0


class Band(StrEnum):
    """One SQS queue of a pool, best first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class Ordering(StrEnum):
    """How a queue ranks its ready jobs."""

    STRICT = "strict"
    """Higher priority first, then older first."""
    AGING = "aging"
    """A priority level is worth `aging_seconds` of waiting, so nothing starves."""
    DEADLINE = "deadline"
    """Least slack to the first deadline first; jobs without one rank as if due `aging_seconds` per missing level later.

    None ranks later than `age_floor_seconds` after it was made, so nothing starves.
    """


def parse_priority(value: int | str) -> int:
    """A priority 0–10 from a number or a name (`low`, `normal`, `high`, `critical`).

    Raises InvalidInput for anything else, booleans included.
    """
    rule = "must be an integer from 0 to 10, or one of low, normal, high, critical"
    if isinstance(value, str):
        if value.lower() not in NAMES:
            raise InvalidInput.field("priority", rule)
        return NAMES[value.lower()]
    if isinstance(value, bool) or not isinstance(value, int) or not LOWEST <= value <= HIGHEST:
        raise InvalidInput.field("priority", rule)
    return value


def band_of(priority: int) -> Band:
    """The SQS queue that carries tickets of this priority: 10, 7–9, 4–6, 0–3."""
    if priority >= HIGHEST:
        return Band.CRITICAL
    if priority >= 7:
        return Band.HIGH
    return Band.NORMAL if priority >= 4 else Band.LOW


def first_rank(priority: int) -> int:
    """The smallest rank that a strict ordering gives to jobs of a priority: the oldest of them has the next one."""
    return (HIGHEST - priority) * _RANK_SPAN_MS


def rank_of(
    ordering: Ordering,
    *,
    priority: int,
    created_at: Ms,
    deadline: Ms | None = None,
    expected_ms: int = 0,
    aging_seconds: float = 60.0,
    age_floor_seconds: float = AGE_FLOOR_SECONDS,
    late: bool = False,
) -> int:
    """The place of a job in its lane: smaller starts first; equal ranks start by id.

    No rank depends on the present time, so it can be an index key: waiting time grows alike for all
    jobs, and slack (deadline − now − expected duration) shrinks alike.

    `deadline` is the soft, else the hard deadline; `expected_ms` the expected duration in milliseconds. A job that is
    `late`, its soft deadline missed, ranks among those of the highest priority.
    """
    missing_levels = 0 if late else HIGHEST - priority
    aged = created_at + round(missing_levels * aging_seconds * 1000)
    if ordering is Ordering.STRICT:
        return missing_levels * _RANK_SPAN_MS + created_at
    if ordering is Ordering.AGING:
        return aged
    floor = created_at + round(age_floor_seconds * 1000)
    return min(floor, aged if deadline is None else max(0, deadline - expected_ms))
