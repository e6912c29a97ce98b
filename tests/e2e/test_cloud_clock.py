"""Schedules and deadlines on the deployed template: the clock Lambda, called as EventBridge's rule calls it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cloud import Cloud, clock_event, eventually

from tidegate import runtime
from tidegate.ports import ScheduleKey


@pytest.fixture
def minute(cloud: Cloud) -> Callable[[], Any]:
    """The event that the rule sends each minute."""
    return lambda: cloud.invoke("clock", clock_event())


def sooner(app: runtime.App, name: str) -> int:
    """Let a schedule's next time come in four seconds; answers that time."""
    due = round((time.time() + 4) * 1000)
    (seen,) = app.ports.schedules.get([ScheduleKey("main", name)])
    assert seen is not None
    moved = replace(seen, next_run=due, look_at=due, version=seen.version + 1)
    assert list(app.ports.schedules.replace_if_unchanged([(moved, seen)])) == [True]
    return due


def job_of(http: httpx.Client, name: str) -> Any:
    jobs = http.get("/jobs", params={"tag": f"schedule:{name}"}).json()["jobs"]
    assert len(jobs) <= 1
    return jobs[0] if jobs and jobs[0]["state"] == "COMPLETED" else None


def test_the_clock_makes_the_job_of_a_time_once_and_it_starts_at_its_second(
    http: httpx.Client, app: runtime.App, minute: Callable[[], Any]
) -> None:
    body = {"name": "hourly", "expression": "every 3600s", "job": {"name": "echo", "data": {"text": "tick"}}}
    made = http.post("/schedules", json=body)
    assert made.status_code == 201, made.text
    due = sooner(app, "hourly")
    minute()
    minute()
    job = eventually(lambda: job_of(http, "hourly"), 60)
    started = datetime.fromisoformat(job["started_at"]).timestamp() * 1000
    assert due <= started < due + 10_000
    (run,) = http.get("/schedules/hourly/history").json()["runs"]
    assert (run["fate"], run["job"]["id"]) == ("fired", job["id"])
    assert http.delete("/schedules/hourly").status_code == 200


def test_the_clock_makes_the_run_of_a_time_once_and_it_completes(
    http: httpx.Client, app: runtime.App, minute: Callable[[], Any]
) -> None:
    nodes = [{"id": "a", "name": "echo"}, {"id": "b", "name": "echo", "depends_on": ["a"]}]
    made = http.post("/schedules", json={"name": "etl", "every": "3600s", "dag": {"name": "etl", "nodes": nodes}})
    assert made.status_code == 201, made.text
    due = sooner(app, "etl")
    minute()
    minute()

    def ended() -> Any:
        (run,) = http.get("/schedules/etl/history").json()["runs"]
        return run["dag"] if run["dag"]["state"] == "COMPLETED" else None

    dag = http.get(f"/dags/{eventually(ended, 90)['id']}").json()["dag"]
    first = http.get(f"/jobs/{dag['nodes'][0]['job_id']}").json()["job"]
    assert datetime.fromisoformat(first["started_at"]).timestamp() * 1000 >= due
    assert [node["state"] for node in dag["nodes"]] == ["COMPLETED"] * 2
    assert [each["id"] for each in http.get("/dags").json()["dags"] if each["name"] == "etl"] == [dag["id"]]
    assert http.delete("/schedules/etl").status_code == 200


def test_the_clock_ends_a_job_that_missed_its_hard_deadline(http: httpx.Client, minute: Callable[[], Any]) -> None:
    now = datetime.now(UTC)
    times = {"hard_sla": 1, "soft_sla": 0.5, "start_after": 3600}
    asked = {name: (now + timedelta(seconds=seconds)).isoformat() for name, seconds in times.items()}
    job_id = http.post("/jobs", json={"name": "echo", **asked}).json()["job_id"]

    def ended() -> Any:
        minute()
        job = http.get(f"/jobs/{job_id}").json()["job"]
        return job if job["state"] == "EXPIRED" else None

    assert eventually(ended, 60)["sla"] == "hard_missed"
    figures = eventually(lambda: _missed(http), 60)
    assert (figures["missed_soft"], figures["missed_hard"]) == (1, 1)


def _missed(http: httpx.Client) -> Any:
    sla = http.get("/stats/sla").json()["sla"]
    return sla if sla["missed_hard"] else None
