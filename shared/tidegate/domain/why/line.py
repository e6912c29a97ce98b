"""The gates of the line: jobs that rank better, and the pool that serves more than one queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.domain.job import Job
from tidegate.domain.priority import Band, band_of
from tidegate.domain.words import counted

from .gate import NAMED, Gate, GateName


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs of a lane that rank better than one job: how many, at least so many unless `exact`, and the first of them.

    `starts` of the lane within the last `seconds` tell how fast the line moves.
    """

    ahead: int
    exact: bool
    first: tuple[str, ...] = ()
    starts: int = 0
    seconds: float = 0.0

    @property
    def starts_per_minute(self) -> float | None:
        """How fast the line moves; None where nothing started lately."""
        return round(60 * self.starts / self.seconds, 2) if self.starts and self.seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tickets of one pool by band: those that can be seen, and those that workers hold."""

    visible: Mapping[Band, int]
    in_flight: int


def in_line(job: Job, line: Line) -> Gate:
    """Whether jobs of its queue rank before it."""
    pace = line.starts_per_minute
    facts = {
        "queue": job.queue,
        "ahead": line.ahead,
        "exact": line.exact,
        "first": list(line.first[:NAMED]),
        "starts_per_minute": pace,
    }
    if not line.ahead:
        return Gate(GateName.LINE, False, f"it is the next of its queue '{job.queue}'", facts)
    moves = "of which none started lately" if pace is None else f"of which {pace:g} start in a minute"
    ahead = counted(line.ahead, "job", exact=line.exact)
    return Gate(GateName.LINE, True, f"{ahead} of its queue '{job.queue}' rank before it, {moves}", facts)


def pool_busy(job: Job, pool: Waiting) -> Gate:
    """Whether its pool has tickets of better bands to serve, of whatever queue."""
    band = band_of(job.priority)
    better = list(Band)[: list(Band).index(band)]
    before = sum(pool.visible.get(each, 0) for each in better)
    facts = {
        "pool": job.pool,
        "band": band.value,
        "tickets_of_better_bands": before,
        "tickets_of_its_band": pool.visible.get(band, 0),
        "tickets_at_work": pool.in_flight,
    }
    if not before:
        return Gate(GateName.POOL, False, f"its pool '{job.pool}' has no tickets of higher priority to serve", facts)
    tickets = counted(before, "ticket")
    return Gate(GateName.POOL, True, f"its pool '{job.pool}' has {tickets} of higher priority to serve first", facts)
