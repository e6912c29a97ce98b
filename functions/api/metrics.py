"""The route of `/metrics`: figures for Prometheus and what reads its format."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.exposition import CONTENT_TYPE, exposed
from tidegate.service.measure import measure

from .requests import caller_of, only

router = Router()  # type: ignore[no-untyped-call]


@router.get("/metrics", tags=["stats"], operation_id="metrics", summary="All figures, in Prometheus' text format")
def metrics(request: Request) -> Response[Any]:
    """What waits, runs and ends, deadlines, run times and workers of the tenant, from counters seconds late at most."""
    only(request)
    app = runtime.current()
    return Response(200, CONTENT_TYPE, exposed(measure(app.ports, caller_of(request), slots=app.settings.slots)))
