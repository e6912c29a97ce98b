"""Cron expressions of five fields, read strictly. What matches when is found by the `Cron` port.

    minute 0–59   hour 0–23   day of month 1–31   month 1–12 or JAN–DEC   day of week 0–7 or SUN–SAT (0 and 7: Sunday)

Each field is `*`, a number, a range `a-b`, a step `*/n` or `a-b/n`, or a list of these. A day must fit both its
fields where one of them is `*`, else either (Vixie cron's rule). Seconds, years and the letters L, W, #, ?, H and R are
no part of it: they mean something else in every program that has them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InvalidInput

MACROS: Mapping[str, str] = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_PART = re.compile(r"(\*|[A-Z0-9]+(?:-[A-Z0-9]+)?)(?:/(\d{1,2}))?")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    words: Mapping[str, int]

    def values(self, text: str) -> frozenset[int]:
        return frozenset(value for part in text.split(",") for value in self._part(part))

    def _part(self, text: str) -> range:
        found = _PART.fullmatch(text)
        if found is None:
            raise self._wrong(f"'{text[:32]}' is not *, a number, a range or a step")
        span, step = found[1], found[2]
        low, high = self._span(span)
        if step is None:
            return range(low, high + 1)
        if low == high:
            raise self._wrong(f"'{text}': a step needs a range, such as {low}-{self.high}/{step}")
        if not 1 <= int(step) <= high - low:
            raise self._wrong(f"'{text}': the step must be from 1 to {high - low}")
        return range(low, high + 1, int(step))

    def _span(self, text: str) -> tuple[int, int]:
        if text == "*":
            return self.low, self.high
        first, _, last = text.partition("-")
        low, high = self._number(first), self._number(last or first)
        if low > high:
            raise self._wrong(f"'{text}' ends before it begins")
        return low, high

    def _number(self, text: str) -> int:
        value = self.words.get(text, -1) if not text.isdigit() else int(text)
        if not self.low <= value <= self.high:
            raise self._wrong(f"'{text[:32]}' is not from {self.low} to {self.high}")
        return value

    def _wrong(self, rule: str) -> InvalidInput:
        return InvalidInput.field("expression", f"{self.name}: {rule}")


_FIELDS = (
    _Field("minute", 0, 59, {}),
    _Field("hour", 0, 23, {}),
    _Field("day of month", 1, 31, {}),
    _Field("month", 1, 12, {word: number for number, word in enumerate(_MONTHS, 1)}),
    _Field("day of week", 0, 7, {word: number for number, word in enumerate(_WEEKDAYS)}),
)


@dataclass(frozen=True, slots=True)
class CronRule:
    """A cron expression. `text` has its five fields in numbers and names that every cron knows."""

    text: str
    hours: frozenset[int]

    @property
    def is_hourly(self) -> bool:
        """Whether it runs in every hour: then it follows the hours that really pass, not the clock on the wall."""
        return len(self.hours) == 24


def parse_cron(text: str) -> CronRule:
    """Read an expression. Raises InvalidInput naming the field at fault, also for days that no month has."""
    words = MACROS.get(text.lower(), text).upper().split()
    if text.startswith("@") and text.lower() not in MACROS:
        raise InvalidInput.field("expression", f"'{text[:32]}' is not one of {', '.join(MACROS)}")
    if len(words) != len(_FIELDS):
        rule = f"must have five fields (minute hour day month weekday), not {len(words)}"
        raise InvalidInput.field("expression", rule)
    _, hours, days, months, _ = (field.values(word) for field, word in zip(_FIELDS, words, strict=True))
    if words[4] == "*" and all(min(days) > _LONGEST[month - 1] for month in months):
        raise InvalidInput.field("expression", f"no such month has a day {min(days)}: it would never run")
    return CronRule(" ".join(words), hours)
