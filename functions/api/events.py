"""The route of `/events`: described here, served where a connection can stay open."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.caller import Scope
from tidegate.domain.errors import NotSupported

from .query_models import EventQuery
from .requests import caller_of

router = Router()  # type: ignore[no-untyped-call]


@router.get("/events", tags=["events"], operation_id="stream_events", summary="What becomes of jobs and runs, live")
def stream_events(request: Request, query: Annotated[EventQuery, Query()]) -> Response[Any]:  # noqa: ARG001
    """Server-sent events from the embedded server, resumed by the header `Last-Event-ID`.

    In the cloud, where no connection stays open, the same events are on the stage's EventBridge bus, which the
    error 501 names.
    """
    caller_of(request).require(Scope.READ)
    bus = runtime.current().settings.event_bus
    where = f"they are on the EventBridge bus '{bus}'" if bus else "this stage has no event bus (cdk.json: events)"
    raise NotSupported(f"events are not streamed over this API: {where}", event_bus=bus or None)
