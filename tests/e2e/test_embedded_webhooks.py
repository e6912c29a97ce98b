"""Webhooks and definitions of a real server, told to a real receiver on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from re import DOTALL, MULTILINE, findall
from typing import Any

import pytest
from cloud import eventually
from embedded import Server

from tidegate.client.work import WorkClient
from tidegate.domain.errors import InvalidInput

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "webhooks.md"
Message = tuple[Mapping[str, str], bytes]


class Receiver(HTTPServer):
    """Keeps what it is sent; answers the next of `statuses`, 200 once there are none left."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.messages: list[Message] = []
        self.statuses: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.messages.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("TIDEGATE_DEVELOPMENT", "1")
    made = Server(tmp_path / "data", workers=1).start()
    yield made
    made.stop_if_running()


def guides_check() -> Any:
    """The function that the guide gives to receivers."""
    (snippet,) = findall(r"^```python\n(.*?)^```", GUIDE.read_text(), MULTILINE | DOTALL)
    space: dict[str, Any] = {}
    exec(compile(snippet, str(GUIDE), "exec"), space)
    return space["is_genuine"]


def test_a_message_survives_a_kill_of_everything_and_is_genuine(server: Server, receiver: Receiver) -> None:
    """The receiver refuses at first; then server and workers die; the message comes all the same."""
    receiver.statuses = [500]
    with server.client() as client:
        job = client.submit("echo", {"n": 1}, webhook={"url": receiver.url})
        eventually(lambda: receiver.messages)
        secret = client.webhook_secret("default").secret
    server.kill()
    server.start()
    eventually(lambda: len(receiver.messages) >= 2)
    (first, body), (second, same) = receiver.messages[:2]
    assert (first["webhook-id"], body) == (second["webhook-id"], same)
    is_genuine = guides_check()
    assert is_genuine(secret, second, body)
    assert not is_genuine(secret, second, body + b" ")
    assert not is_genuine(secret, {**second, "webhook-timestamp": "1"}, body)
    assert json.loads(body)["data"]["result"] == {"attempt": 1, "data": {"n": 1}}
    with server.client() as client:
        (delivery,) = eventually(lambda: [d for d in client.deliveries(job.id) if d.status == "completed"])
    assert (delivery.response_status, delivery.event, delivery.attempt) == (200, "job.completed", 2)


def test_without_the_switch_this_machine_is_out_of_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.delenv("TIDEGATE_DEVELOPMENT", raising=False)
    server = Server(tmp_path / "data", workers=0).start()
    try:
        with server.client() as client, pytest.raises(InvalidInput, match=r"webhook\.url"):
            client.submit("echo", webhook={"url": receiver.url})
    finally:
        server.stop_if_running()


def test_a_job_made_from_a_definition_runs_and_bad_data_does_not(server: Server) -> None:
    with server.client() as client:
        client.put_definition("echo", schema={"properties": {"n": {"type": "integer"}}}, job={"priority": "high"})
        done = client.wait(client.submit(definition="echo", data={"n": 1}).id, timeout=120)
        assert (done.state, done.definition, done.priority) == ("COMPLETED", "echo@1", 8)
        with pytest.raises(InvalidInput, match=r"data\.n: must be integer"):
            client.submit(definition="echo", data={"n": "one"})


def test_a_server_whose_workers_have_only_a_token_delivers_itself(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_DEVELOPMENT", "1")
    server = Server(tmp_path / "data", workers=0).start()
    try:
        with server.client() as client, WorkClient(server.url, data=server.data) as worker:
            receiver.statuses = [500]
            job = client.submit("echo", {"n": 1}, webhook={"url": receiver.url})
            claimed = eventually(lambda: worker.claim("box").jobs)
            worker.complete(claimed[0].id, claimed[0].attempt, {"n": 1})
            eventually(lambda: len(receiver.messages) == 2)
            headers, body = receiver.messages[-1]
            assert json.loads(body)["data"]["job_id"] == job.id
            assert guides_check()(client.webhook_secret("default").secret, headers, body)
            (delivery,) = client.deliveries(job.id)
            eventually(lambda: client.get(delivery.id).state == "COMPLETED")
            assert client.get(delivery.id).attempt == 2
        assert server.stop() == 0
    finally:
        server.stop_if_running()
