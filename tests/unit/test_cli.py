"""Every command as a person types it, against a small server in memory that speaks the HTTP API's shapes."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tidegate import local, worker
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import Client, Retries

CREATED = "2025-11-20T14:30:00.000Z"
STATS = {
    "pending": 5,
    "running": 2,
    "completed": 42,
    "failed": 1,
    "cancelled": 0,
    "skipped": 0,
    "expired": 0,
    "total": 50,
}
COARSE = {
    "CREATED": "pending",
    "ACTIVE": "running",
    "COMPLETED": "completed",
    "FAILED": "failed",
    "CANCELLED": "cancelled",
}


class FakeServer:
    """Jobs and queues in memory. A job whose name is a state ends there when it is looked at again."""

    def __init__(self) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self.queues: dict[str, dict[str, Any]] = {
            "default": {"name": "default", "pool": "default", "ordering": "strict"}
        }
        self.stats: dict[str, Any] = {**STATS, "states": {}}
        self.requests: list[httpx.Request] = []
        self.down = False
        self.token = "secret"

    def add(self, id_: str, state: str = "CREATED", **fields: Any) -> None:
        job = {"id": id_, "name": "training", "queue": "default", "priority": 7, "data": {"x": 1}}
        job |= {"retry_count": 0, "retry_limit": 3, "created_at": CREATED, **fields}
        self.jobs[id_] = job
        self.move(id_, state)

    def move(self, job_id: str, state: str) -> None:
        self.jobs[job_id] |= {"state": state, "status": COARSE[state]}

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("Connection refused")
        self.requests.append(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return self.refuse(401, "UNAUTHENTICATED", "a valid bearer token is needed")
        _, collection, *rest = request.url.path.split("/")
        body = json.loads(request.content) if request.content else {}
        route: Callable[..., httpx.Response] = getattr(self, f"{request.method.lower()}_{collection}")
        return route(body, request.url.params, *rest)

    def ok(self, **body: Any) -> httpx.Response:
        return httpx.Response(200, json={"success": True, "message": "", **body})

    def refuse(self, status: int, code: str, message: str, **details: Any) -> httpx.Response:
        return httpx.Response(status, json={"success": False, "code": code, "message": message, "details": details})

    def get_jobs(self, _: Any, params: httpx.QueryParams, job_id: str | None = None) -> httpx.Response:
        if job_id is None:
            states = params.get_list("state")
            fit = [job for job in self.jobs.values() if not states or job["status"] in states or job["state"] in states]
            first, limit = int(params.get("cursor", "0")), int(params["limit"])
            after = first + limit
            cursor = str(after) if after < len(fit) else None
            return self.ok(jobs=fit[first:after], total_count=len(fit), next_cursor=cursor)
        if job_id not in self.jobs:
            return self.refuse(404, "NOT_FOUND", f"there is no job '{job_id}'")
        self._advance(job_id)
        return self.ok(job=self.jobs[job_id])

    def _advance(self, job_id: str) -> None:
        job = self.jobs[job_id]
        if job["name"] not in COARSE:
            return
        if job["state"] == "CREATED":
            self.move(job_id, "ACTIVE")
            job["progress"] = {"fraction": 0.5, "message": "page \x1b[2J3"}
        else:
            self.move(job_id, job["name"])

    def post_jobs(self, body: Any, _: Any, job_id: str | None = None, action: str = "") -> httpx.Response:
        if job_id == "batch":
            return self._batch(body["jobs"])
        if job_id is None:
            if body.get("priority") == 11:
                errors = [{"field": "priority", "rule": "must be from 0 to 10"}]
                return self.refuse(422, "INVALID_INPUT", "the input breaks a rule", errors=errors)
            self.add(body.pop("job_id"), **body)
            return self.ok(job=next(reversed(self.jobs.values())))
        if job_id not in self.jobs:
            return self.refuse(404, "NOT_FOUND", f"there is no job '{job_id}'")
        if action == "cancel" and self.jobs[job_id]["state"] == "COMPLETED":
            return self.refuse(409, "WRONG_STATE", f"job '{job_id}' has ended: COMPLETED")
        if not (action == "cancel" and self.jobs[job_id]["state"] == "ACTIVE"):
            self.move(job_id, {"cancel": "CANCELLED", "retry": "CREATED"}[action])
        return self.ok(job=self.jobs[job_id])

    def _batch(self, jobs: list[dict[str, Any]]) -> httpx.Response:
        assert len(jobs) <= 100
        bad = [
            {"index": n, "code": "INVALID_INPUT", "message": "name: is missing", "details": {}}
            for n, job in enumerate(jobs)
            if "name" not in job
        ]
        for job in jobs:
            if "name" in job:
                self.add(job["job_id"], **job)
        return self.ok(accepted=[job["job_id"] for job in jobs if "name" in job], rejected=bad)

    def get_stats(self, _: Any, __: Any, kind: str | None = None, action: str = "") -> httpx.Response:
        row = {"met": 8, "missed_soft": 3, "missed_hard": 1, "at_risk": 2}
        if kind == "sla":
            return self.ok(sla={**row, "queues": [{"queue": "reports", **row}]})
        return self.ok(stats=self.stats)

    def get_whoami(self, *_: Any) -> httpx.Response:
        return self.ok(tenant="main", user="ada", scopes=["read", "submit"], stage="prod", version="0.1.0")

    def get_queues(self, _: Any, __: Any, name: str | None = None) -> httpx.Response:
        if name is None:
            return self.ok(queues=list(self.queues.values()))
        return self.ok(queue=self.queues[name])

    def patch_queues(self, body: Any, _: Any, name: str) -> httpx.Response:
        if name not in self.queues:
            return self.refuse(404, "NOT_FOUND", f"there is no queue '{name}'")
        self.queues[name] |= body
        return self.ok(queue=self.queues[name])

    def put_queues(self, body: Any, _: Any, name: str) -> httpx.Response:
        self.queues[name] = {"name": name, **body}
        return self.ok(queue=self.queues[name])

    def post_queues(self, body: Any, _: Any, name: str, action: str) -> httpx.Response:
        self.queues[name] |= {"paused": action == "pause", "paused_reason": body.get("reason")}
        return self.ok(queue=self.queues[name])


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


Run = Callable[..., tuple[int, str, str]]


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


def sent(server: FakeServer) -> Any:
    return json.loads(server.requests[-1].content)


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


def test_show_prints_the_lines_of_the_job_queue_guide(server: FakeServer, run: Run) -> None:
    server.add(
        "123", "COMPLETED", started_at="2025-11-20T14:35:00.000Z", completed_at="2025-11-20T15:45:00.000+01:00",
        worker_id="worker-01", result={"loss": 0.4}, tags=["a", "b"], metadata={"team": "ml"},
    )  # fmt: skip
    code, out, _ = run("show", "123")
    assert code == 0
    assert out == (
        "Job ID: 123\nType: training\nStatus: completed\nPriority: 7\nCreated: 2025-11-20 14:30:00\n"
        "Started: 2025-11-20 14:35:00\nCompleted: 2025-11-20 14:45:00\nWorker: worker-01\nRetries: 0/3\n"
        "Queue: default\nState: COMPLETED\nTags: a, b\nMetadata: team=ml\n"
        '\nConfiguration:\n{\n  "x": 1\n}\n\nResult:\n{\n  "loss": 0.4\n}\n'
    )


def test_show_says_when_a_value_is_too_large(server: FakeServer, run: Run) -> None:
    server.add("j1", "COMPLETED", data=None, omitted=["data", "result"])
    assert "Configuration:\n(too large to be shown)\n\nResult:\n(too large to be shown)\n" in run("show", "j1")[1]


def test_a_job_cannot_write_on_the_terminal_or_forge_lines(server: FakeServer, run: Run) -> None:
    server.add(
        "j1", "FAILED", error_type="agent", error_message="boom\nStatus: completed\x1b]0;x\x07", data="\x9b31m[red]"
    )
    _, out, _ = run("show", "j1")
    assert "Error: agent: boom\\nStatus: completed\\x1b]0;x\\x07\n" in out
    assert '"\\u009b31m[red]"' in out
    _, out, _ = run("show", "j1", "--json")
    assert "\x9b" not in out
    assert json.loads(out)["data"] == "\x9b31m[red]"


def test_any_unique_prefix_names_a_job(server: FakeServer, run: Run) -> None:
    server.add("0199aa")
    server.add("0199bb")
    assert run("cancel", "0199a") == (0, "✅ Cancelled job 0199aa\n", "")
    assert run("show", "0199bb")[0] == 0
    code, out, err = run("cancel", "0199")
    assert (code, out) == (2, "")
    assert err == "Error: several jobs begin with '0199': 0199aa, 0199bb, …; give more of the id\n"


def test_an_id_that_is_whole_is_never_taken_for_a_prefix(server: FakeServer, run: Run) -> None:
    server.add("job-1")
    server.add("job-10")
    assert run("cancel", "job-1") == (0, "✅ Cancelled job job-1\n", "")
    assert server.jobs["job-10"]["state"] == "CREATED"


def test_a_job_that_does_not_exist_is_exit_code_3(run: Run) -> None:
    assert run("show", "nope") == (3, "", "Error: there is no job 'nope'\n")


def test_cancelling_a_running_job_says_that_it_is_asked(server: FakeServer, run: Run) -> None:
    server.add("j1", "ACTIVE")
    assert run("cancel", "j1", "--reason", "too slow") == (0, "✅ Asked job j1 to stop; it is running\n", "")
    assert sent(server) == {"reason": "too slow"}


def test_cancelling_an_ended_job_is_exit_code_1(server: FakeServer, run: Run) -> None:
    server.add("j1", "COMPLETED")
    assert run("cancel", "j1") == (1, "", "Error: job 'j1' has ended: COMPLETED\n")


def test_retry_says_what_the_job_queue_guide_says(server: FakeServer, run: Run) -> None:
    server.add("123", "FAILED")
    assert run("retry", "123") == (0, "✅ Job 123 reset to pending (will retry)\n", "")


def test_list_prints_columns_without_cutting_or_colouring(server: FakeServer, run: Run) -> None:
    server.add("0199f3d2-0000-7000-8000-000000000001", name="n" * 64)
    code, out, _ = run("list")
    heading, row = out.splitlines()
    assert code == 0
    assert heading.split() == ["ID", "Type", "Status", "Priority", "Queue", "Created"]
    assert row.split() == [
        "0199f3d2-0000-7000-8000-000000000001",
        "n" * 64,
        "pending",
        "7",
        "default",
        "2025-11-20",
        "14:30:00",
    ]
    assert "\x1b" not in out


def test_list_passes_its_filters_on(server: FakeServer, run: Run) -> None:
    server.add("j1", "FAILED")
    args = (
        "--status",
        "failed",
        "--state",
        "RETRY",
        "--type",
        "training",
        "--tag",
        "t",
        "--meta",
        "a=b",
        "--queue",
        "q",
    )
    assert run("list", *args, "--limit", "20")[0] == 0
    assert (
        str(server.requests[-1].url.params)
        == "state=failed&state=RETRY&queue=q&name=training&tag=t&metadata.a=b&limit=20"
    )


def test_list_takes_a_run_and_a_span_of_time(server: FakeServer, run: Run) -> None:
    begun = datetime.now(UTC)
    assert run("list", "--dag", "d1", "--since", "2h", "--until", "2030-01-31T08:00:00", "--metadata", "a=b")[0] == 0
    asked = server.requests[-1].url.params
    assert (asked["dag_id"], asked["created_to"], asked["metadata.a"]) == ("d1", "2030-01-31T08:00:00.000Z", "b")
    since = datetime.fromisoformat(asked["created_from"]) + timedelta(hours=2, milliseconds=1)
    assert begun <= since <= datetime.now(UTC) + timedelta(milliseconds=1)
    code, _, err = run("list", "--since", "yesterday")
    assert (code, "--since: must be a time" in err) == (2, True)


def test_list_says_when_there_is_nothing_or_more(server: FakeServer, run: Run) -> None:
    assert run("list") == (0, "No jobs\n", "")
    for number in range(3):
        server.add(f"j{number}")
    assert run("list", "--limit", "2")[1].endswith("The newest 2 of 3; more with --limit\n")


def test_list_in_json_is_one_document_however_many_pages_it_took(server: FakeServer, run: Run) -> None:
    for number in range(450):
        server.add(f"j{number}")
    _, out, _ = run("list", "--json", "--limit", "410")
    document = json.loads(out)
    assert [len(document["jobs"]), document["total_count"], document["next_cursor"]] == [410, 450, "410"]
    assert len(server.requests) == 3


def test_list_fits_a_narrow_terminal(server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("0199f3d2-0000-7000-8000-000000000001")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    run("list")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
    assert max(len(line) for line in plain.splitlines()) <= 40
    assert "…" not in plain
    assert "\x1b[" in screen.getvalue()


def test_no_color_is_honoured_on_a_terminal(server: FakeServer, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    server.add("j1")
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", "1")
    run("list")
    codes = {code for found in re.findall(r"\x1b\[([0-9;]*)m", screen.getvalue()) for code in found.split(";")}
    assert codes <= {"", "0", "1"}


def test_whoami_tells_user_tenant_scopes_and_server(run: Run) -> None:
    code, out, _ = run("whoami", "--url", "http://tidegate.test")
    assert code == 0
    assert out == "ada of main: read submit\nhttp://tidegate.test, stage prod, version 0.1.0\n"
    assert json.loads(run("whoami", "--json")[1])["scopes"] == ["read", "submit"]


def test_stats_prints_the_layout_of_the_job_queue_guide(run: Run) -> None:
    code, out, _ = run("stats")
    assert code == 0
    assert out == (
        "Queue Statistics:\n----------------------------------------\nPending:         5\nRunning:         2\n"
        "Completed:      42\nFailed:          1\nCancelled:       0\n----------------------------------------\n"
        "Total:          50\n"
    )


def test_stats_adds_up_when_jobs_were_skipped_or_expired(server: FakeServer, run: Run) -> None:
    server.stats |= {"skipped": 3, "expired": 4, "total": 57}
    assert "Skipped:         3\nExpired:         4\n---" in run("stats")[1]


def test_stats_of_deadlines_are_shown_by_queue_and_in_all(run: Run) -> None:
    code, out, _ = run("stats", "--sla")
    assert code == 0
    assert [line.split() for line in out.splitlines() if "8" in line] == [
        ["reports", "8", "3", "1", "2"], ["Total", "8", "3", "1", "2"],
    ]  # fmt: skip
    assert json.loads(run("stats", "--sla", "--json")[1])["queues"][0]["queue"] == "reports"


def test_watching_stats_in_json_is_a_stream_of_lines_until_interrupted(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("tidegate.cli.jobs.time", SimpleNamespace(sleep=sleep))
    code, out, err = run("stats", "--watch", "--json", "--interval", "0.5")
    assert (code, err, pauses) == (0, "", [0.5] * 3)
    assert [json.loads(line)["total"] for line in out.splitlines()] == [50, 50, 50]


def test_queues_are_listed_shown_made_changed_paused_and_resumed(server: FakeServer, run: Run) -> None:
    assert run("queue", "set", "gpu", "retry_limit=5", "timeout=1.5", "ordering=aging", "retry_jitter=true") == (
        0, "✅ Queue gpu set\n", "",
    )  # fmt: skip
    settings = {"retry_limit": 5, "timeout": 1.5, "ordering": "aging", "retry_jitter": True}
    assert server.queues["gpu"] == {"name": "gpu", **settings}
    run("queue", "set", "gpu", "retry_limit=6")
    assert server.queues["gpu"]["timeout"] == 1.5
    assert run("queue", "pause", "gpu", "--reason", "audit") == (0, "✅ Paused queue gpu\n", "")
    assert "paused: audit" in run("queue", "list")[1]
    assert run("queue", "resume", "gpu") == (0, "✅ Resumed queue gpu\n", "")
    code, out, _ = run("queue", "show", "gpu")
    assert (code, "retry_limit: 6\n" in out, "ordering: aging\n" in out) == (0, True, True)
    assert json.loads(run("queue", "show", "gpu", "--json")[1])["retry_limit"] == 6
    assert [each["name"] for each in json.loads(run("queue", "list", "--json")[1])["queues"]] == ["default", "gpu"]


def test_a_missing_token_is_exit_code_4_with_a_hint(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TIDEGATE_TOKEN")
    code, out, err = run("list")
    assert (code, out, err.count("\n")) == (4, "", 1)
    assert "set TIDEGATE_TOKEN or --token" in err


def test_the_token_of_the_data_folder_is_found(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TIDEGATE_TOKEN")
    monkeypatch.setenv("TIDEGATE_DATA", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "token").write_text("secret\n")
    assert run("list")[0] == 0


def test_address_and_token_may_stand_before_or_after_the_command(server: FakeServer, run: Run) -> None:
    server.token = "other"
    assert run("--url", "http://a.test", "--token", "other", "list")[0] == 0
    assert server.requests[-1].url.host == "a.test"
    assert run("list", "--url", "http://b.test", "--token", "other")[0] == 0
    assert server.requests[-1].url.host == "b.test"
    assert run("--url", "http://a.test", "queue", "list", "--token", "other", "--url", "http://c.test")[0] == 0
    assert server.requests[-1].url.host == "c.test"


def test_a_server_out_of_reach_is_exit_code_5_with_a_hint(server: FakeServer, run: Run) -> None:
    server.down = True
    code, out, err = run("list")
    assert (code, out, err.count("\n")) == (5, "", 1)
    assert err.startswith("Error: http://127.0.0.1:8321: nobody answers (Connection refused)")
    assert "tidegate serve" in err


def test_unknown_options_and_commands_are_exit_code_2(run: Run) -> None:
    assert run("list", "--nonsense")[0] == 2
    assert run("nonsense")[0] == 2
    assert run("list", "--limit", "0")[0] == 2


def test_version_is_a_command_and_an_option(run: Run) -> None:
    code, out, _ = run("version")
    assert (code, bool(re.fullmatch(r"tidegate \d+\.\d+\.\d+\S*\n", out))) == (0, True)
    assert run("--version")[1] == out
    assert json.loads(run("version", "--json")[1])["version"] in out


def test_help_names_every_command_and_exit_code(run: Run) -> None:
    code, out, _ = run("--help")
    words = " ".join(re.findall(r"\w+", out))
    assert code == 0
    for word in ("serve", "worker", "submit", "list", "show", "cancel", "retry", "stats", "queue", "version"):
        assert word in words
    assert "3 not found" in words
    assert "5 server out of reach" in words


def test_help_starts_without_the_heavy_libraries() -> None:
    """`tidegate --help` must answer at once, so nothing that a server or the cloud needs may be imported."""
    program = (
        "import sys\nfrom tidegate.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'boto3', 'botocore', 'uvicorn', 'aws_lambda_powertools', 'pydantic', 'httpx', 'tidegate.runtime'}\n"
        "print('LOADED', sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_the_package_runs_as_a_module_and_prints_anywhere() -> None:
    """An output that cannot show `✅` or an accent gets escapes instead of a traceback."""
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONWARNINGS": "ignore"}
    args = [sys.executable, "-m", "tidegate", "submit", "a", "--meta", "é"]
    done = subprocess.run(args, capture_output=True, text=True, timeout=30, env=env, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Error: --meta: must be KEY=VALUE, not '\\xe9'\n"


def test_serve_passes_its_options_on(run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[local.ServeOptions] = []
    monkeypatch.setattr(local, "serve", asked.append)
    monkeypatch.setenv("TIDEGATE_DATA", "from-environment")
    monkeypatch.setenv("TIDEGATE_HANDLERS", "one, two.py")
    assert run("serve")[0] == 0
    args = (
        "--host",
        "::1",
        "--port",
        "9000",
        "--data",
        "own",
        "--workers",
        "0",
        "--handlers",
        "a b.py",
        "--handlers",
        "c",
    )
    assert run("serve", *args)[0] == 0
    first = local.ServeOptions(data=Path("from-environment"), handlers=("one", "two.py"))
    second = local.ServeOptions(host="::1", port=9000, data=Path("own"), workers=0, handlers=("a b.py", "c"))
    assert asked == [first, second]


def test_worker_takes_the_folder_given_else_the_cloud_of_the_environment_else_the_default_folder(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[worker.WorkerOptions] = []
    monkeypatch.setattr(worker, "run", asked.append)
    monkeypatch.delenv("TIDEGATE_HANDLERS", raising=False)
    monkeypatch.delenv("TIDEGATE_JOBS_TABLE", raising=False)
    run("worker", "--max-jobs", "10", "--worker-id", "worker-02", "--poll-interval", "3.0", "--pool", "gpu")
    monkeypatch.setenv("TIDEGATE_JOBS_TABLE", "jobs")
    run("worker")
    run("worker", "--data", "own")
    assert asked == [
        worker.WorkerOptions(
            data=Path(".tidegate"), pool="gpu", max_jobs=10, worker_id="worker-02", poll_interval=3.0, handlers=()
        ),
        worker.WorkerOptions(data=None),
        worker.WorkerOptions(data=Path("own")),
    ]


@pytest.mark.parametrize("args", [("--port", "65536"), ("--workers", "-1")])
def test_serve_refuses_numbers_out_of_range(run: Run, args: tuple[str, str]) -> None:
    assert run("serve", *args)[0] == 2
