"""The command line, with the fake server at the other end."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from fake_server import FakeServer, Run

from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import Client, Retries


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeServer:
    fake = FakeServer()

    def client(self: session.Session, tries: int = 4) -> Client:
        transport = httpx.MockTransport(fake)
        at = self.server
        return Client(at.url, at.token, retries=Retries(tries=tries), transport=transport, sleep=lambda _: None)

    monkeypatch.setattr(session.Session, "client", client)
    for name in ("TIDEGATE_URL", "TIDEGATE_DATA", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TIDEGATE_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    return fake


@pytest.fixture
def run(server: FakeServer, capsys: pytest.CaptureFixture[str]) -> Run:
    def run_it(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run_it
