"""Tables in Markdown, and figures as people read them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class Table:
    """A titled table with notes below it."""

    title: str
    columns: Sequence[str]
    rows: list[Sequence[object]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, *cells: object) -> None:
        """One more row."""
        self.rows.append(cells)

    def markdown(self) -> str:
        """The table as text."""
        lines = [f"### {self.title}", ""] if self.title else []
        if self.rows:
            lines += [_line(self.columns), _line(["---", *["---:"] * (len(self.columns) - 1)])]
            lines += [_line([shown(cell) for cell in row]) for row in self.rows]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines) + "\n"


def shown(value: object) -> str:
    """A figure to three significant digits; nothing for None."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if value == 0:
        return "0"
    if abs(value) >= 100 or (isinstance(value, int) and abs(value) >= 10):
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def median(values: Iterable[float]) -> float | None:
    """The median; None of nothing."""
    found = list(values)
    return statistics.median(found) if found else None


def share(value: float | None, of: float | None) -> str:
    """How many times `of` the value is."""
    return "–" if value is None or not of else f"{value / of:.2f} ×"


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest-rank percentile; None of nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)] if ordered else None


def slope(sizes: Sequence[int], values: Sequence[float]) -> float:
    """The exponent with which values grow with sizes: 0 is flat, 1 is linear."""
    fit = statistics.linear_regression([math.log(size) for size in sizes], [math.log(value) for value in values])
    return fit.slope


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
