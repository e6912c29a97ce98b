"""`tidegate submit` and `watch` as a person types them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, Run, Terminal, sent

from tidegate.client import Client


def test_submit_sends_what_the_options_say(server: FakeServer, run: Run) -> None:
    code, out, err = run(
        "submit", "training", "--data", '{"a": 1}', "--queue", "gpu", "--priority", "high", "--tag", "x", "--tag", "y",
        "--meta", "team=ml", "--start-after", "2030-01-01T00:00:00", "--timeout", "60", "--retry-limit", "2",
        "--soft-sla", "2030-01-02", "--hard-sla", "2030-01-03T00:00:00Z",
        "--job-id", "j1",
    )  # fmt: skip
    assert (code, out, err) == (0, "✅ Submitted job j1\n", "")
    assert sent(server) == {
        "name": "training", "data": {"a": 1}, "queue": "gpu", "priority": "high", "tags": ["x", "y"],
        "metadata": {"team": "ml"}, "start_after": "2030-01-01T00:00:00.000Z", "timeout": 60.0, "retry_limit": 2,
        "soft_sla": "2030-01-02T00:00:00.000Z", "hard_sla": "2030-01-03T00:00:00.000Z",
        "job_id": "j1",
    }  # fmt: skip


def test_submit_sets_every_other_field_by_its_name(server: FakeServer, run: Run) -> None:
    code, _, err = run(
        "submit", "training", "--expire-in", "3600", "--concurrency-key", "acme", "--unique-key", "invoice 7",
        "--policy", "REPLACE", "--set", "retry_delay=2.5", "--set", "retry_backoff=false",
        "--set", "keep_until=2030-01-31T08:00:00Z", "--job-id", "j1",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert sent(server) == {
        "name": "training", "expire_in_seconds": 3600.0, "concurrency_key": "acme", "unique_key": "invoice 7",
        "policy": "REPLACE", "retry_delay": 2.5, "retry_backoff": False, "keep_until": "2030-01-31T08:00:00Z",
        "job_id": "j1",
    }  # fmt: skip


def test_submit_takes_the_flags_of_the_job_queue_guide(server: FakeServer, run: Run, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"training_config": {}}')
    code, _, _ = run("submit", "--type", "training", "--config", "config.json", "--priority", "7", "--max-retries", "3")
    body = sent(server)
    assert code == 0
    assert (body["name"], body["data"], body["priority"], body["retry_limit"]) == (
        "training",
        {"training_config": {}},
        7,
        3,
    )


def test_submit_quietly_prints_the_id_alone(run: Run) -> None:
    assert run("submit", "training", "-q", "--job-id", "j1") == (0, "j1\n", "")


def test_submit_in_json_prints_the_job_and_nothing_else(run: Run) -> None:
    code, out, err = run("submit", "training", "--json", "--job-id", "j1")
    assert (code, json.loads(out)["id"], err) == (0, "j1", "")


def test_submit_by_agent_needs_no_name(server: FakeServer, run: Run) -> None:
    run("submit", "--data", '{"agent": "text_processing"}')
    assert "name" not in sent(server)


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["submit"], "Error: NAME: is missing: what shall run?\n"),
        (["submit", "a", "--type", "b"], "Error: --type: says 'b', but NAME is 'a'\n"),
        (["submit", "a", "--meta", "x"], "Error: --meta: must be KEY=VALUE, not 'x'\n"),
        (["submit", "a", "--data", "@none.json"], "Error: --data: cannot read none.json: No such file or directory\n"),
        (["submit", "a", "--priority", "11"], "Error: the input breaks a rule; priority: must be from 0 to 10\n"),
        (["submit", "a", "--batch", "f", "--watch"], "Error: --batch: does not go with --watch, --quiet or --job-id\n"),
        (["queue", "set", "q", "name=r"], "Error: name: cannot be changed\n"),
        (["list", "--url", "nowhere"], "Error: url: must be an http:// or https:// address, not 'nowhere'\n"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_and_exit_code_2(run: Run, args: list[str], line: str) -> None:
    assert run(*args) == (2, "", line)


def test_data_that_is_neither_json_nor_a_file_says_so(run: Run) -> None:
    code, out, err = run("submit", "a", "--data", "{nope}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("Error: --data: must be JSON or the name of a JSON file: ")


@pytest.mark.parametrize(("name", "expected"), [("COMPLETED", 0), ("FAILED", 1), ("CANCELLED", 1)])
def test_watching_to_the_end_exits_by_the_outcome(run: Run, name: str, expected: int) -> None:
    code, out, err = run("submit", name, "--watch", "--job-id", "j1")
    assert code == expected
    assert f"Status: {name.lower()}\n" in out
    assert err == f"running  50% page \\x1b[2J3\n{name.lower()}\n"


def test_watching_in_json_prints_the_ended_job_alone(run: Run) -> None:
    code, out, err = run("submit", "COMPLETED", "--wait", "--json")
    assert (code, json.loads(out)["state"], err) == (0, "COMPLETED", "")


def test_watching_draws_a_bar_on_a_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    code, out, _ = run("submit", "COMPLETED", "--watch")
    assert code == 0
    assert "\x1b" not in out
    assert "100%" in screen.getvalue()
    assert "\x1b[2J3" not in screen.getvalue()


def test_interrupting_a_watch_leaves_the_job_alone(
    server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.add("j1")

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "watch", interrupt)
    assert run("show", "j1", "--watch") == (130, "", "Stopped watching; job j1 goes on\n")


def test_a_file_of_jobs_goes_in_hundreds_and_bad_lines_are_named(server: FakeServer, run: Run, tmp_path: Path) -> None:
    lines = [json.dumps({"name": "a", "data": n, "queue": "own"} if n == 0 else {"data": n}) for n in range(149)]
    (tmp_path / "jobs.jsonl").write_text("\n".join([*lines, "", "{broken", "[1]"]) + "\n")
    code, out, err = run("submit", "training", "--queue", "gpu", "--batch", "jobs.jsonl")
    assert (code, out) == (1, "✅ Submitted 149 jobs\n")
    assert re.fullmatch(
        r"2 rejected:\nline 151: INVALID_INPUT: must be JSON: .*\nline 152: INVALID_INPUT: must be a JSON object\n", err
    )
    assert [job["queue"] for job in server.jobs.values()] == ["own"] + ["gpu"] * 148
    assert len(server.requests) == 2


def test_jobs_that_the_server_rejects_are_named_by_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text('\n{"name": "a"}\n{"data": 1}\n')
    code, out, err = run("submit", "--batch", "jobs.jsonl", "--json")
    document = json.loads(out)
    assert (code, err, len(document["accepted"])) == (1, "", 1)
    assert document["rejected"] == [{"line": 3, "code": "INVALID_INPUT", "message": "name: is missing", "details": {}}]


def test_a_good_file_exits_0(run: Run, tmp_path: Path) -> None:
    (tmp_path / "jobs.jsonl").write_text('{"name": "a"}\n')
    assert run("submit", "--batch", "jobs.jsonl") == (0, "✅ Submitted 1 jobs\n", "")
