"""Schedules on the deployed template: made over HTTP, fired by the clock's own event, run by the worker Lambda."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloud import Cloud, eventually

from tidegate import runtime
from tidegate.service.tokens import new_token

MINUTE = Path(__file__).parents[2] / "events" / "clock.json"


@pytest.fixture(scope="module")
def http(cloud: Cloud) -> Iterator[httpx.Client]:
    """An admin's HTTP client."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in cloud.environ.items():
            if name.startswith("AWS_"):
                patch.setenv(name, value)
        app = runtime.build(runtime.settings_of_stack("tidegate"))
        clear, record = new_token(app.ports.now(), tenant="main", user="tester", scopes=["admin"])
        app.ports.tokens.put(record)
    with httpx.Client(base_url=cloud.url, headers={"authorization": f"Bearer {clear}"}, timeout=30) as client:
        yield client


def tick(cloud: Cloud) -> Any:
    """The minute's event, as EventBridge sends it."""
    event = json.loads(MINUTE.read_text())
    event["time"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return cloud.invoke("clock", event)


def runs_of(http: httpx.Client, name: str, state: str = "") -> list[Any]:
    query = {"metadata.schedule": name, "limit": "200"} | ({"state": state} if state else {})
    jobs = http.get("/jobs", params=query).json()["jobs"]
    return sorted(jobs, key=lambda job: str(job["start_after"]))


def test_the_clock_fires_a_schedule_and_the_worker_runs_it(cloud: Cloud, http: httpx.Client) -> None:
    made = http.post("/schedules", json={"name": "often", "every": "5s", "job": {"name": "echo", "data": {"x": 1}}})
    assert made.status_code == 201, made.text
    first = runs_of(http, "often")
    assert 10 <= len(first) <= 13, "what comes before the next tick is released at once"
    before = http.get("/schedules/often").json()["schedule"]["fired"]
    eventually(lambda: runs_of(http, "often", "COMPLETED"), 30)
    answers = [tick(cloud) for _ in range(3)]
    assert "errorMessage" not in str(answers)
    after = http.get("/schedules/often").json()["schedule"]
    assert after["fired"] > before
    assert sum(answer["fired"] for answer in answers) + before >= after["fired"] - 1
    jobs = runs_of(http, "often")
    times = [job["metadata"]["scheduled_for"] for job in jobs]
    assert len(times) == len(set(times)) == after["fired"], "doubled ticks make no job twice"
    done = runs_of(http, "often", "COMPLETED")[0]
    assert done["result"]["data"] == {"x": 1}
    assert done["started_at"] >= done["start_after"]
    assert http.post("/schedules/often/disable").status_code == 200


def test_the_rest_of_the_api_on_the_deployed_tables(cloud: Cloud, http: httpx.Client) -> None:
    body = {"name": "daily", "expression": "0 2 * * *", "timezone": "Europe/Berlin", "job": {"name": "echo"}}
    made = http.post("/schedules", json={**body, "overlap": "skip"}).json()
    assert made["next_runs"][0]["local"][11:19] == "02:00:00"
    assert http.post("/schedules", json=body).status_code == 409
    assert http.get(f"/schedules/{made['schedule_id']}").json()["schedule"]["name"] == "daily"
    job_id = http.post("/schedules/daily/trigger").json()["job_id"]
    eventually(lambda: http.get(f"/jobs/{job_id}").json()["job"]["state"] == "COMPLETED", 30)
    asked = {"from": "2026-01-01T00:00:00Z", "until": "2026-01-04T00:00:00Z", "per_minute": 1000}
    assert http.post("/schedules/daily/backfill", json=asked).json()["runs"] == 3
    eventually(lambda: len([job for job in runs_of(http, "daily", "COMPLETED") if job["id"] != job_id]) == 3, 30)
    assert http.patch("/schedules/daily", json={"expression": "@hourly"}).json()["schedule"]["next_run"]
    assert http.post("/schedules/pause", json={"reason": "disks"}).json()["hold"]["reason"] == "disks"
    assert http.get("/schedules").json()["hold"]["by"] == "tester"
    assert http.post("/schedules/resume").status_code == 200
    assert http.get("/schedules/daily/history").json()["runs"] == []
    assert http.delete("/schedules/daily").status_code == 200
    assert http.get("/schedules/daily").status_code == 404
