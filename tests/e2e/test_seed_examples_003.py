"""The requests of document 003 (job pipeline), answered field by field, embedded and deployed."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cloud import eventually
from seed_places import Newcomer, Place, User

from tidegate import AsyncClient

CREATE = {
    "data": {"agent": "text_processing", "text": "Sample text to process", "operation": "analyze_sentiment"},
    "priority": 5,
    "tags": ["sentiment", "analysis"],
}


def test_a_job_is_created_listed_shown_and_deleted(newcomer: Newcomer) -> None:
    user, _ = newcomer("pipeline-one")
    created = user.post("/jobs", CREATE, 201)
    job_id = created["job_id"]
    assert (created["success"], created["message"]) == (True, "Job created and queued for processing")
    user.client.wait(job_id, timeout=120)
    listed = user.get("/jobs", limit=50, offset=0, result_as="string")
    assert (listed["success"], listed["message"], listed["total_count"]) == (True, "Jobs retrieved successfully", 1)
    shown = user.get(f"/jobs/{job_id}")
    assert (shown["success"], shown["message"]) == (True, "Job details retrieved successfully")
    for job, result in ((listed["jobs"][0], '{"sentiment": "positive"}'), (shown["job"], {"sentiment": "positive"})):
        assert (job["id"], job["status"], job["data"]["text"]) == (job_id, "completed", "Sample text to process")
        assert (job["result"], job["error_message"], job["tags"]) == (result, None, ["sentiment", "analysis"])
        assert job["created_at"] <= job["updated_at"]
        assert job["created_at"].endswith("Z")
    deleted = user.http.delete(f"/jobs/{job_id}").json()
    assert (deleted["success"], deleted["message"], deleted["job_id"]) == (True, "Job deleted successfully", job_id)
    assert user.http.get(f"/jobs/{job_id}").status_code == 404


def test_a_job_is_submitted_under_an_id_of_ones_own_once(user: User) -> None:
    data = {"text": "Sample text", "operation": "analyze_sentiment"}
    for _ in range(2):
        job = user.client.submit("text_processing", data, job_id="unique-job-id", priority="high", max_retries=3)
        assert (job.id, job.priority, job.retry_limit) == ("unique-job-id", 8, 3)
    assert user.client.wait(job.id, timeout=120).result == {"sentiment": "positive"}


def test_a_scheduled_job_waits_for_its_hour(newcomer: Newcomer) -> None:
    user, _ = newcomer("pipeline-later")
    future = datetime.now(UTC) + timedelta(hours=1)
    user.post("/jobs", {**CREATE, "scheduled_at": future.isoformat()}, 201)
    job = user.client.submit("text_processing", job_id="scheduled-job", scheduled_at=future)
    assert (job.status, job.start_after) == ("pending", future.replace(microsecond=future.microsecond // 1000 * 1000))
    status = eventually(lambda: _status(user, scheduled_jobs=2))
    assert (status["queue_size"], status["active_jobs"]) == (0, 0)


def test_a_failed_job_is_retried_after_two_seconds(user: User) -> None:
    """Two, then four, then eight: that the next ones double is told of the waits that were planned."""
    job_id = user.post("/jobs", {"data": {"agent": "text_processing", "until": 2}}, 201)["job_id"]
    waiting = eventually(lambda: _in_state(user, job_id, "RETRY"))
    planned = datetime.fromisoformat(waiting["wake_at"]) - datetime.fromisoformat(waiting["updated_at"])
    assert (planned.total_seconds(), waiting["status"], waiting["error_type"]) == (2.0, "pending", "agent")
    done = user.client.wait(job_id, timeout=120)
    assert (done.state, done.retry_count, done.attempt) == ("COMPLETED", 1, 2)


def test_the_load_test_completes_and_the_figures_are_those_of_its_jobs(newcomer: Newcomer, place: Place) -> None:
    """A hundred jobs, one by one as the document submits them; then what is said of them and of a failure."""
    user, _ = newcomer("pipeline-load")
    asyncio.run(_load(place.url, user.token))
    status = eventually(lambda: _status(user, queue_size=0, active_jobs=0, done=100), 60)
    user.post("/jobs", {"job_id": "bad", "data": {"agent": "training", "fails": True}, "max_retries": 0}, 201)
    status = eventually(lambda: _status(user, queue_size=0, active_jobs=0, done=101), 60)
    assert (status["is_running"], status["scheduled_jobs"]) == (True, 0)
    assert status["max_concurrent_jobs"] == place.slots
    assert status["worker_count"] >= 1
    figures = status["metrics"]
    assert figures | {"completed_jobs": 100, "failed_jobs": 1, "retried_jobs": 0, "success_rate": 99.0} == figures
    seconds = figures["uptime_seconds"]
    assert figures["jobs_per_minute"] == (round(101 * 60 / seconds, 1) if seconds else 0)
    metrics = user.get("/pipeline/metrics")
    assert set(metrics) == {"success", "message", "metrics", "pipeline_info", "timestamp"}
    assert set(metrics["metrics"]) == {"completed_jobs", "failed_jobs", "success_rate", "jobs_per_minute"}
    assert metrics["metrics"]["success_rate"] == 99.0
    assert metrics["pipeline_info"]["max_concurrent_jobs"] == place.slots


def test_nobody_sees_what_is_anothers(user: User, place: Place) -> None:
    job_id = user.post("/jobs", CREATE, 201)["job_id"]
    assert httpx.get(f"{place.url}/pipeline/status").status_code == 401
    stranger = place.user("pipeline-stranger")
    assert stranger.http.get(f"/jobs/{job_id}").status_code == 404
    assert stranger.http.delete(f"/jobs/{job_id}").status_code == 404
    refused = user.http.post("/jobs", json={**CREATE, "priority": 11})
    assert (refused.status_code, refused.json()["success"]) == (422, False)
    assert "priority" in json.dumps(refused.json()["details"])
    stranger.close()


async def _load(url: str, token: str) -> None:
    async with AsyncClient(url, token) as client:
        for i in range(100):
            await client.submit("text_processing", {"text": f"Test job {i}"}, job_id=f"load-test-{i}")


def _status(user: User, *, done: int = 0, **expected: int) -> Any:
    """What the pipeline says of itself once it says this, and that so many jobs were processed."""
    status = user.get("/pipeline/status")["status"]
    ready = status["metrics"]["total_processed"] == done
    return status if ready and status | expected == status else None


def _in_state(user: User, job_id: str, state: str) -> Any:
    job = user.get(f"/jobs/{job_id}")["job"]
    return job if job["state"] == state else None
