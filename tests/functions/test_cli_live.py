"""`tidegate top` and `tidegate watch` against a home in this process."""

from __future__ import annotations

import io
import json
import re
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from commands import Run, command_line

from home import Home
from support.inprocess import client_of
from tidegate.cli import session
from tidegate.client import Client
from tidegate.domain.caller import Caller
from tidegate.domain.queue import Queue
from tidegate.ports import Worker
from tidegate.service.tokens import new_token

ADA = Caller("main", "ada", frozenset({"submit", "read"}))


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line; whenever its client waits, the home goes on by a step."""
    token, stored = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit", "read"])
    home.ports.tokens.put(stored)

    def fail(_: object) -> None:
        raise ValueError

    runner = home.runner(work=lambda _: home.clock.advance(1), fail=fail)

    def client(_: session.Session, tries: int = 1) -> Client:
        made = client_of(home.app, token)
        monkeypatch.setattr(made, "_sleep", lambda _: (home.serve_one(runner), home.pump()))
        return made

    monkeypatch.setattr(session.Session, "client", client)
    return command_line(capsys)


def busy(home: Home) -> None:
    """A queue at work, one with a name that would move the cursor, and a worker."""
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="mail"), None)
    for _ in range(3):
        home.submit(queue="mail", priority=9)
    home.submit(name="fail", retry_limit=0)
    home.serve_one(home.runner(work=lambda _: None))
    home.pump()
    now = home.clock.now()
    home.ports.workers.put(
        Worker(id="w\x1b[2J", kind="pull", pool="default", concurrency=4, started_at=now, seen_at=now)
    )


def test_top_shows_queues_workers_and_rates_once(run: Run, home: Home) -> None:
    busy(home)
    code, out, err = run("top", "--once")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("Running 0")
    assert "Waiting 3" in lines[0]
    assert "Workers 1" in lines[0]
    assert lines[1].startswith("Completed 0.1/min")
    assert "high 2" in lines[2]
    assert any(line.split() == ["mail", "2", "0", "0", "1"] for line in lines)
    assert "\x1b" not in out
    assert any("w\\x1b[2J" in line and "0/4" in line for line in lines)


def test_top_in_json_has_all_that_it_looked_at(run: Run, home: Home) -> None:
    busy(home)
    code, out, _ = run("top", "--json")
    found = json.loads(out)
    assert (code, set(found)) == (0, {"status", "depth", "timeline", "queues", "workers", "costs"})
    assert found["costs"]["dollars"] > 0
    assert found["depth"]["bands"]["high"] == 2


def test_top_on_a_terminal_looks_again_until_interrupted(run: Run, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    busy(home)
    at = [0.0]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise KeyboardInterrupt
        at[0] += 60
        home.drain(home.runner(work=lambda _: None))
        home.pump()

    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("tidegate.cli.top.time", SimpleNamespace(monotonic=lambda: at[0], sleep=sleep))
    code, _, _ = run("top", "--interval", "5")
    shown = re.sub(r"\x1b\[[01]m", "", screen.getvalue())
    assert (code, pauses) == (0, [5.0, 5.0])
    assert "Waiting 3" in shown
    assert "Waiting 0" in shown
    assert "Completed 2.0/min" in shown
    assert not re.search(r"\x1b\[[\d;]+m", shown)
    assert shown.endswith("\x1b[?25h\x1b[?1049l")


@pytest.mark.parametrize(("name", "code", "state"), [("work", 0, "completed"), ("fail", 1, "failed")])
def test_a_job_is_watched_to_its_end_by_the_beginning_of_its_id(
    run: Run, home: Home, name: str, code: int, state: str
) -> None:
    job = home.submit(name=name, retry_limit=0, caller=ADA)
    assert run("watch", job.id[:-2]) == (code, f"{name} {state}\n", f"pending\n{state}\n")


def test_a_run_is_watched_to_its_end(run: Run, home: Home, tmp_path: Any) -> None:
    nodes = [{"id": "a", "name": "work"}, {"id": "b", "name": "work", "depends_on": ["a"]}]
    (tmp_path / "run.json").write_text(json.dumps({"name": "invoices", "nodes": nodes}))
    dag_id = json.loads(run("dag", "submit", str(tmp_path / "run.json"), "--json")[1])["id"]
    code, out, err = run("watch", dag_id)
    assert (code, out) == (0, "invoices COMPLETED 100% 2/2 completed, 0 active\n")
    assert err.splitlines() == [
        "ACTIVE   0% 0/2 completed, 0 active",
        "ACTIVE  50% 1/2 completed, 0 active",
        "COMPLETED 100% 2/2 completed, 0 active",
    ]
    code, _, err = run("dag", "submit", str(tmp_path / "run.json"), "--wait")
    assert (code, err.splitlines()[-1]) == (0, "COMPLETED 100% 2/2 completed, 0 active")


def test_watching_a_run_draws_a_bar_on_a_terminal(
    run: Run, home: Home, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.json").write_text('{"name": "invoices", "nodes": [{"id": "a", "name": "work"}]}')
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    assert run("dag", "submit", str(tmp_path / "run.json"), "--wait")[0] == 0
    assert "invoices COMPLETED" in screen.getvalue()
    assert "100%" in screen.getvalue()


def test_what_is_neither_job_nor_run_is_not_found(run: Run) -> None:
    code, out, err = run("watch", "nothing")
    assert (code, out) == (3, "")
    assert "nothing" in err
