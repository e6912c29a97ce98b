"""Figures in Prometheus' text format, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Sample = tuple[Mapping[str, str], float]
"""Labels and a value."""


class Kind(StrEnum):
    """How a figure moves."""

    COUNTER = "counter"
    """It only grows."""
    GAUGE = "gauge"


@dataclass(frozen=True, slots=True)
class Family:
    """One figure with all its labels. A counter's name ends in `_total`, a unit is part of the name."""

    name: str
    kind: Kind
    help: str
    samples: Sequence[Sample]


def exposed(families: Iterable[Family]) -> str:
    """The text of all families; one without samples is left out."""
    return "".join(line + "\n" for family in families if family.samples for line in _lines(family))


def _lines(family: Family) -> Iterable[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for labels, value in family.samples:
        told = ",".join(f'{name}="{_quoted(label)}"' for name, label in labels.items())
        yield f"{family.name}{f'{{{told}}}' if told else ''} {value:.15g}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', '\\"')
