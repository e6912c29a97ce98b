"""Logs and history, as the clients and the command line show them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import AsyncClient, Attempt, Client, Retries
from tidegate.domain.errors import NotFound, NotSupported

MORNING = "2025-11-20T14:35:00.000Z"


def line(message: str, level: str = "INFO", time: str = MORNING, attempt: int = 1) -> dict[str, Any]:
    return {"time": time, "level": level, "attempt": attempt, "message": message}


WHY: dict[str, Any] = {
    "job_id": "123",
    "state": "CREATED",
    "verdict": "Not started: its queue 'default' was paused by ada (de\x1b[2Jploy).",
    "gates": [
        {"gate": "line", "holds": False, "message": "it is the next", "facts": {"ahead": 0, "first": []}},
        {
            "gate": "upstream",
            "holds": True,
            "message": "it waits for node a",
            "facts": {"node": "b", "waits_for": [{"node": "a", "job_id": "7", "state": "ACTIVE"}], "join_count": None},
        },
    ],
    "expected_start": MORNING,
}


class Server:
    """One job, `123`, whose log comes in the pages given."""

    def __init__(self) -> None:
        self.pages: list[dict[str, Any]] = []
        self.asked: list[dict[str, str]] = []
        self.history: dict[str, Any] = {"attempts": [], "changes": [], "forgotten": 0}
        self.why = WHY

    def page(self, *lines: dict[str, Any], more: bool = False, ended: bool = False) -> None:
        number = str(len(self.pages) + 1)
        self.pages.append({"lines": list(lines), "next_after": number, "more": more, "ended": ended})

    def __call__(self, request: httpx.Request) -> httpx.Response:
        _, _, job_id, *rest = request.url.path.split("/")
        if job_id != "123":
            body = {"success": False, "code": "NOT_FOUND", "message": f"there is no job '{job_id}'", "details": {}}
            return httpx.Response(404, json=body)
        if rest == ["logs"]:
            self.asked.append(dict(request.url.params))
            return httpx.Response(200, json={"success": True, "job_id": job_id, **self.pages.pop(0)})
        if rest == ["why"]:
            return httpx.Response(200, json={"success": True, "why": self.why})
        if rest == ["history"]:
            return httpx.Response(200, json={"success": True, "job_id": job_id, **self.history})
        return httpx.Response(200, json={"job": {"id": "123", "name": "a", "state": "ACTIVE", "status": "running"}})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def client(server: Server) -> Client:
    transport = httpx.MockTransport(server)
    return Client("http://tidegate.test", "secret", transport=transport, sleep=lambda _: None)


def test_logs_are_fetched_page_by_page(server: Server, client: Client) -> None:
    server.page(line("a"), line("b"), more=True)
    server.page(line("c", "ERROR", attempt=2))
    found = list(client.logs("123", level="INFO"))
    assert [(each.message, each.level, each.attempt) for each in found] == [
        ("a", "INFO", 1),
        ("b", "INFO", 1),
        ("c", "ERROR", 2),
    ]
    assert found[0].time == datetime(2025, 11, 20, 14, 35, tzinfo=UTC)
    assert server.asked == [{"limit": "1000", "level": "INFO"}, {"limit": "1000", "level": "INFO", "after": "1"}]


def test_following_goes_on_until_the_job_has_ended(server: Server, client: Client) -> None:
    server.page(line("a"))
    server.page()
    server.page(line("b"))
    server.page(line("c"), more=True)
    server.page(line("d"), ended=True)
    assert [each.message for each in client.logs("123", follow=True)] == list("abcd")
    assert [asked.get("after") for asked in server.asked] == [None, "1", "2", "3", "4"]


def test_following_for_asyncio(server: Server) -> None:
    server.page(line("a"))
    server.page(line("b"), ended=True)
    server.history["forgotten"] = 3

    async def follow() -> tuple[list[str], int]:
        async def no_sleep(_: float) -> None: ...

        transport = httpx.MockTransport(server)
        async with AsyncClient("http://tidegate.test", "secret", transport=transport, sleep=no_sleep) as client:
            messages = [each.message async for each in client.logs("123", follow=True)]
            return messages, (await client.history("123")).forgotten

    assert asyncio.run(follow()) == (["a", "b"], 3)


def test_history_is_typed(server: Server, client: Client) -> None:
    attempt = {
        "attempt": 1,
        "worker_id": "w-1",
        "started_at": MORNING,
        "ended_at": None,
        "outcome": "running",
        "error_type": None,
        "error_message": None,
    }
    change = {"at": MORNING, "state": "CREATED", "attempt": None, "note": None}
    server.history |= {"attempts": [attempt], "changes": [change], "forgotten": 2}
    found = client.history("123")
    begun = datetime(2025, 11, 20, 14, 35, tzinfo=UTC)
    assert found.attempts == (Attempt(attempt=1, worker_id="w-1", started_at=begun, outcome="running"),)
    assert (found.changes[0].at, found.changes[0].state, found.forgotten) == (begun, "CREATED", 2)


def test_a_job_that_is_none_has_no_log(client: Client) -> None:
    with pytest.raises(NotFound):
        list(client.logs("9"))
    with pytest.raises(NotFound):
        client.history("9")


def test_what_a_home_cannot_do_is_an_error_of_its_own() -> None:
    body = {"success": False, "code": "NOT_SUPPORTED", "message": "not here", "details": {}}
    client = Client("http://tidegate.test", transport=httpx.MockTransport(lambda _: httpx.Response(501, json=body)))
    with pytest.raises(NotSupported, match="not here"):
        client.history("1")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def client(self: session.Session, tries: int = 4) -> Client:
        transport = httpx.MockTransport(server)
        return Client("http://tidegate.test", "x", retries=Retries(tries=1), transport=transport, sleep=lambda _: None)

    monkeypatch.setattr(session.Session, "client", client)
    monkeypatch.chdir(tmp_path)

    def run_it(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run_it


GUIDE = """\
Logs for job 123:
--------------------------------------------------------------------------------
[2025-11-20 14:35:00] INFO: Starting training
[2025-11-20 14:37:00] INFO: Epoch 1/10 - loss: 0.45
[2025-11-20 14:40:00] WARNING: GPU memory at 85%
[2025-11-20 14:42:00] INFO: Training completed
"""


def test_logs_look_as_in_the_job_queue_guide(server: Server, run: Run) -> None:
    server.page(
        line("Starting training"),
        line("Epoch 1/10 - loss: 0.45", time="2025-11-20T14:37:00.000Z"),
        line("GPU memory at 85%", "WARNING", "2025-11-20T14:40:00.000Z"),
        line("Training completed", time="2025-11-20T14:42:00.000Z"),
        ended=True,
    )
    assert run("logs", "123")[:2] == (0, GUIDE)


def test_no_message_can_pass_for_a_line_or_steer_the_terminal(server: Server, run: Run) -> None:
    server.page(line("a\n[2025-11-20 14:35:00] ERROR: forged\x1b[2J"), ended=True)
    _, out, _ = run("logs", "123")
    assert out.splitlines()[2:] == ["[2025-11-20 14:35:00] INFO: a", "    [2025-11-20 14:35:00] ERROR: forged\\x1b[2J"]


def test_logs_are_followed_with_f(server: Server, run: Run) -> None:
    server.page(line("a"))
    server.page(line("b"), ended=True)
    code, out, _ = run("logs", "123", "-f", "--level", "INFO")
    assert (code, out.count("INFO: ")) == (0, 2)
    assert server.asked[0]["level"] == "INFO"


def test_logs_in_json_are_one_object_a_line(server: Server, run: Run) -> None:
    server.page(line("a"), line("b"), ended=True)
    code, out, _ = run("logs", "123", "--json")
    assert (code, [json.loads(text) for text in out.splitlines()]) == (0, [line("a"), line("b")])


@pytest.mark.parametrize("args", [("logs", "123"), ("history", "123")])
def test_nothing_told_and_nothing_tried(server: Server, run: Run, args: tuple[str, ...]) -> None:
    server.page(ended=True)
    code, out, _ = run(*args)
    assert code == 0
    assert out.splitlines()[1] == "-" * 80


def test_interrupting_leaves_the_job_alone(server: Server, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> Any:
        yield from ()
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "logs", interrupt)
    code, _, err = run("logs", "123", "-f")
    assert (code, err) == (130, "Stopped following; job 123 goes on\n")


def test_history_shows_attempts_and_states(server: Server, run: Run) -> None:
    failed = {
        "attempt": 1,
        "worker_id": "w-1",
        "started_at": MORNING,
        "ended_at": "2025-11-20T14:36:00.000Z",
        "outcome": "failed",
        "error_type": "agent",
        "error_message": "ValueError: bad\npage",
    }
    changes = [{"at": MORNING, "state": "RETRY", "attempt": 1, "note": "ValueError: bad\npage"}]
    server.history |= {"attempts": [failed], "changes": changes, "forgotten": 1}
    code, out, _ = run("history", "123")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "History of job 123:"
    assert lines[2].split() == ["Attempt", "Outcome", "Started", "Ended", "Worker", "Error"]
    assert lines[3].split(maxsplit=7)[-1] == "agent: ValueError: bad\\npage"
    assert lines[4].startswith("Attempts without a record: 1")
    assert lines[-1] == "[2025-11-20 14:35:00] RETRY: ValueError: bad\\npage"
    code, out, _ = run("history", "123", "--json")
    assert json.loads(out)["forgotten"] == 1


def test_why_is_told_with_its_gates(client: Client, server: Server) -> None:
    found = client.why("123")
    assert (found.state, found.expected_start) == ("CREATED", datetime(2025, 11, 20, 14, 35, tzinfo=UTC))
    assert [gate.gate for gate in found.holding] == ["upstream"]
    assert found.gates[1].facts["waits_for"][0]["state"] == "ACTIVE"
    with pytest.raises(NotFound):
        client.why("9")

    async def ask() -> str:
        transport = httpx.MockTransport(server)
        async with AsyncClient("http://tidegate.test", "secret", transport=transport) as asynchronous:
            return (await asynchronous.why("123")).verdict

    assert asyncio.run(ask()) == found.verdict


def test_why_shows_what_holds_first_and_only_facts_that_say_something(run: Run) -> None:
    code, out, _ = run("why", "123")
    assert code == 0
    assert out.splitlines() == [
        "Not started: its queue 'default' was paused by ada (de\\x1b[2Jploy).",
        "Expected start: 2025-11-20 14:35:00",
        "",
        "✋ upstream: it waits for node a",
        "    node: b",
        "    waits_for:",
        "      node=a, job_id=7, state=ACTIVE",
        "✓ line: it is the next",
        "    ahead: 0",
    ]
    code, out, _ = run("why", "123", "--json")
    assert (code, json.loads(out)) == (0, WHY)
