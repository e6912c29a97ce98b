"""Whether the API is up, and what it offers. Nothing here is about a tenant."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router

from tidegate import __version__, runtime

from .requests import answer
from .wire import JSON_TYPE, format_time

router = Router()  # type: ignore[no-untyped-call]


@router.get("/health", tags=["service"], operation_id="health", summary="Whether the API answers")
def health() -> Response[Any]:
    """Answer without touching a store."""
    now = runtime.current().ports.now()
    return answer({"success": True, "status": "ok", "version": __version__, "time": format_time(now)})


@router.get("/openapi.json", tags=["service"], operation_id="openapi", summary="This description of the API")
def description() -> Response[Any]:
    """The API in OpenAPI 3.1. What it needs is imported when it is asked for."""
    from .openapi import document_text

    return Response(200, JSON_TYPE, document_text())
