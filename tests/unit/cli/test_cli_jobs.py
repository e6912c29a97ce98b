"""`tidegate show`, `list`, `cancel` and `retry` as a person types them."""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta

import pytest
from fake_server import FakeServer, Run, Terminal, sent


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
