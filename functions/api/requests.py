"""What every route asks of a request, and how it answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.request import Request
from pydantic import BaseModel

from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.errors import InvalidInput, Unauthenticated
from tidegate.domain.iam import caller_behind
from tidegate.domain.job import Json
from tidegate.execution.correlating import of_request

from .wire import JSON_TYPE, dump

_METADATA = "metadata."
_MAX_KEY = 255


def caller_of(request: Request) -> Caller:
    """Who asks, as the authorizer or IAM found out; nothing else in a request is believed.

    Raises Unauthenticated, or Forbidden for a principal of the AWS account that nobody has named.
    """
    return replace(_authorized(request), correlation=of_request(request.resolved_event))


def _authorized(request: Request) -> Caller:
    context = request.resolved_event.get("requestContext") or {}
    authorizer = context.get("authorizer") or {}
    if "iam" in authorizer:
        return caller_behind((authorizer["iam"] or {}).get("userArn"), runtime.current().settings.iam_callers)
    found = authorizer.get("lambda") or {}
    try:
        return Caller.from_context(found)
    except (LookupError, AttributeError):
        raise Unauthenticated from None


def query_pairs(request: Request) -> list[tuple[str, str]]:
    """The query string's names and values, decoded, repeated ones each."""
    return parse_qsl(request.resolved_event.get("rawQueryString") or "", keep_blank_values=True)


def check_query(pairs: list[tuple[str, str]], model: type[BaseModel], *, repeatable: str) -> None:
    """Refuse names that `model` does not have, and any but `repeatable` that comes twice. Raises InvalidInput."""
    seen: set[str] = set()
    for name, _ in pairs:
        if name not in model.model_fields and not name.startswith(_METADATA):
            raise InvalidInput.field(name, "is not a known query parameter")
        if name in seen and name != repeatable:
            raise InvalidInput.field(name, "must not be given twice")
        seen.add(name)


def only(request: Request, *names: str) -> None:
    """Refuse query parameters but these. Raises InvalidInput: a misspelt one must not be passed over."""
    for name, _ in query_pairs(request):
        if name not in names:
            raise InvalidInput.field(name, "is not a known query parameter")


def metadata_in(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """The `metadata.KEY=value` filters of a query string."""
    return {name.removeprefix(_METADATA): value for name, value in pairs if name.startswith(_METADATA)}


def idempotency_key(key: str) -> str:
    """The Idempotency-Key of a request. Raises InvalidInput."""
    if not 1 <= len(key) <= _MAX_KEY:
        raise InvalidInput.field("Idempotency-Key", f"must have 1 to {_MAX_KEY} characters")
    return key


def answer(body: Json, status: int = 200) -> Response[Any]:
    """A JSON answer."""
    return Response(status, JSON_TYPE, dump(body))
