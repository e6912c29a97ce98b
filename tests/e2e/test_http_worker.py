"""Workers that have a token and nothing else, as processes, against the embedded home; killed in the middle."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cloud import eventually
from embedded import HANDLERS, Server

from tidegate import Client

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server without workers of its own."""
    made = Server(tmp_path / "data", workers=0).start()
    yield made
    made.stop_if_running()


@pytest.fixture
def start_worker(server: Server, tmp_path: Path) -> Iterator[Start]:
    """Start `tidegate worker --url` in an empty folder, with a token of the scope `work`."""
    started: list[subprocess.Popen[bytes]] = []
    made = subprocess.run(
        [sys.executable, "-m", "tidegate", "token", "create", "box", "--scope", "work", "--data", str(server.data)],
        check=True,
        capture_output=True,
        text=True,
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "AWS_"))}
    environ |= {"TIDEGATE_URL": server.url, "TIDEGATE_TOKEN": made.stdout.strip()}
    folder = tmp_path / "elsewhere"
    folder.mkdir()

    def start(*options: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "tidegate", "worker", "--handlers", str(HANDLERS), *options]
        with (folder / f"worker-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen(command, env=environ, cwd=folder, stdout=log, stderr=log))
        return started[-1]

    yield start
    for worker in started:
        if worker.poll() is None:
            worker.kill()
            worker.wait(10)


def submit_marks(client: Client, file: Path, count: int, seconds: float = 0.0) -> list[str]:
    batch = client.submit_many({"name": "mark", "data": {"file": str(file), "seconds": seconds}} for _ in range(count))
    assert len(batch.accepted) == count
    return list(batch.accepted)


def completed(client: Client) -> int:
    return sum(1 for _ in client.list(state="COMPLETED"))


def running(client: Client) -> set[str]:
    """The ids of the jobs that workers are shown to run."""
    return {run.job_id for worker in client.workers() for run in worker.running}


def test_jobs_are_run_with_a_token_alone(server: Server, start_worker: Start, tmp_path: Path) -> None:
    """Three processes of four threads; each job runs once; the workers are seen and say good-bye."""
    file = tmp_path / "runs"
    workers = [start_worker("--concurrency", "4", "--worker-id", f"box-{number}") for number in range(3)]
    with server.client() as client:
        eventually(lambda: {worker.id for worker in client.workers()} == {"box-0", "box-1", "box-2"})
        job_ids = submit_marks(client, file, 200, seconds=0.01)
        eventually(lambda: completed(client) == 200, 60)
        runs = Counter(line.split()[0] for line in file.read_text().splitlines())
        assert runs == dict.fromkeys(job_ids, 1)
        assert {job.worker_id for job in client.list()} == {"box-0", "box-1", "box-2"}
        for worker in workers:
            worker.terminate()
        assert [worker.wait(15) for worker in workers] == [0, 0, 0]
        assert client.workers() == ()


def test_kill_9_in_the_middle_of_a_job_loses_nothing_and_doubles_nothing(
    server: Server, start_worker: Start, tmp_path: Path
) -> None:
    """The job of the killed worker runs again soon after its lease; those that waited run once."""
    file = tmp_path / "runs"
    with server.client() as client:
        job_ids = submit_marks(client, file, 12, seconds=1.0)
        victim = start_worker("--concurrency", "4", "--worker-id", "victim")
        eventually(lambda: sum(job.state == "ACTIVE" for job in client.list()) == 4)
        victim.send_signal(signal.SIGKILL)
        victim.wait(10)
        held = {job.id for job in client.list(state="ACTIVE")}
        assert held
        start_worker("--concurrency", "4", "--worker-id", "heir")
        eventually(lambda: completed(client) == 12, 60)
        jobs = {job.id: job for job in client.list()}
        assert set(jobs) == set(job_ids)
        for job_id, job in jobs.items():
            assert job.result == job.attempt == (2 if job_id in held else 1)
        runs = Counter(tuple(line.split()) for line in file.read_text().splitlines())
        assert max(runs.values()) == 1, "one attempt was run twice"
        assert {jobs[job_id].worker_id for job_id in held} == {"heir"}


def test_a_job_that_kills_every_worker_ends_failed(server: Server, start_worker: Start) -> None:
    with server.client() as client:
        job = client.submit("die", {"until": 99}, retry_limit=1)
        for attempt in (1, 2):
            worker = start_worker()
            assert worker.wait(40) == -signal.SIGKILL
            assert client.get(job.id).attempt == attempt
        done = client.wait(job.id, timeout=120)
        assert (done.state, done.attempt, done.error_type) == ("FAILED", 2, "system")


def test_sigterm_lets_running_jobs_finish(server: Server, start_worker: Start, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    with server.client() as client:
        submit_marks(client, file, 5, seconds=2.0)
        worker = start_worker("--concurrency", "2")
        eventually(lambda: sum(job.state == "ACTIVE" for job in client.list()) == 2)
        time.sleep(0.5)  # the claim's answer has arrived: what arrives after the signal is given back
        worker.terminate()
        assert worker.wait(15) == 0
        states = Counter(job.state for job in client.list())
        assert states == {"COMPLETED": 2, "CREATED": 3}
        assert all(job.attempt <= 1 for job in client.list())


def test_a_signal_that_comes_again_and_again_does_no_harm(start_worker: Start, server: Server) -> None:
    """An impatient supervisor, or Ctrl-C to a whole group: while it waits, and while it is told already."""
    workers = [start_worker("--poll-interval", "0.2", "--concurrency", threads) for threads in ("1", "2")]
    with server.client() as client:
        eventually(lambda: len(client.workers()) == 2)
    for _ in range(5_000):
        for worker in workers:
            worker.terminate()
    codes = {worker.wait(15) for worker in workers}
    assert codes <= {0, -signal.SIGTERM}, "a signal that comes when Python is being taken down ends it on the spot"
    with server.client() as client:
        assert client.workers() == (), "both said good-bye"


def test_max_jobs_is_exact(server: Server, start_worker: Start, tmp_path: Path) -> None:
    with server.client() as client:
        submit_marks(client, tmp_path / "runs", 20)
        assert start_worker("--concurrency", "4", "--max-jobs", "7").wait(30) == 0
        assert Counter(job.state for job in client.list()) == {"COMPLETED": 7, "CREATED": 13}


def test_only_the_queue_asked_for_is_served(server: Server, start_worker: Start) -> None:
    with server.client() as client:
        client.put_queue("mine")
        others = [client.submit("echo", n, priority=10) for n in range(20)]
        mine = client.submit("echo", "x", queue="mine")
        start_worker("--queue", "mine")
        assert client.wait(mine.id, timeout=120).succeeded
        assert {client.get(job.id).state for job in others} == {"CREATED"}


def test_a_worker_outlives_a_restart_of_the_server(server: Server, start_worker: Start, tmp_path: Path) -> None:
    """Its job goes on meanwhile, and is recorded once the server is back."""
    worker = start_worker("--worker-id", "patient")
    with server.client() as client:
        job = client.submit("slow", {"seconds": 6})
        eventually(lambda: client.get(job.id).state == "ACTIVE")
    server.kill()
    port = server.url.rpartition(":")[2]
    again = Server(server.data, workers=0)
    again.start(port=port)
    try:
        with again.client() as client:
            done = client.wait(job.id, timeout=120)
            assert (done.state, done.result, done.attempt) == ("COMPLETED", "finished", 1)
            assert client.wait(client.submit("echo", 1).id, timeout=120).worker_id == "patient"
        assert worker.poll() is None
    finally:
        again.stop_if_running()


def test_what_runs_is_seen_with_its_progress(server: Server, start_worker: Start) -> None:
    """The command line shows it too. A worker tells every 20 s what it runs."""
    with server.client() as client:
        job = client.submit("slow", {"seconds": 40})
        start_worker("--worker-id", "box", "--concurrency", "2")
        eventually(lambda: running(client) == {job.id}, 40, pause=0.5)
        command = [sys.executable, "-m", "tidegate", "workers", "--url", server.url]
        shown = subprocess.run(
            command,
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "TIDEGATE_DATA": str(server.data)},
        ).stdout
        assert re.search(rf"box +http +default +\S+ +1/2 .+ slow {job.id} \d+% step \d+", shown)
        client.cancel(job.id)
        assert client.wait(job.id, timeout=120).state == "CANCELLED"


def test_a_stopping_server_does_not_wait_for_those_who_wait(server: Server, start_worker: Start) -> None:
    start_worker("--poll-interval", "20")
    with server.client() as client:
        eventually(lambda: client.workers())
    time.sleep(1)
    began = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - began < 18


@pytest.mark.parametrize("threads", [1, 4])
def test_a_worker_of_the_home_itself_serves_one_queue_on_threads(server: Server, tmp_path: Path, threads: int) -> None:
    """`--data` with `--queue` and `--concurrency`: no token, no ticket."""
    file = tmp_path / "runs"
    with server.client() as client:
        client.put_queue("mine")
        batch = client.submit_many(
            {"name": "mark", "queue": "mine", "data": {"file": str(file), "seconds": 0.05}} for _ in range(40)
        )
        other = client.submit("echo", 1)
        command = [sys.executable, "-m", "tidegate", "worker", "--data", str(server.data), "--handlers", str(HANDLERS)]
        command += ["--queue", "mine", "--concurrency", str(threads), "--max-jobs", "40"]
        assert subprocess.run(command, timeout=120, check=False).returncode == 0
        assert len(file.read_text().splitlines()) == 40
        assert completed(client) == len(batch.accepted) == 40
        assert client.get(other.id).state == "CREATED"


def test_threads_that_take_tickets(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "runs"
    with server.client() as client:
        submit_marks(client, file, 40, seconds=0.1)
        command = [sys.executable, "-m", "tidegate", "worker", "--data", str(server.data), "--handlers", str(HANDLERS)]
        done = subprocess.run([*command, "--concurrency", "8", "--max-jobs", "39"], timeout=120, check=False)
        assert done.returncode == 0
        jobs = list(client.list())
        assert Counter(job.state for job in jobs) == {"COMPLETED": 39, "CREATED": 1}
        spans = sorted((job.started_at, job.completed_at) for job in jobs if job.started_at and job.completed_at)
        assert any(later < end for (_, end), (later, _) in pairwise(spans)), "at once, not one after the other"
