"""The route of `/stats`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.service import stats as service

from .requests import answer, caller_of
from .views import stats_view

router = Router()  # type: ignore[no-untyped-call]


@router.get("/stats", tags=["stats"], operation_id="get_stats", summary="How many jobs stand where")
def get_stats(request: Request) -> Response[Any]:
    """Counted from the change feed, seconds late at most."""
    found = service.stats(runtime.current().ports, caller_of(request))
    return answer({"success": True, "message": "Stats retrieved successfully", "stats": stats_view(found)})
