"""The span of a request that the embedded server answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from tidegate.console import is_console
from tidegate.domain.correlation import TRACEPARENT
from tidegate.execution import tracing
from tidegate.ports.tracing import Facts, Span

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_FAILED = 500


@contextmanager
def request_span(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Answer the request of `event` within a span; what it makes belongs to that. Yields where its answer goes.

    The console's own files have none. Its name is the route once that is known: see `Resolver`.
    """
    answer: dict[str, Any] = {}
    if is_console(event["rawPath"]):
        yield answer
        return
    headers, http = event["headers"], event["requestContext"]["http"]
    method = http["method"] if http["method"] in _METHODS else "HTTP"
    with tracing.span(method, "server", headers.get(TRACEPARENT), _facts_of(http)) as span:
        if span.traceparent is not None:
            headers[TRACEPARENT] = span.traceparent
        yield answer
        _ended(span, answer)


def _facts_of(http: Mapping[str, Any]) -> Facts:
    return {"http.request.method": http["method"], "url.path": http["path"], "client.address": http["sourceIp"]}


def _ended(span: Span, answer: Mapping[str, Any]) -> None:
    status = answer["statusCode"]
    span.tell({"http.response.status_code": status})
    if status >= _FAILED:
        span.fail(str(status))
