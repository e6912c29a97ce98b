"""The API's function under test: requests as API Gateway sends them, answered by the embedded home."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from gateway import MORNING, Api
from tidegate_functions.clock import gauges

from home import START, Clock, Home
from tidegate import runtime


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
