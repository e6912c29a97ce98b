"""The API's function under test: requests as API Gateway sends them, answered by the embedded home."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway import MORNING, Api

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
