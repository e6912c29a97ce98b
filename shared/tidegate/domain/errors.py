"""Every error Tidegate raises on purpose.

The docstring of a class is its default message. Errors carry data (`details`); one table in
`functions/api/errors.py` maps their `code` to an HTTP status.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any, ClassVar


class TidegateError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str | None = None, **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details: Mapping[str, Any] = details
        super().__init__(self.message)


class InvalidInput(TidegateError):
    """The input breaks a rule."""

    code = "INVALID_INPUT"

    @classmethod
    def field(cls, name: str, rule: str) -> InvalidInput:
        """The error for one field: `name` is its path in the body, `rule` what must hold."""
        return cls(f"{name}: {rule}", errors=[{"field": name, "rule": rule}])


class MalformedJson(TidegateError):
    """The body is not valid JSON."""

    code = "MALFORMED_JSON"


class PayloadTooLarge(TidegateError):
    """The payload is over the limit."""

    code = "PAYLOAD_TOO_LARGE"


class NotFound(TidegateError):
    """There is no such thing here."""

    code = "NOT_FOUND"


class Conflict(TidegateError):
    """The request contradicts what is stored."""

    code = "CONFLICT"


class WrongState(Conflict):
    """The job's state does not allow that."""

    code = "WRONG_STATE"


class LeaseLost(Conflict):
    """Another attempt holds the job now, or it has ended: nothing was changed."""

    code = "LEASE_LOST"


class StopAsked(LeaseLost):
    """The attempt cannot go on: a stop was asked for. It still holds the job."""

    code = "STOP_ASKED"


class Unauthenticated(TidegateError):
    """A valid bearer token is needed."""

    code = "UNAUTHENTICATED"


class Forbidden(TidegateError):
    """The token's scopes do not allow that."""

    code = "FORBIDDEN"


class TooManyRequests(TidegateError):
    """A limit is reached; try again later."""

    code = "TOO_MANY_REQUESTS"


class NotSupported(TidegateError):
    """This home cannot do that."""

    code = "NOT_SUPPORTED"


class Unavailable(TidegateError):
    """The store is busy or out of reach; nothing is known to have changed. Try again."""

    code = "UNAVAILABLE"


def kind_and_place(error: Exception) -> str:
    """What a log may tell of an error: its kind and where it arose, and its text only where it is one of Tidegate's.

    Any other text may quote a payload.
    """
    if isinstance(error, TidegateError):
        return f"{type(error).__name__}: {error.message}"
    return place_of(error)


def place_of(error: Exception) -> str:
    """The kind of an error and where it arose, without its text."""
    return f"{type(error).__name__}\n" + "".join(traceback.format_tb(error.__traceback__)[-6:])
