"""How long jobs of a name take: a histogram whose steps grow by a fifth, so that it stays small whatever comes.

Four steps double the duration; up to the longest time-out (7 days) there are 117 of them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

STEPS_PER_OCTAVE = 4
_LONGEST_MS = 7 * 86_400_000
_FIELD = re.compile(r"d(\d+)")


def duration_field(ms: int) -> str:
    """The name of the histogram's field that counts a duration."""
    return f"d{math.floor(STEPS_PER_OCTAVE * math.log2(min(max(ms, 1), _LONGEST_MS)))}"


def percentile(totals: Mapping[str, int], share: float) -> int:
    """A duration in ms that `share` (0..1) of those counted did not pass, at most a fifth too long; 0 where none are.

    Fields of `totals` that are not the histogram's are left out.
    """
    counted = ((_FIELD.fullmatch(name), count) for name, count in totals.items())
    steps = sorted((int(field[1]), count) for field, count in counted if field is not None and count > 0)
    left = share * sum(count for _, count in steps)
    for step, count in steps:
        left -= count
        if left <= 0:
            return math.ceil(2 ** ((step + 1) / STEPS_PER_OCTAVE))
    return 0
