"""The API's function under test: requests as API Gateway sends them, answered by the embedded home."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bridge import client_of
from commands import Run, command_line
from gateway import MORNING, Api
from tidegate_functions.clock import gauges

from home import START, Clock, Home
from support.aws import few_keys
from tidegate import runtime
from tidegate.cli import session


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """See `few_keys`."""
    with few_keys():
        yield


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until moved, at eight in the morning."""
    clock = Clock()
    clock.advance((MORNING - START) / 1000)
    return clock


@pytest.fixture
def api(home: Home) -> Iterator[Api]:
    """A caller with every right of an ordinary user: `ada` of the tenant `main`."""
    with runtime.use(home.app):
        yield Api()


@pytest.fixture
def cloud(home: Home, monkeypatch: pytest.MonkeyPatch) -> Iterator[runtime.App]:
    """The home, taken for one in the cloud: its functions write figures for CloudWatch."""
    monkeypatch.setattr(gauges, "_busy", set())
    settings = replace(home.app.settings, data=None, stage="dev")
    with runtime.use(replace(home.app, settings=settings)) as made:
        yield made


@pytest.fixture
def operator(api: Api) -> Api:
    """`olga`, who runs the queues of the same tenant."""
    return api.by(user="olga", scopes="submit read operate")


@pytest.fixture
def run(operator: Api, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line of an operator: exit code, what it printed, and what it complained of."""
    monkeypatch.setattr(session.Session, "client", lambda *_: client_of(operator))
    return command_line(capsys)
