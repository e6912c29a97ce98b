"""`tidegate workers`, what `tidegate worker` makes of its options, and the clients' `workers()`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tidegate import worker
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import AsyncClient, Client
from tidegate.client.work import WorkClient
from tidegate.worker import WorkerOptions

Run = Callable[..., tuple[int, str, str]]
BUSY = {
    "id": "box-1",
    "kind": "http",
    "pool": "gpu",
    "queues": ["a", "b"],
    "host": "box",
    "version": "0.1.0",
    "concurrency": 2,
    "busy": 2,
    "started_at": "2025-11-20T14:00:00.000Z",
    "seen_at": "2025-11-20T14:30:00.000Z",
    "running": [
        {
            "job_id": "j1",
            "name": "train",
            "queue": "a",
            "attempt": 1,
            "started_at": "2025-11-20T14:20:00.000Z",
            "progress": {"fraction": 0.5, "message": "epoch \x1b[2J3"},
        },
        {"job_id": "j2", "name": "train", "queue": "b", "attempt": 2, "started_at": None, "progress": None},
    ],
    "invented_later": 1,
}
IDLE = {**BUSY, "id": "lambda-1", "kind": "lambda", "pool": "default", "queues": [], "busy": 0, "running": []}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    for name in ("TIDEGATE_URL", "TIDEGATE_TOKEN", "TIDEGATE_DATA", "TIDEGATE_JOBS_TABLE", "TIDEGATE_HANDLERS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def run_it(*args: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as caught:
            main(list(args))
        out, err = capsys.readouterr()
        return int(caught.value.code or 0), out, err

    return run_it


def transport(*workers: dict[str, Any]) -> httpx.MockTransport:
    def answer(request: httpx.Request) -> httpx.Response:
        assert (request.method, request.url.path) == ("GET", "/workers")
        return httpx.Response(200, json={"success": True, "message": "", "workers": workers})

    return httpx.MockTransport(answer)


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def serve(*workers: dict[str, Any]) -> None:
        made = Client("http://tidegate.test", "secret", transport=transport(*workers))
        monkeypatch.setattr(session.Session, "client", lambda *_: made)

    return serve


def test_workers_are_shown_with_a_line_for_each_job(serve: Callable[..., None], run: Run) -> None:
    serve(IDLE, BUSY)
    code, out, _ = run("workers")
    assert code == 0
    assert [line.split() for line in out.splitlines()] == [
        ["Worker", "Kind", "Pool", "Host", "Busy", "Seen", "Runs", "Since"],
        ["lambda-1", "lambda", "default", "box", "0/2", "2025-11-20", "14:30:00", "-", "-"],
        [
            "box-1", "http", "gpu:a,b", "box", "2/2", "2025-11-20", "14:30:00",
            "train", "j1", "50%", "epoch", "\\x1b[2J3", "2025-11-20", "14:20:00",
        ],
        ["train", "j2", "-"],
    ]  # fmt: skip


def test_no_workers(serve: Callable[..., None], run: Run) -> None:
    serve()
    assert run("workers") == (0, "No workers\n", "")


def test_workers_in_json(serve: Callable[..., None], run: Run) -> None:
    serve(BUSY)
    code, out, _ = run("workers", "--json")
    assert (code, json.loads(out)) == (0, {"workers": [BUSY]})


def test_both_clients_read_workers() -> None:
    with Client("http://tidegate.test", "secret", transport=transport(BUSY, IDLE)) as client:
        busy, idle = client.workers()

    async def ask() -> Any:
        async with AsyncClient("http://tidegate.test", "secret", transport=transport(BUSY, IDLE)) as client:
            return await client.workers()

    assert asyncio.run(ask()) == (busy, idle)
    assert (busy.queues, busy.busy, busy.concurrency) == (("a", "b"), 2, 2)
    assert [(run.job_id, run.attempt) for run in busy.running] == [("j1", 1), ("j2", 2)]
    assert busy.running[0].progress is not None
    assert busy.running[0].progress.fraction == 0.5
    assert (busy.seen_at is not None, idle.running) == (True, ())


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[WorkerOptions]:
    found: list[WorkerOptions] = []
    monkeypatch.setattr(worker, "run", found.append)
    return found


def test_worker_over_https_by_option_or_environment(
    run: Run, asked: list[WorkerOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    run("worker", "--url", "https://a", "--token", "tg_1", "--queue", "x", "--queue", "y", "--concurrency", "3")
    run("--url", "https://b", "--token", "tg_2", "worker")
    monkeypatch.setenv("TIDEGATE_URL", "https://c")
    run("worker", "--pool", "gpu")
    run("worker", "--data", "own")
    run("worker", "--stack", "Tidegate-dev")
    monkeypatch.setenv("TIDEGATE_DATA", "here")
    run("worker")
    assert asked == [
        WorkerOptions(url="https://a", token="tg_1", queues=("x", "y"), concurrency=3),
        WorkerOptions(url="https://b", token="tg_2"),
        WorkerOptions(url="https://c", pool="gpu"),
        WorkerOptions(data=Path("own")),
        WorkerOptions(stack="Tidegate-dev"),
        WorkerOptions(data=Path("here")),
    ]


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (("--url", "https://a", "--stack", "s"), "Error: --url: does not go with --stack\n"),
        (("--queue", "a b"), "Error: queue: must be 1 to 64 letters"),
    ],
)
def test_worker_options_that_cannot_be(run: Run, asked: list[WorkerOptions], args: tuple[str, ...], line: str) -> None:
    code, _, err = run("worker", *args)
    assert (code, asked) == (2, [])
    assert err.startswith(line)


@pytest.mark.parametrize("args", [("--concurrency", "0"), ("--concurrency", "257"), ("--max-jobs", "0")])
def test_worker_numbers_have_bounds(run: Run, args: tuple[str, str]) -> None:
    assert run("worker", *args)[0] == 2


def test_a_claim_is_sent_as_asked_and_once_only() -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(503, json={"success": False, "code": "UNAVAILABLE", "message": "busy", "details": {}})

    with (
        WorkClient("http://tidegate.test", "tg_x", transport=httpx.MockTransport(answer)) as client,
        pytest.raises(Exception, match="busy"),
    ):
        client.claim("w", pool="gpu", queues=["a"], names=["train"], wait_seconds=2, max_jobs=3)
    assert sent == [{"worker_id": "w", "pool": "gpu", "queues": ["a"], "names": ["train"], "wait_seconds": 2, "max": 3}]
