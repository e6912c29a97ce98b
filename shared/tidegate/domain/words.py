"""Durations, counts and foreign texts as people say them, for sentences that explain something."""

from __future__ import annotations

from collections.abc import Sequence

from .job import Ms

_UNITS = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_MOST = 200
"""Characters of a foreign text that a sentence repeats."""


def duration(ms: Ms) -> str:
    """A span of time, two units at most: `0.5 s`, `45 s`, `3 min`, `2 h 5 min`, `3 days`. Below zero is `0 s`."""
    seconds = max(0, ms) / 1000
    if seconds < 60:
        return f"{seconds:.1f}".removesuffix(".0") + " s" if seconds < 10 else f"{int(seconds)} s"
    whole, parts = int(seconds), []
    for unit, size in _UNITS:
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} day{'s' if count > 1 else ''}" if unit == "day" else f"{count} {unit}")
    return " ".join(parts[:2])


def counted(number: int, noun: str, *, exact: bool = True) -> str:
    """`1 job`, `1,200 jobs`, `more than 1,000 jobs`."""
    return f"{'' if exact else 'more than '}{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], total: int) -> str:
    """Some of `total` names: `a`, `a and b`, `a, b and 3 more`."""
    left = total - len(names)
    *first, last = (*names, f"{left:,} more") if left > 0 else names
    return f"{', '.join(first)} and {last}" if first else last


def shortened(text: str) -> str:
    """A foreign text on one line, cut to what a sentence can hold."""
    line = " ".join(text.split())
    return line if len(line) <= _MOST else line[: _MOST - 1] + "…"
