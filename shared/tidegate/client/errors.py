"""What can go wrong between here and the server, and the errors that its answers stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tidegate.domain import errors as domain
from tidegate.domain.errors import TidegateError


class Unreachable(TidegateError):
    """The server cannot be reached."""

    code = "UNREACHABLE"


class UnexpectedAnswer(TidegateError):
    """The answer is not one that Tidegate gives; check the address."""

    code = "UNEXPECTED_ANSWER"


class ServerError(TidegateError):
    """The server failed; its own log says why."""

    code = "INTERNAL"


class WaitTimeout(TidegateError):
    """The job has not ended in the time given; it goes on."""

    code = "WAIT_TIMEOUT"


_BY_CODE: Mapping[str, type[TidegateError]] = {
    error.code: error
    for error in (
        domain.InvalidInput,
        domain.MalformedJson,
        domain.PayloadTooLarge,
        domain.NotFound,
        domain.Conflict,
        domain.WrongState,
        domain.LeaseLost,
        domain.StopAsked,
        domain.Unauthenticated,
        domain.Forbidden,
        domain.TooManyRequests,
        domain.NotSupported,
        domain.Unavailable,
        ServerError,
    )
}

_BY_STATUS: Mapping[int, type[TidegateError]] = {
    401: domain.Unauthenticated,
    403: domain.Forbidden,
    413: domain.PayloadTooLarge,
    429: domain.TooManyRequests,
    500: ServerError,
    502: domain.Unavailable,
    503: domain.Unavailable,
    504: domain.Unavailable,
}
"""Answers of a gateway in front of Tidegate, which know nothing of its codes."""

_KNOWN_STATUS: Mapping[int, type[TidegateError]] = {
    **_BY_STATUS,
    400: domain.InvalidInput,
    404: domain.NotFound,
    405: domain.InvalidInput,
    409: domain.Conflict,
    422: domain.InvalidInput,
}
"""Answers of Tidegate with a code that this client is too old to know."""


def error_of(status: int, headers: Mapping[str, str], content: bytes) -> TidegateError:
    """The error that an answer other than 2xx stands for.

    `details` holds what the server sent, `status`, an unknown `code`, and `retry_after` in seconds where given.
    """
    body = _object(content)
    code = body.get("code")
    if isinstance(code, str):
        kind = _BY_CODE.get(code) or _KNOWN_STATUS.get(status, ServerError)
        message = body.get("message")
    else:
        kind, message = _BY_STATUS.get(status, UnexpectedAnswer), None
    error = kind(message if isinstance(message, str) else _default(kind, status))
    error.details = {**_mapping(body.get("details")), "status": status, **_retry_after(headers)}
    if isinstance(code, str) and code != kind.code:
        error.details = {**error.details, "code": code}
    return error


def _default(kind: type[TidegateError], status: int) -> str | None:
    return f"{kind.__doc__} (HTTP {status})" if kind is not domain.Unauthenticated else None


def _object(content: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(json.loads(content))
    except (ValueError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _retry_after(headers: Mapping[str, str]) -> Mapping[str, float]:
    """Seconds only: Tidegate never sends the HTTP-date form."""
    value = headers.get("retry-after", "")
    return {"retry_after": float(value)} if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", value) else {}
