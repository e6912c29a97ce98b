"""What a tenant's jobs have cost, by day and queue: from what the change feed adds up in its hourly series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tidegate.domain.budget import day_of, start_of
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput
from tidegate.ports import Ports

from .record_changes import SPENT, hour_series

MOST_DAYS = 92
"""Days that are told of at once."""
_DAY = timedelta(days=1)
_LAST_HOUR_MS = 23 * 3_600_000


@dataclass(frozen=True, slots=True)
class DayCost:
    """What was spent within one day of UTC, in nano-dollars, by queue."""

    day: date
    queues: Mapping[str, int]

    @property
    def total(self) -> int:
        """Of all queues."""
        return sum(self.queues.values())


def costs(ports: Ports, caller: Caller, first: date | None = None, last: date | None = None) -> list[DayCost]:
    """What the caller's tenant spent on each day, the first and the last included, oldest first.

    The first is the first of the last one's month unless given, the last is today. Raises Forbidden, InvalidInput.
    """
    caller.require(Scope.READ)
    last = last or day_of(ports.now())
    first = first or last.replace(day=1)
    if first > last:
        raise InvalidInput.field("from", "must not be after 'to'")
    if last - first >= MOST_DAYS * _DAY:
        raise InvalidInput.field("from", f"must be less than {MOST_DAYS} days before 'to'")
    return spent_on(ports, caller.tenant, first, last)


def spent_on(ports: Ports, tenant: str, first: date, last: date, fresh: Collection[str] = ()) -> list[DayCost]:
    """The same of a tenant: one query, and one read for each hourly series that must be up to date."""
    bounds = hour_series(start_of(first)), hour_series(start_of(last) + _LAST_HOUR_MS)
    hours = dict(ports.figures.between(tenant, *bounds))
    hours |= {series: ports.figures.read(tenant, series) for series in fresh if bounds[0] <= series <= bounds[1]}
    found: dict[str, Counter[str]] = {}
    for series, totals in hours.items():
        found.setdefault(_day_text(series), Counter()).update(_queues(totals))
    days = [first + number * _DAY for number in range((last - first).days + 1)]
    return [DayCost(day, dict(sorted(found.get(day.isoformat(), {}).items()))) for day in days]


def by_queue(days: Sequence[DayCost]) -> Mapping[str, int]:
    """What was spent on all these days, by queue."""
    together: Counter[str] = Counter()
    for day in days:
        together.update(day.queues)
    return dict(sorted(together.items()))


def _day_text(series: str) -> str:
    return series.partition("#")[2].partition("T")[0]


def _queues(totals: Mapping[str, int]) -> dict[str, int]:
    return {name.removeprefix(SPENT): spent for name, spent in totals.items() if name.startswith(SPENT)}
