"""What a tenant may spend in a day and in a month of UTC, and how it stands to that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from .cost import NANO, dollars
from .job import Ms

WARN_AT = 0.8
"""The part of a budget at which is warned, unless the tenant has another."""


class Period(StrEnum):
    """What a budget is for."""

    DAY = "day"
    MONTH = "month"

    def first(self, today: date) -> date:
        """The first day of the period that holds a day."""
        return today if self is Period.DAY else today.replace(day=1)

    def ends(self, today: date) -> Ms:
        """When the period that holds a day is over."""
        if self is Period.DAY:
            return start_of(today + timedelta(days=1))
        return start_of((today.replace(day=1) + timedelta(days=31)).replace(day=1))


class Level(StrEnum):
    """What is told of a budget, once in each period."""

    WARNED = "warned"
    REACHED = "reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What was spent in the present period, and what may be, in nano-dollars."""

    period: Period
    first: date
    ends_at: Ms
    spent: int
    budget: int
    warn_at: float

    @property
    def reached(self) -> bool:
        """Whether nothing more is accepted."""
        return self.spent >= self.budget

    @property
    def levels(self) -> tuple[Level, ...]:
        """What has to be told."""
        warned = (Level.WARNED,) if self.reached or self.spent >= self.warn_at * self.budget else ()
        return (*warned, Level.REACHED) if self.reached else warned

    @property
    def told(self) -> str:
        """What was spent of what, in words."""
        return f"{amount(self.spent)} of the {amount(self.budget)} that it may spend in a {self.period}"


def nano(amount_in_dollars: float) -> int:
    """Dollars in nano-dollars."""
    return round(amount_in_dollars * NANO)


def amount(in_nano: int) -> str:
    """An amount as people write it: cents where there are any, and a millionth where there are not."""
    value = dollars(in_nano)
    return f"${value:,.2f}" if value >= 1 or not in_nano else f"${value:.6f}"


def day_of(at: Ms) -> date:
    """The day of UTC that holds a time."""
    return datetime.fromtimestamp(at / 1000, UTC).date()


def start_of(day: date) -> Ms:
    """When a day of UTC begins."""
    return round(datetime.combine(day, time(), UTC).timestamp() * 1000)
