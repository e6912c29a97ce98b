"""HTTP on one machine: each request becomes an API Gateway v2 event for the same `functions/api` handler."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from tidegate.domain.spec import MAX_PAYLOAD_BYTES

from .functions import Context, invoke

_log = logging.getLogger("tidegate.http")
Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

MAX_BODY_BYTES = MAX_PAYLOAD_BYTES + 100_000
_THREADS = 8
_WAITING_PATHS = frozenset({"/workers/claim"})
"""Requests to these may wait for long, so they have threads of their own."""
_WAITING_THREADS = 64
_BODY_SECONDS = 30.0


class Gateway:
    """An ASGI application in the place of API Gateway: authorizer first, then the API."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="tidegate-api")
        self._waiting_pool = ThreadPoolExecutor(_WAITING_THREADS, thread_name_prefix="tidegate-waiting")
        self._waiting: set[Context] = set()
        self._stopping = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            body = await asyncio.wait_for(_read(receive), _BODY_SECONDS)
        except _TooLargeError:
            answer = _error(413, "PAYLOAD_TOO_LARGE", f"the body may have at most {MAX_PAYLOAD_BYTES} bytes")
        except TimeoutError:
            answer = _error(408, "TIMEOUT", "the body did not arrive in time")
        else:
            answer = await self._answered(scope, receive, body)
        await _send(send, answer)

    def stop_waiting(self) -> None:
        """Let every request that waits for something be answered now, and those to come at once."""
        self._stopping = True
        for context in list(self._waiting):
            context.end()

    async def _answered(self, scope: Scope, receive: Receive, body: bytes) -> Mapping[str, Any]:
        context, loop = Context("api"), asyncio.get_running_loop()
        if scope["path"] not in _WAITING_PATHS:
            return await loop.run_in_executor(self._pool, _answer, scope, body, context)
        if self._stopping or len(self._waiting) >= _WAITING_THREADS:
            context.end()
            return await loop.run_in_executor(self._pool, _answer, scope, body, context)
        gone = loop.create_task(_end_when_gone(receive, context))
        self._waiting.add(context)
        try:
            return await loop.run_in_executor(self._waiting_pool, _answer, scope, body, context)
        finally:
            context.end()
            self._waiting.discard(context)
            gone.cancel()


class _TooLargeError(Exception):
    """The body is over the limit."""


async def _end_when_gone(receive: Receive, context: Context) -> None:
    """A client that hangs up waits no longer: nothing shall be claimed for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    context.end()


def _answer(scope: Scope, body: bytes, context: Context) -> Mapping[str, Any]:
    try:
        event = event_of(scope, body)
        verdict = invoke("authorizer", event)
        if not verdict["isAuthorized"]:
            return _error(401, "UNAUTHENTICATED", "A valid bearer token is needed.", {"www-authenticate": "Bearer"})
        event["requestContext"]["authorizer"] = {"lambda": verdict["context"]}
        answer: Mapping[str, Any] = invoke("api", event, context)
    except Exception:
        _log.exception("request failed", extra={"action": "request_failed"})
        return _error(500, "INTERNAL", "Something went wrong.")
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


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    body = json.dumps({"success": False, "code": code, "message": message, "details": {}})
    return {"statusCode": status, "headers": {"content-type": "application/json", **(headers or {})}, "body": body}
