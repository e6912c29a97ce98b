"""One deployed stage for all cloud tests of a run; embedded servers that do not outlive their test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cloud import EMULATOR, Cloud, token
from embedded import Server

from tidegate import runtime


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


@pytest.fixture(scope="module")
def app(cloud: Cloud) -> Iterator[runtime.App]:
    """The deployed home as the adapters see it, with the emulator's credentials for as long as the file's tests run."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in cloud.environ.items():
            if name.startswith("AWS_"):
                environment.setenv(name, value)
        yield runtime.build(runtime.settings_of_stack("tidegate"))


@pytest.fixture(scope="module")
def http(cloud: Cloud, app: runtime.App) -> Iterator[httpx.Client]:
    """An admin's HTTP client."""
    with httpx.Client(base_url=cloud.url, headers={"authorization": f"Bearer {token(app)}"}, timeout=30) as client:
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start a server on the test's data folder; whatever still runs at the end is killed."""
    started: list[Server] = []

    def start(workers: int = 2) -> Server:
        started.append(Server(tmp_path / "data", workers).start())
        return started[-1]

    yield start
    for server in started:
        server.stop_if_running()
