"""The API's function under test: requests as API Gateway sends them, answered by the embedded home."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway import Api
from home import Home
from tidegate import runtime


@pytest.fixture
def api(home: Home) -> Iterator[Api]:
    """A caller with every right of an ordinary user: `ada` of the tenant `main`."""
    with runtime.use(home.app):
        yield Api()
