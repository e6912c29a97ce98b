"""The route of `/costs`: what the tenant's jobs have cost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.budget import Standing
from tidegate.domain.cost import dollars
from tidegate.domain.errors import InvalidInput
from tidegate.service import costs as service
from tidegate.service.budgets import own_standings
from tidegate.service.fares import prices

from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@router.get("/costs", tags=["stats"], operation_id="get_costs", summary="What jobs have cost, by day and queue")
def get_costs(
    request: Request,
    first: Annotated[
        str | None, Query(alias="from", description="2026-01-31; the first of that month if absent.")
    ] = None,
    last: Annotated[str | None, Query(alias="to", description="2026-01-31, included; today if absent.")] = None,
) -> Response[Any]:
    """Estimated dollars at list prices, of the tenant's jobs of all users, by days of UTC; at most 92 days at once."""
    only(request, "from", "to")
    ports, caller = runtime.current().ports, caller_of(request)
    found = service.costs(ports, caller, _day("from", first), _day("to", last))
    view = {
        "from": found[0].day.isoformat(),
        "to": found[-1].day.isoformat(),
        **_sum(service.by_queue(found)),
        "days": [{"day": each.day.isoformat(), **_sum(each.queues)} for each in found],
        "budgets": [_budget(each) for each in own_standings(ports, caller)],
        "prices_as_of": prices().as_of,
        "region": prices().region,
    }
    return answer({"success": True, "message": "Costs retrieved", "costs": view})


def _budget(standing: Standing) -> dict[str, Any]:
    return {
        "period": standing.period,
        "from": standing.first.isoformat(),
        "until": format_time(standing.ends_at),
        "dollars": dollars(standing.spent),
        "budget": dollars(standing.budget),
        "warn_at": standing.warn_at,
        "reached": standing.reached,
    }


def _sum(queues: Mapping[str, int]) -> dict[str, Any]:
    """Dollars in all, and by queue."""
    return {
        "dollars": dollars(sum(queues.values())),
        "queues": {name: dollars(nano) for name, nano in queues.items()},
    }


def _day(field: str, text: str | None) -> date | None:
    if text is None:
        return None
    if _DAY.fullmatch(text):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise InvalidInput.field(field, "must be a day such as 2026-01-31")
