"""The little that both clients do with httpx."""

from __future__ import annotations

from collections.abc import Generator
from importlib.metadata import version
from typing import Any

import httpx

from tidegate.domain.correlation import TRACEPARENT
from tidegate.domain.errors import TidegateError
from tidegate.execution import correlating, tracing

from .calls import Call
from .endpoint import Endpoint
from .errors import UnexpectedAnswer, Unreachable

TIMEOUT = httpx.Timeout(35.0, connect=5.0)
"""Seconds. API Gateway answers within 30 (quota: maximum integration timeout of an HTTP API)."""

_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def settings_of(endpoint: Endpoint) -> dict[str, Any]:
    """The arguments that an httpx client is made with. A server on this machine is never asked through a proxy."""
    headers = {"Accept": "application/json", "User-Agent": f"tidegate/{version('tidegate')}"}
    if endpoint.token is not None:
        headers["Authorization"] = f"Bearer {endpoint.token}"
    return {
        "base_url": endpoint.base,
        "headers": headers,
        "auth": Signed(endpoint.url) if endpoint.signs else None,
        "timeout": TIMEOUT,
        "trust_env": not endpoint.is_local,
    }


class Signed(httpx.Auth):
    """Signs each request with the AWS credentials at hand; what does it is imported when it is needed."""

    requires_request_body = True

    def __init__(self, url: str) -> None:
        from tidegate.runtime import request_signer

        self._sign = request_signer(url)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request once, signed."""
        request.headers.update(self._sign(request.method, str(request.url), request.content))
        yield request


def request_of(call: Call[Any]) -> dict[str, Any]:
    """The arguments of one httpx request."""
    served, traceparent = correlating.current(), tracing.active_traceparent()
    headers = {**({} if served is None else served.headers()), **call.headers}
    if traceparent is not None:
        headers[TRACEPARENT] = traceparent
    if call.body is not None:
        headers["Content-Type"] = "application/json"
    return {
        "method": call.method,
        "url": call.path,
        "params": list(call.params) or None,
        "content": call.body,
        "headers": headers,
    }


def trouble(error: httpx.HTTPError, endpoint: Endpoint) -> TidegateError:
    """The error to raise when no answer could be had; `sent` says whether the request may have arrived."""
    if not isinstance(error, httpx.TransportError):
        return UnexpectedAnswer(reason=str(error))
    sent = not isinstance(error, _UNSENT)
    why = str(error) or type(error).__name__
    lost = "sent, but no answer came" if sent else "nobody answers"
    return Unreachable(f"{endpoint.url}: {lost} ({why})", url=endpoint.url, sent=sent)
