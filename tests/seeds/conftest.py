"""A command line and clients that speak to the API's own handler, without a network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from home import Home
from tidegate import runtime
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import Client
from tidegate.local.functions import invoke
from tidegate.local.http import event_of

Run = Callable[..., str]
_CALLER = {"lambda": {"tenant": "main", "user": "admin", "scopes": "admin"}}


def answered(request: httpx.Request) -> httpx.Response:
    """A request as API Gateway hands it to `functions/api`."""
    scope = {
        "type": "http",
        "method": request.method,
        "path": request.url.path,
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
    }
    event = event_of(scope, request.content)
    event["requestContext"]["authorizer"] = _CALLER
    answer = invoke("api", event)
    return httpx.Response(answer["statusCode"], headers=answer["headers"], text=answer["body"])


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    """A client of the home under test."""
    with runtime.use(home.app), Client("http://127.0.0.1", "t", transport=httpx.MockTransport(answered)) as made:
        yield made


@pytest.fixture
def tidegate(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Runs a command line that must succeed (or end with `code`) and answers what it printed."""

    def made(_: session.Session, tries: int = 4) -> Client:
        return Client("http://127.0.0.1", "t", transport=httpx.MockTransport(answered))

    monkeypatch.setattr(session.Session, "client", made)
    monkeypatch.chdir(tmp_path)

    def run(*args: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        assert int(caught.value.code or 0) == code, err
        return out if code == 0 else err

    with runtime.use(home.app):
        yield run
