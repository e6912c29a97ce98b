"""Requests that would keep the embedded server from answering others: each is bounded, and others are answered."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest
from matrix import bearer

from home import Clock, Home
from support.served import served
from tidegate import runtime
from tidegate.domain.dag.patterns import MAX_TEXT, Pattern
from tidegate.domain.errors import InvalidInput
from tidegate.local import http, patience


@dataclass
class Served:
    """The server's port, and a client with a token."""

    port: int
    client: httpx.Client
    token: str
    sockets: ExitStack

    def connect(self, said: bytes = b"") -> socket.socket:
        """A connection that has said so much."""
        made = self.sockets.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=20))
        made.sendall(said)
        return made

    def answers_others(self) -> bool:
        return self.client.get("/whoami").status_code == 200


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all: whatever is done to it, it goes on answering."""
    clock = Clock()
    home = Home(runtime.embedded(tmp_path_factory.mktemp("denial"), now=clock.now, rng=random.Random(1)), clock)
    token = bearer(home, "main", "ada", "submit", "read")
    with served(home.app) as port:
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"authorization": token}, timeout=20)
        with client, ExitStack() as sockets:
            yield Served(port, client, token, sockets)
    home.close()


def nested(depth: int) -> bytes:
    return b'{"name": "work", "data": ' + b"[" * depth + b"]" * depth + b"}"


BODIES = {
    "as deep as allowed": (nested(60), 201),
    "too deep": (nested(70), 422),
    "deeper than any stack": (nested(1_000_000), 422),
    "an infinite number": (b'{"name": "work", "data": 1e999}', 422),
    "a number of 100,000 digits": (b'{"name": "work", "data": ' + b"9" * 100_000 + b"}", 400),
    "a hundred thousand fields": (json.dumps({"name": "work", **{f"f{n}": n for n in range(100_000)}}).encode(), 422),
    "a hundred thousand tags": (json.dumps({"name": "work", "tags": ["a"] * 100_000}).encode(), 422),
    "one byte too many": (b" " * (http.MAX_BODY_BYTES + 1), 413),
    "ten megabytes": (b'{"data": "' + b"x" * 10_000_000 + b'"}', 413),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_costs_no_more_than_its_refusal(server: Served, case: str) -> None:
    body, status = BODIES[case]
    try:
        answer = server.client.post("/jobs", content=body)
    except httpx.WriteError:  # the server had heard enough, and closed before all was sent
        assert status == 413
    else:
        assert (answer.status_code, answer.json()["success"]) == (status, status == 201), answer.text[:200]
    assert server.answers_others()


def test_a_body_that_never_ends_is_given_up(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_BODY_SECONDS", 0.2)
    head = f"POST /jobs HTTP/1.1\r\nhost: home\r\nauthorization: {server.token}\r\ncontent-length: 1000\r\n\r\n"
    slow = server.connect(head.encode() + b'{"name')
    assert slow.recv(100).startswith(b"HTTP/1.1 408")
    assert server.answers_others()


@pytest.mark.parametrize("said", [b"", b"G", b"GET /jobs HTTP/1.1\r\nhost: home\r\nx-slow: a"])
def test_headers_that_never_end_are_given_up(server: Served, monkeypatch: pytest.MonkeyPatch, said: bytes) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.2)
    slow = [server.connect(said) for _ in range(20)]
    assert server.answers_others()
    assert [each.recv(100) for each in slow] == [b""] * 20


def test_headers_that_never_end_are_given_up_after_a_request_too(
    server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEADER_SECONDS", 0.2)
    slow = server.connect(b"GET /whoami HTTP/1.1\r\nhost: home\r\n\r\n")
    told = b""
    while not told.endswith(b"}}"):
        told += slow.recv(10_000)
    assert told.startswith(b"HTTP/1.1 401")
    slow.sendall(b"GET /whoami HTTP/1.1\r\nhost:")
    assert slow.recv(100) == b""


def test_a_flood_of_headers_is_refused(server: Served) -> None:
    flood = server.connect()
    sent = b"GET /whoami HTTP/1.1\r\nhost: home\r\n"
    try:
        flood.sendall(sent + b"".join(b"x-%d: %s\r\n" % (number, b"a" * 100) for number in range(10_000)))
        told = flood.recv(100)
    except OSError:  # closed before all was sent
        told = b""
    assert told == b"" or told.startswith(b"HTTP/1.1 4")
    assert server.answers_others()


BOMBS = {
    "a list without end": "0,1,2,3,4,5," * 10_000 + "0 * * * *",
    "the same within bounds": ",".join(["*"] * 120) + " * * * *",
    "a day that never comes": "0 0 31 2 *",
    "a step of nothing": "*/0 * * * *",
    "each second": "* * * * * *",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_cron_bomb_is_refused_at_once(server: Served, name: str) -> None:
    body = {"name": f"bomb-{len(BOMBS[name])}", "expression": BOMBS[name], "job": {"name": "work"}}
    answer = server.client.post("/schedules", json=body)
    assert answer.status_code == (201 if name == "the same within bounds" else 422), answer.text[:200]
    assert server.answers_others()


def work_of(pattern: str, text: str) -> float:
    """Processor time of a match, the least of three: other work of the machine only adds to it."""
    compiled = Pattern(pattern)
    found = []
    for _ in range(3):
        begun = time.thread_time()
        compiled.matches(text)
        found.append(time.thread_time() - begun)
    return min(found)


@pytest.mark.parametrize("pattern", ["(a+)+b", "(a|a)*b", "(a*)*(a*)*b", "(.*)(.*)(.*)(.*)b"])
def test_an_evil_pattern_takes_time_as_long_as_its_text(pattern: str) -> None:
    """With backtracking a text of 40 would not end; here eight times the text is far from 64 times the work."""
    assert not Pattern(pattern).matches("a" * 40)
    assert work_of(pattern, "a" * 4_000) < 32 * max(work_of(pattern, "a" * 500), 1e-4)
    assert MAX_TEXT == 10_000


def test_patterns_that_grow_when_they_are_unrolled_are_refused() -> None:
    with pytest.raises(InvalidInput):
        Pattern("((a{1,99}){1,99}){1,99}")
