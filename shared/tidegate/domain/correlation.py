"""Correlation: one name for all that one request causes, its jobs, tickets, events and log lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from .errors import InvalidInput

REQUEST_ID = "X-Request-Id"
TRACEPARENT = "traceparent"
RULE = "must be 1 to 128 printable ASCII characters without spaces"

_ID = re.compile(r"[\x21-\x7e]{1,128}")
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Correlation:
    """What a request is called: by who asked, by a proxy on the way, or by the gateway.

    `traceparent` is its place in a trace, as W3C's Trace Context writes it; None where nobody traces.
    """

    id: str
    traceparent: str | None = None

    def headers(self) -> dict[str, str]:
        """It as HTTP headers: for an answer, and for requests that are made for its sake."""
        return {REQUEST_ID: self.id} | ({} if self.traceparent is None else {TRACEPARENT: self.traceparent})


def checked_id(field: str, value: str) -> str:
    """`value`, if a request may be called so; raises InvalidInput otherwise."""
    if not _ID.fullmatch(value):
        raise InvalidInput.field(field, RULE)
    return value


def trace_in(traceparent: str) -> str:
    """The trace that a valid `traceparent` is part of: 32 hexadecimal digits."""
    return traceparent.split("-")[1]


def correlation_of(headers: Mapping[str, str], otherwise: str) -> Correlation:
    """What a request with these headers (names in lower case) is called; `otherwise` where they do not say.

    Its `X-Request-Id` comes first, then the trace in `traceparent`. One that is malformed is passed over: proxies
    set these headers, and a request is not refused for what its sender does not see.
    """
    traceparent = headers.get(TRACEPARENT, "")
    trace = _TRACEPARENT.fullmatch(traceparent)
    asked = headers.get(REQUEST_ID.lower(), "")
    name = asked if _ID.fullmatch(asked) else trace.group(1) if trace else otherwise
    return Correlation(name, traceparent if trace else None)


def correlation_in(event: Mapping[str, object]) -> Correlation:
    """What the request of an API Gateway event (or of its authorizer's) is called; the gateway's own id if nothing
    else."""
    headers, context = event.get("headers"), event.get("requestContext")
    named = {str(name).lower(): str(value) for name, value in headers.items()} if isinstance(headers, Mapping) else {}
    otherwise = context.get("requestId") if isinstance(context, Mapping) else None
    return correlation_of(named, str(otherwise or "unknown"))
