"""HTTP on one machine: each request becomes an API Gateway v2 event for the same `functions/api` handler."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from tidegate.console import is_console
from tidegate.domain.caller import Caller
from tidegate.domain.correlation import correlation_in
from tidegate.domain.errors import Forbidden, InvalidInput, TooManyRequests, Unavailable, kind_and_place
from tidegate.domain.spec import MAX_PAYLOAD_BYTES
from tidegate.execution import correlating
from tidegate.ports import EventStream

from . import waiting
from .functions import Context, invoke
from .hands import Hands
from .spans import request_span
from .sse import PATH, Streams, Wish, wish_of

_log = logging.getLogger("tidegate.http")
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = MAX_PAYLOAD_BYTES + 100_000
_THREADS = 8
_BODY_SECONDS = 30.0


class Gateway:
    """An ASGI application in the place of API Gateway: authorizer first, then the API."""

    def __init__(self, stream: EventStream | None = None, stopping: Callable[[], bool] = lambda: False) -> None:
        """`stream` is what `GET /events` sends, until `stopping`; without it that is the API's to refuse."""
        self._pool = Hands(_THREADS, "tidegate-api")
        self._streams = None if stream is None else Streams(stream, self._pool, stopping)
        self._waiting = waiting.Waiting(answer_to, self._pool)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        answer: Mapping[str, Any] | None
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                body = await _read(receive)
        except _TooLargeError:
            answer = _error(413, "PAYLOAD_TOO_LARGE", f"the body may have at most {MAX_PAYLOAD_BYTES} bytes")
        except TimeoutError:
            answer = _error(408, "TIMEOUT", "the body did not arrive in time")
        else:
            answer = await self._listened_or_answered(scope, body, receive, send)
        if answer is not None:
            await _send(send, answer)

    def stop_waiting(self) -> None:
        """Let every request that waits for something be answered now, and those to come at once."""
        self._waiting.stop()

    async def _listened_or_answered(
        self, scope: Scope, body: bytes, receive: Receive, send: Send
    ) -> Mapping[str, Any] | None:
        """The answer; None when the request was to listen to events, and that is over."""
        in_pool = asyncio.get_running_loop().run_in_executor
        if scope["path"] in waiting.PATHS:
            return await self._waiting.answered(scope, body, receive)
        if self._streams is None or (scope["method"], scope["path"]) != ("GET", PATH):
            return await in_pool(self._pool, answer_to, scope, body)
        wish = await in_pool(self._pool, _wish, scope, body)
        if not isinstance(wish, Wish):
            return wish
        try:
            await self._streams.serve(wish, receive, send)
        except TooManyRequests as error:
            return _error(429, error.code, error.message, {"retry-after": "1"})
        return None


class _TooLargeError(Exception):
    """The body is over the limit."""


def _wish(scope: Scope, body: bytes) -> Wish | Mapping[str, Any]:
    """What a listener asks for, or the answer to one that is refused."""
    try:
        event = event_of(scope, body)
        verdict = invoke("authorizer", event)
        if not verdict["isAuthorized"]:
            return _unknown_caller()
        caller = Caller.from_context(verdict["context"])
        last_id = event["headers"].get("last-event-id")
        return wish_of(
            caller, event["rawQueryString"], last_id, lambda: bool(invoke("authorizer", event)["isAuthorized"])
        )
    except Forbidden as error:
        return _error(403, error.code, error.message)
    except InvalidInput as error:
        return _error(422, error.code, error.message, details=error.details)
    except Unavailable as error:
        return _busy(error)
    except Exception as error:
        return _unforeseen(error)


def answer_to(scope: Scope, body: bytes, context: Context | None = None) -> Mapping[str, Any]:
    """The answer to a request: what API Gateway would make of the authorizer's verdict and the API's own words."""
    event = event_of(scope, body)
    with request_span(event) as answer, correlating.correlated(correlation_in(event)):
        answer.update(_answered(event, context))
    return answer


def _answered(event: dict[str, Any], context: Context | None) -> Mapping[str, Any]:
    try:
        if is_console(event["rawPath"]):
            page: Mapping[str, Any] = invoke("api", event)
            return page
        verdict = invoke("authorizer", event)
        if not verdict["isAuthorized"]:
            return _unknown_caller()
        event["requestContext"]["authorizer"] = {"lambda": verdict["context"]}
        answer: Mapping[str, Any] = invoke("api", event, context)
    except Unavailable as error:
        return _busy(error)
    except Exception as error:
        return _unforeseen(error)
    return answer


def event_of(scope: Scope, body: bytes) -> dict[str, Any]:
    """The API Gateway HTTP API event (payload format 2.0) of a request."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    query = scope["query_string"].decode("latin-1")
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    now = time.time()
    text, encoded = _body_text(body)
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": scope["path"],
        "rawQueryString": query,
        "headers": headers,
        "identitySource": [headers["authorization"]] if "authorization" in headers else [],
        "queryStringParameters": parameters,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": "local",
            "domainName": headers.get("host", "localhost"),
            "domainPrefix": "local",
            "http": {
                "method": scope["method"],
                "path": scope["path"],
                "protocol": f"HTTP/{scope.get('http_version', '1.1')}",
                "sourceIp": (scope.get("client") or ("", 0))[0],
                "userAgent": headers.get("user-agent", ""),
            },
            "requestId": str(uuid.uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": datetime.fromtimestamp(now, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000"),
            "timeEpoch": round(now * 1000),
        },
        "body": text,
        "isBase64Encoded": encoded,
    }


def _body_text(body: bytes) -> tuple[str | None, bool]:
    if not body:
        return None, False
    try:
        return body.decode(), False
    except UnicodeDecodeError:
        return base64.b64encode(body).decode(), True


async def _read(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _TooLargeError
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


async def _send(send: Send, answer: Mapping[str, Any]) -> None:
    raw = answer.get("body") or ""
    body = base64.b64decode(raw) if answer.get("isBase64Encoded") else raw.encode()
    headers = {
        "content-length": str(len(body)),
        **{k.lower(): str(v) for k, v in (answer.get("headers") or {}).items()},
    }
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers.setdefault(name.lower(), ", ".join(values))
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    pairs += [(b"set-cookie", cookie.encode("latin-1")) for cookie in answer.get("cookies") or []]
    await send({"type": "http.response.start", "status": answer["statusCode"], "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _unforeseen(error: Exception) -> Mapping[str, Any]:
    _log.error("request failed: %s", kind_and_place(error), extra={"action": "request_failed"})
    return _error(500, "INTERNAL", "Something went wrong.")


def _busy(error: Unavailable) -> Mapping[str, Any]:
    return _error(503, error.code, error.message, {"retry-after": "1"})


def _unknown_caller() -> Mapping[str, Any]:
    return _error(401, "UNAUTHENTICATED", "A valid bearer token is needed.", {"www-authenticate": "Bearer"})


def _error(
    status: int,
    code: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    details: Mapping[str, Any] | None = None,
) -> Mapping[str, Any]:
    body = json.dumps({"success": False, "code": code, "message": message, "details": dict(details or {})})
    served = correlating.current()
    named = {} if served is None else served.headers()
    told = {"content-type": "application/json", **named, **(headers or {})}
    return {"statusCode": status, "headers": told, "body": body}
