"""Every other command as a person types it, and what all have in common."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_server import FakeServer, Run

from tidegate import local, worker


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
