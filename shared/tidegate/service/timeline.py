"""What became of jobs over time, and how long they ran: from the change feed's figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.durations import percentile
from tidegate.domain.job import Ms, State
from tidegate.ports import Ports

from .record_changes import SLOT_MS, hour_series, slot_field

HOUR_MS = 3_600_000
FINE_HOURS = 24
"""Up to so many hours are told in steps of five minutes, more in steps of an hour."""


@dataclass(frozen=True, slots=True)
class Point:
    """The jobs that completed, and that failed for good, within one step from `at` on."""

    at: Ms
    completed: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The last hours, oldest point first, and their figures together. Percentiles are None where nothing completed."""

    step_seconds: int
    points: tuple[Point, ...]
    completed: int
    failed: int
    p50_run_seconds: float | None
    p99_run_seconds: float | None

    @property
    def success_rate(self) -> float | None:
        """Percent of the jobs that completed among those that completed or failed, to one decimal."""
        ended = self.completed + self.failed
        return round(100 * self.completed / ended, 1) if ended else None


def timeline(ports: Ports, caller: Caller, hours: int = 24) -> Timeline:
    """What became of jobs within the last hours, the step under way included."""
    caller.require(Scope.READ)
    step = SLOT_MS if hours <= FINE_HOURS else HOUR_MS
    last = ports.now() // step * step
    starts = range(last + step - hours * HOUR_MS, last + step, step)
    found = ports.figures.between(caller.tenant, hour_series(starts[0]), hour_series(last))
    points = tuple(_point(at, step, found.get(hour_series(at), {})) for at in starts)
    p50, p99 = run_percentiles(found.values())
    return Timeline(
        step_seconds=step // 1000,
        points=points,
        completed=sum(point.completed for point in points),
        failed=sum(point.failed for point in points),
        p50_run_seconds=p50,
        p99_run_seconds=p99,
    )


def run_percentiles(hours: Iterable[Mapping[str, int]]) -> tuple[float | None, float | None]:
    """How many seconds half, and 99 %, of the completed jobs of these hours ran at most; None where there are none."""
    together: Counter[str] = Counter()
    for totals in hours:
        together.update(totals)
    p50, p99 = (percentile(together, share) for share in (0.5, 0.99))
    return _seconds(p50), _seconds(p99)


def _point(at: Ms, step: int, hour: Mapping[str, int]) -> Point:
    fields = (slot_field(state, at) if step == SLOT_MS else state.value for state in (State.COMPLETED, State.FAILED))
    return Point(at, *(hour.get(field, 0) for field in fields))


def _seconds(ms: int) -> float | None:
    """Seconds; None for the 0 that stands for "none was counted"."""
    return ms / 1000 if ms else None
