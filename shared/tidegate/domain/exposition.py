"""Figures in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
"""Labels and a value."""


class Kind(StrEnum):
    """How a figure moves."""

    COUNTER = "counter"
    """It only grows."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    """Values, counted in classes."""


class Histogram:
    """How many values were at most each of some bounds. Not to be shared by threads."""

    def __init__(self, labels: Mapping[str, str], bounds: Sequence[float]) -> None:
        self._labels = labels
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def series(self, name: str) -> Iterator[tuple[str, Sample]]:
        """The lines that it is told by: classes that hold all smaller ones too, the sum, and how many values."""
        bounds = [*(f"{bound:g}" for bound in self._bounds), "+Inf"]
        for bound, count in zip(bounds, accumulate(self._counts), strict=True):
            yield f"{name}_bucket", ({**self._labels, "le": bound}, count)
        yield f"{name}_sum", (self._labels, self._sum)
        yield f"{name}_count", (self._labels, sum(self._counts))


@dataclass(frozen=True, slots=True)
class Family:
    """One figure with all its labels. A counter's name ends in `_total`, a unit is part of the name."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample] = ()
    histograms: Sequence[Histogram] = ()

    def series(self) -> Iterator[tuple[str, Sample]]:
        """Every line's name and sample."""
        yield from ((self.name, sample) for sample in self.samples)
        for each in self.histograms:
            yield from each.series(self.name)


def exposed(families: Iterable[Family]) -> str:
    """The text of all families; one without samples is left out."""
    return "".join(line + "\n" for family in families for line in _lines(family))


def _lines(family: Family) -> Iterator[str]:
    for index, (series, (labels, value)) in enumerate(family.series()):
        if index == 0:
            yield f"# HELP {family.name} {_escaped(family.help)}"
            yield f"# TYPE {family.name} {family.kind}"
        told = ",".join(f'{name}="{_quoted(label)}"' for name, label in labels.items())
        yield f"{series}{f'{{{told}}}' if told else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
