"""What the route of costs answers."""

from __future__ import annotations

from pydantic import Field

from tidegate.domain.budget import Period

from .base import Answer, Day, Table, Time, Told


class Spent(Answer):
    """Estimated dollars, at list prices."""

    dollars: float
    queues: dict[str, float] = Field(description="The same by queue.")


class DayCost(Spent):
    """Those of one day of UTC."""

    day: Day


class BudgetUse(Answer):
    """What was spent of a budget in the present period, in dollars."""

    period: Period
    from_: Day = Field(alias="from")
    until: Time
    dollars: float
    budget: float
    warn_at: float = Field(description="The part of it at which is warned.")
    reached: bool = Field(description="Whether nothing more is accepted until the period ends.")


class Costs(Spent):
    """Those of some days together, and of each."""

    from_: Day = Field(alias="from")
    to: Day
    days: list[DayCost] = Field(description="Every day of them, oldest first.")
    budgets: list[BudgetUse] = Field(description="How the tenant stands today to each budget that it has.")
    prices_as_of: str
    region: str


class CostsAnswer(Told):
    """What jobs have cost."""

    costs: Costs


ANSWERS: Table = {"get_costs": {200: CostsAnswer}}
