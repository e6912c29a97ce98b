"""Logs, progress, clean-up, large results and live events of the embedded home, through real processes and HTTP."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloud import eventually
from embedded import Server

from tidegate import Client
from tidegate.domain.job import COARSE, State


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    started = Server(tmp_path / "data", 2).start()
    yield started
    started.stop_if_running()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.client() as made:
        yield made


def headers(server: Server) -> dict[str, str]:
    return {"authorization": f"Bearer {(server.data / 'token').read_text().strip()}"}


def test_a_result_of_5_mb_comes_back_over_http(client: Client) -> None:
    done = client.wait(client.submit("big", {"size": 5_000_000}).id, timeout=120)
    assert done.state == State.COMPLETED
    assert done.result == "x" * 5_000_000


def test_logs_are_followed_while_the_job_runs_and_stay(client: Client) -> None:
    job = client.submit("talk", {"lines": 3, "seconds": 2.0})
    begun = time.monotonic()
    follower = client.logs(job.id, follow=True)
    first = next(follower)
    assert (first.message, first.level, first.attempt) == ("line 0", "INFO", 1)
    assert client.get(job.id).state == State.ACTIVE, "the line was there before the job had ended"
    assert [line.message for line in follower] == ["line 1", "line 2"]
    assert time.monotonic() - begun > 1.5, "followed to the end"
    assert client.get(job.id).state == State.COMPLETED
    assert len(list(client.logs(job.id))) == 3


def test_a_long_log_comes_back_whole(client: Client) -> None:
    job = client.submit("talk", {"lines": 5_000})
    client.wait(job.id, timeout=120)
    assert [line.message for line in client.logs(job.id)] == [f"line {number}" for number in range(5_000)]


def test_progress_told_right_before_a_crash_is_there(client: Client) -> None:
    job = client.submit("crash", {"seconds": 0}, retry_limit=0)
    eventually(lambda: client.get(job.id).progress is not None, 5)
    found = client.get(job.id)
    assert found.progress is not None
    assert (found.progress.fraction, found.progress.message) == (0.42, "about to die")


def test_a_cancelled_job_cleans_up(client: Client, tmp_path: Path) -> None:
    file = tmp_path / "mess"
    job = client.submit("messy", {"file": str(file)})
    eventually(file.exists, 10)
    client.cancel(job.id)
    assert client.wait(job.id, timeout=120).state == State.CANCELLED
    assert not file.exists()
    assert [(line.level, line.message) for line in client.logs(job.id)] == [("WARNING", "tidied up")]


def test_a_cancelled_job_whose_worker_is_killed_is_cleaned_up_by_the_next(
    server: Server, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "mess"
    job = client.submit("messy", {"file": str(file)})
    eventually(file.exists, 10)
    workers = server.worker_pids()
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)  # so that it cannot hear of the cancelling
    client.cancel(job.id)
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    ended = client.wait(job.id, timeout=120)
    assert (ended.state, ended.attempt) == (State.CANCELLED, 2)
    assert not file.exists()
    assert [(each.attempt, each.outcome) for each in client.history(job.id).attempts] == [
        (1, "failed"),
        (2, "cancelled"),
    ]


def listen(server: Server, found: list[dict[str, Any]], **request: Any) -> threading.Thread:
    """Collect events until the stream ends."""

    def run() -> None:
        with httpx.stream("GET", f"{server.url}/events", timeout=30, **request) as stream:
            lines = (line for line in stream.iter_lines() if line.startswith("data: "))
            found.extend(json.loads(line.removeprefix("data: ")) for line in lines)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_live_events_tell_of_every_transition_in_order(server: Server, client: Client) -> None:
    found: list[dict[str, Any]] = []
    listener = listen(server, found, headers=headers(server))
    client.wait(client.submit("echo", 0).id, timeout=120)
    eventually(lambda: found or (client.submit("echo", 0) and False), 10, pause=0.3)  # until the listener listens
    batch = client.submit_many([{"name": "echo", "data": number} for number in range(50)])
    eventually(
        lambda: sum(each["type"] == "job.completed" and each["job"]["id"] in batch.accepted for each in found) == 50
    )
    for job_id in batch.accepted:
        assert [each["type"] for each in found if each["job"]["id"] == job_id] == [
            "job.created",
            "job.started",
            "job.completed",
        ]
    assert {each["job"]["status"] for each in found} <= set(COARSE.values())
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 40, "a listener does not hold up the end of the server"
    listener.join(5)
    assert not listener.is_alive()
