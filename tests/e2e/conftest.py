"""One deployed stage for all cloud tests of a run; embedded servers and browsers that do not outlive their tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cloud import EMULATOR, SLOTS, Cloud, clock_event, token
from embedded import Server
from seed_places import HANDLERS as SEED_HANDLERS
from seed_places import Newcomer, Place, Shell, User, shell
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


@pytest.fixture(scope="session")
def seed_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """An embedded server for the examples of the documents."""
    made = Server(tmp_path_factory.mktemp("seeds") / "data", handlers=SEED_HANDLERS)
    try:
        yield made.start()
    finally:
        made.stop_if_running()


@pytest.fixture(scope="module", params=["embedded", "cloud"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """Either home, its workers started by itself."""
    if request.param == "cloud":
        stage: Cloud = request.getfixturevalue("cloud")
        deployed: runtime.App = request.getfixturevalue("app")
        yield Place(stage.url, "--stack tidegate", deployed, SLOTS, lambda: stage.invoke("clock", clock_event()))
        return
    server: Server = request.getfixturevalue("seed_server")
    opened = runtime.embedded(server.data)
    yield Place(server.url, f"--data {server.data}", opened, server.workers, lambda: None)
    opened.ports.close()


@pytest.fixture(scope="module")
def user(place: Place, request: pytest.FixtureRequest) -> Iterator[User]:
    """An admin of a tenant that the file's tests have for themselves."""
    made = place.user(request.module.__name__.rpartition(".")[2].replace("_", "-"))
    yield made
    made.close()


@pytest.fixture
def tidegate(user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The user's command line."""
    return shell(user, monkeypatch, capsys)


@pytest.fixture
def newcomer(place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Newcomer]:
    """Makes admins of tenants that nobody else uses."""
    made: list[User] = []

    def make(tenant: str) -> tuple[User, Shell]:
        made.append(place.user(tenant))
        return made[-1], shell(made[-1], monkeypatch, capsys)

    yield make
    for user in made:
        user.close()


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
