"""One deployed stage for all cloud tests of a run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cloud import EMULATOR, Cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The synthesised template, deployed to the AWS emulator."""
    if not EMULATOR.exists():
        pytest.skip("the AWS emulator is not installed")
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
