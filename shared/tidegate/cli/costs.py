"""`tidegate costs`: what jobs have cost, by day and queue."""

from __future__ import annotations

from typing import Annotated

import typer

from .operations import bar_of
from .output import emit, say, table
from .session import Session, with_session


@with_session
def costs(
    session: Session,
    first: Annotated[
        str | None, typer.Option("--from", metavar="DAY", help="2026-01-31; the first of the month if not given.")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="DAY", help="Included; today if not given.")] = None,
) -> None:
    """What jobs have cost in the cloud, or would have: estimated dollars by day (UTC), and by queue."""
    with session.client() as client:
        found = client.costs(first, last)
    if session.as_json:
        emit(found)
        return
    most = max(each["dollars"] for each in found["days"]) or 1.0
    days = ((each["day"], amount(each["dollars"]), bar_of(each["dollars"], most)) for each in found["days"])
    table(("Day (UTC)", "Dollars", ""), days)
    say("")
    table(("Queue", "Dollars"), ((name, amount(spent)) for name, spent in found["queues"].items()))
    for each in found["budgets"]:
        shut = ": reached, nothing more is accepted" if each["reached"] else ""
        say(f"{amount(each['dollars'])} of {amount(each['budget'])} in this {each['period']}{shut}")
    say(f"together {amount(found['dollars'])}, at list prices of {found['prices_as_of']} in {found['region']}")


def amount(dollars: float) -> str:
    """Dollars with as many places as tell something."""
    return f"${dollars:,.2f}" if dollars >= 1 else f"${dollars:.6f}"
