"""HTTP request → one route, or a file of the console → answer. The same for API Gateway and the embedded home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate import runtime
from tidegate.console import is_console
from tidegate.domain.errors import TidegateError
from tidegate.execution.correlating import correlated, of_request
from tidegate.execution.discreet import discreet
from tidegate.execution.emf import publish

from . import console, errors, waiting, wire
from .resolver import resolver


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answer one API Gateway HTTP API event (payload format 2.0); the answer says what the request was called."""
    if is_console(event["rawPath"]):
        return console.answer(event)
    correlation = of_request(event)
    with correlated(correlation):
        answer = _answered(event, context)
    _measure(int(answer["statusCode"]))
    return {**answer, "headers": {**(answer.get("headers") or {}), **correlation.headers()}}


def _measure(status: int) -> None:
    """What went well is counted by API Gateway itself."""
    if status >= 400:
        name = "ApiFailed" if status >= 500 else "ApiThrottled" if status == 429 else "ApiRefused"
        publish(runtime.current().settings.cloud_stage, {name: 1})


def _answered(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    try:
        request = wire.readable(event)
    except TidegateError as error:
        return errors.lambda_answer(error)
    with waiting.within(context):
        return resolver(request["rawPath"]).resolve(request, context)
