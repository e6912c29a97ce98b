"""Runs of DAGs under real processes: whatever is killed, and whenever, they come to the same end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cloud import eventually
from embedded import Server

from tidegate import Client, Dag

ENTRIES = 80


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[str], Server]]:
    """Start a server on a folder of this name; whatever still runs at the end is killed."""
    started: list[Server] = []

    def start(folder: str) -> Server:
        server = Server(tmp_path / folder, workers=3).start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop_if_running()


def workflow(file: Path) -> Dag:
    """Fan-out, a choice, joins, a node that fails, and a clean-up."""
    with Dag("killed", failure_policy="continue") as dag:
        first = dag.job("echo", {"items": list(range(ENTRIES)), "kind": "x"}, id="first")
        each = dag.map("mark", over=first["data"]["items"], id="each", data={"file": str(file), "seconds": 0.01})
        dag.switch("route", first["data"]["kind"], {"x": "taken", "y": "left"}, after=each)
        ways = [dag.job("echo", {"way": way}, id=way) for way in ("taken", "left")]
        broken = dag.job("refuse", id="broken", after=each)
        dag.job("echo", {}, id="stranded", after=broken)
        dag.job("echo", {"merged": True}, id="merge", after=ways)
        dag.job("echo", {}, id="clean", after=[broken, *ways], cleanup=True)
    return dag


def came_to(client: Client, dag_id: str) -> dict[str, Any]:
    """How each job of the run ended and with what, whatever its attempts."""
    ended = {}
    for node in client.dag(dag_id).nodes:
        job = client.get(node["job_id"])
        data = job.result["data"] if isinstance(job.result, dict) and "data" in job.result else None
        ended[node["id"]] = (job.state, data)
    return ended


def marks(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def test_a_run_that_is_killed_twice_ends_as_one_that_is_not(serve: Callable[[str], Server], tmp_path: Path) -> None:
    with serve("calm").client() as client:
        run = client.wait_dag(client.submit_dag(workflow(tmp_path / "calm-marks")).id, timeout=120)
        expected = came_to(client, run.id)
    assert run.state == "FAILED"
    assert (expected["merge"], expected["left"][0]) == (("COMPLETED", {"merged": True}), "SKIPPED")
    file = tmp_path / "marks"
    server = serve("killed")
    with server.client() as client:
        dag_id = client.submit_dag(workflow(file)).id
    server.kill()
    server = serve("killed")
    eventually(lambda: len(marks(file)) >= ENTRIES // 2, 60)
    server.kill()
    with serve("killed").client() as client:
        run = client.wait_dag(dag_id, timeout=120)
        assert came_to(client, dag_id) == expected
        assert (run.state, run.progress["total_jobs"]) == ("FAILED", ENTRIES + 9)
        eventually(lambda: client.dag(dag_id).progress == progress_of(client, dag_id), 20)
    assert len(set(marks(file))) == len(marks(file)), "an attempt ran twice"


def progress_of(client: Client, dag_id: str) -> Any:
    """The figures as the change feed counted them."""
    return next(run for run in client.dags() if run.id == dag_id).progress
