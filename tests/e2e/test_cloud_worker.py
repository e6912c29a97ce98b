"""The deployed template with a pool that has no Lambda: its jobs are run by machines that pull them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud import Cloud, eventually

from tidegate import Client, runtime
from tidegate.domain.job import State
from tidegate.ports import JobKey
from tidegate.service.tokens import new_token

HANDLERS = Path(__file__).with_name("handlers.py")
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(scope="module")
def client(cloud: Cloud, app: runtime.App) -> Iterator[Client]:
    """A client with every right, and the queue `training` of the pool `gpu`."""
    with Client(cloud.url, token(app, "admin")) as made:
        made.put_queue("training", pool="gpu", retry_delay=1)
        yield made


def token(app: runtime.App, scope: str, tenant: str = "main") -> str:
    clear, record = new_token(app.ports.now(), tenant=tenant, user="box", scopes=[scope])
    app.ports.tokens.put(record)
    return clear


@pytest.fixture
def start(cloud: Cloud, tmp_path: Path) -> Iterator[Start]:
    """Start `tidegate worker` for the pool `gpu`; without AWS credentials unless they are given."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*options: str, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        bare = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "AWS_"))}
        command = [sys.executable, "-m", "tidegate", "worker", "--pool", "gpu", "--handlers", str(HANDLERS), *options]
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            started.append(
                subprocess.Popen(command, env={**bare, **(environ or {})}, cwd=tmp_path, stdout=log, stderr=log)
            )
        return started[-1]

    yield start
    for worker in started:
        worker.terminate()  # so that no claim of it is under way when the next test submits
    for worker in started:
        worker.wait(30)


def over_https(cloud: Cloud, app: runtime.App, **fields: str) -> list[str]:
    return ["--url", cloud.url, "--token", token(app, "work", **fields), "--poll-interval", "1"]


def test_a_job_of_a_pool_without_a_lambda_waits_for_a_worker_with_a_token(
    cloud: Cloud, app: runtime.App, client: Client, start: Start
) -> None:
    job = client.submit("echo", {"text": "hello"}, queue="training", priority="high")
    later = client.submit("echo", "x" * 200_000, queue="training")
    rival = start(*over_https(cloud, app, tenant="rival"), "--worker-id", "rival")
    eventually(lambda: _seen(app, "rival"))
    worker = start(*over_https(cloud, app), "--worker-id", "box-1", "--concurrency", "2")
    done = client.wait(job.id, timeout=120)
    assert (done.state, done.result, done.worker_id) == (
        "COMPLETED", {"data": {"text": "hello"}, "attempt": 1}, "box-1",
    )  # fmt: skip
    assert client.wait(later.id, timeout=120).result["data"] == "x" * 200_000
    assert [(each.id, each.kind, each.pool) for each in client.workers() if each.pool == "gpu"] == [
        ("box-1", "http", "gpu")
    ], "another tenant's worker is not shown, and ran nothing"
    for process in (worker, rival):
        process.terminate()
        assert process.wait(15) == 0
    assert not [each for each in client.workers() if each.pool == "gpu"]


def _seen(app: runtime.App, worker_id: str) -> bool:
    return any(worker.id == worker_id for worker in app.ports.workers.list(app.ports.now() - 60_000))


def test_a_retry_is_found_at_its_time_without_its_ticket(
    cloud: Cloud, app: runtime.App, client: Client, start: Start
) -> None:
    start(*over_https(cloud, app))
    done = client.wait(client.submit("fail", {"until": 3}, queue="training").id, timeout=120)
    assert (done.state, done.attempt, done.result) == ("COMPLETED", 3, "at last")


def test_a_worker_killed_in_the_middle_loses_nothing(
    cloud: Cloud, app: runtime.App, client: Client, start: Start
) -> None:
    """The clock, invoked as EventBridge would, puts the job back in line once its lease is over."""
    job = client.submit("slow", {"seconds": 600}, queue="training")
    victim = start(*over_https(cloud, app), "--worker-id", "victim")
    eventually(lambda: client.get(job.id).state == "ACTIVE", 30)
    victim.kill()
    victim.wait(10)
    key = JobKey("main", job.id)
    (held,) = app.ports.jobs.get([key])
    assert held is not None
    assert held.lease_until is not None
    event = {"time": "2026-01-31T12:00:00Z"}

    def back_in_line() -> Any:
        cloud.invoke("clock", event)
        (found,) = app.ports.jobs.get([key])
        return found is not None and found.state is State.RETRY

    eventually(back_in_line, 150, pause=2)  # a lease and its grace
    client.cancel(job.id)
    (found,) = app.ports.jobs.get([key])
    assert found is not None
    assert (found.state, found.attempt) == (State.CANCELLED, 1)
    assert re.search("victim vanished", found.failures[0].error_message)


def test_a_worker_with_aws_credentials_takes_the_pools_tickets(
    cloud: Cloud, app: runtime.App, client: Client, start: Start
) -> None:
    jobs = [client.submit("echo", n, queue="training") for n in range(6)]
    aws = {name: value for name, value in cloud.environ.items() if name.startswith("AWS_")}
    worker = start("--stack", "tidegate", "--concurrency", "2", "--worker-id", "puller", environ=aws)
    assert {client.wait(job.id, timeout=120).worker_id for job in jobs} == {"puller"}
    assert [each.kind for each in client.workers() if each.id == "puller"] == ["pull"]
    worker.terminate()
    assert worker.wait(30) == 0


def test_lambdas_are_among_the_workers(client: Client) -> None:
    assert client.wait(client.submit("echo", 1).id, timeout=120).succeeded
    eventually(lambda: client.submit("echo", 1) and "lambda" in {each.kind for each in client.workers()}, pause=0.5)
