"""HTTP request → one route → answer. The same for API Gateway and for the embedded home's HTTP server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate.domain.errors import TidegateError

from . import errors, waiting, wire
from .resolver import resolver


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway HTTP API event (payload format 2.0)."""
    try:
        request = wire.readable(event)
    except TidegateError as error:
        return errors.lambda_answer(error)
    with waiting.within(context):
        return resolver().resolve(request, context)
