"""One deployed stage for all cloud tests of a run; embedded servers and browsers that do not outlive their tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cloud import EMULATOR, Cloud, token
from embedded import Server
from visiting import sign_in, token_of
from webdriver import Browser, programs

from tidegate import Client, runtime


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


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded server with two workers."""
    made = Server(tmp_path_factory.mktemp("console") / "data")
    try:
        yield made.start()
    finally:
        made.stop_if_running()


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[Client]:
    """An admin's client of it."""
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser."""
    found = programs()
    if found is None:
        pytest.skip("chromium and chromedriver are not installed")
    made = Browser(tmp_path_factory.mktemp("profile"), *found)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def browser(window: Browser, server: Server) -> Iterator[Browser]:
    """The browser, signed in as admin; no page may have complained by the end, of its policy neither."""
    window.size(1360, 900)
    window.room("light")
    sign_in(window, server, token_of(server))
    window.errors()
    yield window
    assert window.errors() == []
