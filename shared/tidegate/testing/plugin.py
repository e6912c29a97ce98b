"""The pytest plugin with the fixture `tidegate_home`.

Pytest loads it wherever Tidegate is installed, so it imports little by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .home import Home


@pytest.fixture
def tidegate_home(tmp_path: Path) -> Iterator[Home]:
    """An empty home with a clock that stands still, and the executors that have been imported."""
    from .home import Home

    with Home(tmp_path / "tidegate") as home:
        yield home
