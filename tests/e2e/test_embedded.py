"""The embedded home under real processes: every accepted job comes out once, whatever is killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import httpx
from cloud import eventually
from embedded import Server

from tidegate import Client
from tidegate.manager import JobExecutor, JobManager


def submit_marks(client: Client, file: Path, count: int, seconds: float = 0.0) -> list[str]:
    jobs = [{"name": "mark", "data": {"file": str(file), "seconds": seconds}} for _ in range(count)]
    batch = client.submit_many(jobs)
    assert len(batch.accepted) == count
    return list(batch.accepted)


def completed(client: Client) -> int:
    return client.stats().completed


def assert_each_completed_once(client: Client, job_ids: list[str], file: Path) -> None:
    """Every job COMPLETED, by the attempt whose result is recorded; nothing else ran twice under one attempt."""
    runs = Counter(tuple(line.split()) for line in file.read_text().splitlines())
    assert max(runs.values()) == 1, "one attempt was run twice"
    jobs = {job.id: job for job in client.list(state="COMPLETED")}
    assert set(jobs) == set(job_ids)
    for job in jobs.values():
        assert job.result == job.attempt
        assert (job.id, str(job.attempt)) in runs


def test_a_thousand_jobs_over_http_with_four_workers(serve: Callable[..., Server], tmp_path: Path) -> None:
    server, file = serve(workers=4), tmp_path / "runs"
    with server.client() as client:
        job_ids = submit_marks(client, file, 1_000)
        eventually(lambda: completed(client) == 1_000, 60)
        assert_each_completed_once(client, job_ids, file)
        runs = file.read_text().splitlines()
        assert len(runs) == 1_000
        assert len({job.worker_id for job in client.list(max_jobs=1_000)}) == 4


def test_kill_9_of_everything_in_the_middle_loses_nothing(serve: Callable[..., Server], tmp_path: Path) -> None:
    file = tmp_path / "runs"
    server = serve(workers=4)
    with server.client() as client:
        job_ids = submit_marks(client, file, 400, seconds=0.01)
    eventually(lambda: file.exists() and len(file.read_text().splitlines()) > 50)
    server.kill()
    again = serve(workers=4)
    with again.client() as client:
        eventually(lambda: completed(client) == 400, 60)
        assert_each_completed_once(client, job_ids, file)


def test_kill_9_of_the_server_alone_ends_its_workers_and_loses_nothing(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    file = tmp_path / "runs"
    server = serve()
    with server.client() as client:
        job_ids = submit_marks(client, file, 100, seconds=0.02)
    orphans = server.worker_pids()
    assert len(orphans) == 2
    server.kill_server_only()
    eventually(
        lambda: (
            not any(
                Path(f"/proc/{pid}/status").exists() and "Z (" not in Path(f"/proc/{pid}/status").read_text()
                for pid in orphans
            )
        ),
        20,
    )
    with serve().client() as client:
        eventually(lambda: completed(client) == 100, 60)
        assert_each_completed_once(client, job_ids, file)


def test_a_job_whose_worker_is_killed_runs_again_soon_after_its_lease(serve: Callable[..., Server]) -> None:
    with serve().client() as client:
        job = client.submit("die", {"until": 2})
        done = client.wait(job.id, timeout=120)
        assert (done.state, done.attempt, done.result) == ("COMPLETED", 2, 2)


def test_a_job_that_always_kills_its_worker_ends_failed(serve: Callable[..., Server]) -> None:
    with serve().client() as client:
        job = client.submit("die", {"until": 99}, retry_limit=1)
        done = client.wait(job.id, timeout=120)
        assert (done.state, done.attempt, done.error_type) == ("FAILED", 2, "system")
        assert client.wait(client.submit("echo", 1).id, timeout=120).succeeded


def test_sigterm_drains(serve: Callable[..., Server], tmp_path: Path) -> None:
    """The running job is finished, the others wait for the next start."""
    file = tmp_path / "runs"
    server = serve(workers=1)
    with server.client() as client:
        job_ids = submit_marks(client, file, 3, seconds=1.0)
        eventually(lambda: client.stats().running == 1)
    assert server.stop() == 0
    runs = file.read_text().splitlines()
    assert 1 <= len(runs) < 3
    with serve(workers=1).client() as client:
        eventually(lambda: completed(client) == 3)
        assert_each_completed_once(client, job_ids, file)
        assert all(job.attempt == 1 for job in client.list())


def test_a_running_job_is_seen_and_stopped(serve: Callable[..., Server]) -> None:
    with serve().client() as client:
        job = client.submit("slow", {"seconds": 60})
        eventually(lambda: (seen := client.get(job.id).progress) is not None and seen.fraction > 0)
        assert client.cancel(job.id).state == "ACTIVE"
        assert client.wait(job.id, timeout=120).state == "CANCELLED"


def test_long_jobs_outlive_their_first_lease(serve: Callable[..., Server]) -> None:
    """Heartbeats keep lease and ticket: a job longer than the lease runs once."""
    with serve().client() as client:
        done = client.wait(client.submit("slow", {"seconds": 14}).id, timeout=120)
        assert (done.state, done.attempt, done.result) == ("COMPLETED", 1, "finished")


def test_the_token_is_written_once_and_only_its_hash_kept(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve()
    file = tmp_path / "data" / "token"
    clear = file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    server.stop()
    secret = clear.split("_", 2)[2].encode()
    for kept in (tmp_path / "data").glob("tidegate.db*"):
        assert secret not in kept.read_bytes()
    again = serve()
    assert file.read_text().strip() == clear
    assert clear not in "".join(server.log + again.log)
    assert httpx.get(f"{again.url}/jobs").status_code == 401
    assert httpx.get(f"{again.url}/jobs", headers={"authorization": f"Bearer {clear}"}).status_code == 200


def test_a_port_in_use_is_a_clear_error(serve: Callable[..., Server], tmp_path: Path) -> None:
    port = serve().url.rpartition(":")[2]
    command = [sys.executable, "-m", "tidegate", "serve", "--port", port, "--data", str(tmp_path / "other")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_is_replaced_when_it_dies(serve: Callable[..., Server]) -> None:
    server = serve(workers=1)
    (pid,) = server.worker_pids()
    time.sleep(2)
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.worker_pids() not in ([], [pid]))
    with server.client() as client:
        assert client.wait(client.submit("echo", "hi").id, timeout=120).result["data"] == "hi"


def test_the_file_is_whole_after_all_that(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(workers=4)
    with server.client() as client:
        submit_marks(client, tmp_path / "runs", 200)
    server.kill()
    connection = sqlite3.connect(tmp_path / "data" / "tidegate.db")
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def test_a_script_of_ones_own_runs_its_jobs_beside_the_servers_workers(serve: Callable[..., Server]) -> None:
    """Neither takes what the other has handlers for, whoever is there first: nothing fails, no attempt is lost."""
    server = serve(workers=2)
    with server.client() as client, JobManager(server.data) as manager:
        theirs = [manager.submit_job("custom", {"n": n}, priority=10) for n in range(5)]
        ours = [client.submit("echo", n) for n in range(5)]
        assert {client.wait(job.id, timeout=120).state for job in ours} == {"COMPLETED"}
        eventually(lambda: len(client.workers()) == 2)
        assert {client.get(job_id).state for job_id in theirs} == {"CREATED"}
        assert "none of the 2 workers of its pool 'default' serves jobs named 'custom'" in client.why(theirs[0]).verdict
        executor = JobExecutor(manager, "script", handlers={"custom": lambda job: job.config["n"]})
        assert executor.run_worker(max_jobs=5, poll_interval=0.1) == 5
        done = [client.get(job_id) for job_id in theirs]
        assert [(job.state, job.result, job.attempt, job.worker_id) for job in done] == [
            ("COMPLETED", n, 1, "script") for n in range(5)
        ]
