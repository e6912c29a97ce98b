"""What the ends of its parents mean for a node."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .spec import Join


class End(StrEnum):
    """How a parent ended, as far as those behind it care."""

    DONE = "done"
    """COMPLETED."""
    PASSED = "passed"
    """SKIPPED because its branch was not taken or it had nothing to do."""
    BROKEN = "broken"
    """FAILED, EXPIRED or CANCELLED, or SKIPPED because something before it was."""


@dataclass(frozen=True, slots=True)
class Release:
    """The node may start."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not all that matters has ended."""


@dataclass(frozen=True, slots=True)
class Pass:
    """The node is skipped: `broken` tells whether because something before it failed; `because` names the parents."""

    broken: bool
    because: tuple[str, ...]


Decision = Release | Wait | Pass


def decide(join: Join, count: int | None, ends: Mapping[str, End | None]) -> Decision:
    """What a node does, given how each of its parents ended (None: not yet).

    Once an answer is not `Wait` it stays the same whatever the open parents do, so that it may be given
    early and be given again. So that nothing before it failed can be said only when all have ended.
    """
    if not ends:
        return Release()
    totals = Counter(ends.values())
    still_open, done, passed = totals[None], totals[End.DONE], totals[End.PASSED]
    broken = tuple(sorted(parent for parent, end in ends.items() if end is End.BROKEN))
    match join:
        case Join.ALL_DONE:
            return Wait() if still_open else Release()
        case Join.ANY | Join.N_OF:
            return _some(1 if join is Join.ANY else count or 1, done, still_open, ends)
        case Join.ALL_SUCCESS if passed and not broken and not still_open:
            return Pass(False, _named(ends, End.PASSED))
    if broken:
        return Pass(True, broken)
    if still_open:
        return Wait()
    return Release() if done else Pass(False, _named(ends, End.PASSED))


def _some(wanted: int, done: int, still_open: int, ends: Mapping[str, End | None]) -> Decision:
    if done >= wanted:
        return Release()
    if done + still_open >= wanted:
        return Wait()
    broken = _named(ends, End.BROKEN)
    if still_open and not broken:
        return Wait()
    return Pass(bool(broken), broken or _named(ends, End.PASSED))


def _named(ends: Mapping[str, End | None], end: End) -> tuple[str, ...]:
    return tuple(sorted(parent for parent, found in ends.items() if found is end))
