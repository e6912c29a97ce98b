"""The one table from errors to HTTP, and the one shape of an error's body."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from tidegate.domain import errors as domain

from .wire import JSON_TYPE

_log = logging.getLogger("tidegate.api")


class MethodNotAllowed(domain.TidegateError):
    """The path exists, but not with this method."""

    code = "METHOD_NOT_ALLOWED"


STATUS: Mapping[type[domain.TidegateError], int] = {
    domain.MalformedJson: 400,
    domain.Unauthenticated: 401,
    domain.Forbidden: 403,
    domain.NotFound: 404,
    MethodNotAllowed: 405,
    domain.Conflict: 409,
    domain.WrongState: 409,
    domain.LeaseLost: 409,
    domain.StopAsked: 409,
    domain.PayloadTooLarge: 413,
    domain.InvalidInput: 422,
    domain.TooManyRequests: 429,
    domain.NotSupported: 501,
    domain.Unavailable: 503,
}
INTERNAL = 500

_HEADERS: Mapping[type[domain.TidegateError], Mapping[str, str]] = {
    domain.Unauthenticated: {"WWW-Authenticate": "Bearer"},
    domain.TooManyRequests: {"Retry-After": "1"},
    domain.Unavailable: {"Retry-After": "1"},
}


def body_of(error: domain.TidegateError) -> dict[str, Any]:
    """The body of an error: a code for programs, a message for people, details of both."""
    return {"success": False, "code": error.code, "message": error.message, "details": dict(error.details)}


def response(error: domain.TidegateError) -> Response[Any]:
    """The answer to an error. One that the table does not know is a 500 that tells nothing."""
    status = STATUS.get(type(error), INTERNAL)
    if status == INTERNAL:
        return _internal(error)
    if isinstance(error, domain.Unavailable):
        _log.warning("unavailable: %s", error.message, extra={"action": "unavailable"})
    headers = dict(_HEADERS.get(type(error), {}))
    if "retry_after" in error.details:
        headers["Retry-After"] = str(error.details["retry_after"])
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = ", ".join(error.details["allowed"])
    return Response(status, JSON_TYPE, json.dumps(body_of(error), default=str), headers)


def unexpected(error: Exception) -> Response[Any]:
    """The answer to an error that nobody foresaw."""
    return _internal(error)


def invalid(error: RequestValidationError) -> Response[Any]:
    """The answer to a request that does not fit its model."""
    return response(invalid_input((_path(each["loc"]), each) for each in error.errors()))


def invalid_input(found: Iterable[tuple[Iterable[int | str], Mapping[str, Any]]]) -> domain.InvalidInput:
    """What pydantic found, each with the path of its field, as Tidegate says it."""
    errors = [{"field": ".".join(map(str, path)) or "body", "rule": rule_of(each)} for path, each in found]
    return domain.InvalidInput("; ".join(f"{each['field']}: {each['rule']}" for each in errors[:3]), errors=errors)


def lambda_answer(error: domain.TidegateError) -> dict[str, Any]:
    """The answer to an error that was found before the request had a route."""
    found = response(error)
    headers = {"Content-Type": JSON_TYPE, **found.headers}
    return {"statusCode": found.status_code, "headers": headers, "body": found.body, "isBase64Encoded": False}


def _path(location: Sequence[int | str]) -> Sequence[int | str]:
    """A place in a request without the words for body, path or query, and the query model's own name."""
    return location[2:] if tuple(location[:2]) == ("query", "query") else location[1:]


def _internal(error: Exception) -> Response[Any]:
    _log.error("request failed: %s", domain.place_of(error), extra={"action": "request_failed"})
    body = {"success": False, "code": "INTERNAL", "message": "Something went wrong.", "details": {}}
    return Response(INTERNAL, JSON_TYPE, json.dumps(body))


_RULES: Mapping[str, str] = {
    "extra_forbidden": "is not a known field",
    "missing": "is required",
    "model_type": "must be a JSON object",
    "model_attributes_type": "must be a JSON object",
    "dict_type": "must be a JSON object",
    "list_type": "must be a JSON array",
    "string_type": "must be a string",
    "int_type": "must be an integer",
    "int_parsing": "must be an integer",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}


def rule_of(error: Mapping[str, Any]) -> str:
    """What pydantic found, as Tidegate says it."""
    message = str(error["msg"])
    return _RULES.get(error["type"]) or message.replace("Input should", "must").replace("List should", "must")
