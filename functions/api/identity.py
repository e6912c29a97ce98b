"""Who the caller is."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import __version__, runtime

from .requests import answer, caller_of, only

router = Router()  # type: ignore[no-untyped-call]


@router.get("/whoami", tags=["service"], operation_id="whoami", summary="Whose token this is, and what it may do")
def whoami(request: Request) -> Response[Any]:
    """Any valid token may ask. `admin` among the scopes stands for all; `streams` tells whether `/events` does here."""
    only(request)
    caller, settings = caller_of(request), runtime.current().settings
    return answer(
        {
            "success": True,
            "message": "This is you",
            "tenant": caller.tenant,
            "user": caller.user,
            "scopes": sorted(caller.scopes),
            "stage": settings.stage,
            "version": __version__,
            "streams": settings.data is not None,
        }
    )
