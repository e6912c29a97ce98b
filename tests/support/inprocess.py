"""The embedded server without its sockets: authorizer and API answer in this thread."""

from __future__ import annotations

import base64

import httpx

from tidegate import runtime
from tidegate.client import Client, Retries
from tidegate.local.http import answer_to
from tidegate.runtime import App


class InProcess(httpx.BaseTransport):
    """Requests to `app`, answered as the embedded server would answer them."""

    def __init__(self, app: App) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        scope = {
            "method": request.method,
            "path": request.url.path,
            "query_string": request.url.query,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
        }
        with runtime.use(self._app):
            answer = answer_to(scope, request.read())
        raw = answer.get("body") or ""
        body = base64.b64decode(raw) if answer.get("isBase64Encoded") else raw.encode()
        return httpx.Response(answer["statusCode"], headers=dict(answer.get("headers") or {}), content=body)


def client_of(app: App, token: str | None) -> Client:
    """A client of `app` that never waits and never asks twice."""
    return Client("http://home.test", token, transport=InProcess(app), retries=Retries(tries=1), sleep=lambda _: None)
