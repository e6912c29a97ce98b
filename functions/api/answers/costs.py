"""What the route of costs answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, WithJsonSchema

from .base import Answer, Table, Told

Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]


class Spent(Answer):
    """Estimated dollars, at list prices."""

    dollars: float
    queues: dict[str, float] = Field(description="The same by queue.")


class DayCost(Spent):
    """Those of one day of UTC."""

    day: Day


class Costs(Spent):
    """Those of some days together, and of each."""

    from_: Day = Field(alias="from")
    to: Day
    days: list[DayCost] = Field(description="Every day of them, oldest first.")
    prices_as_of: str
    region: str


class CostsAnswer(Told):
    """What jobs have cost."""

    costs: Costs


ANSWERS: Table = {"get_costs": {200: CostsAnswer}}
