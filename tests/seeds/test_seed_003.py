"""Seed 003, the job processing pipeline: its bodies to the letter."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from seedhome import OPERATOR, USER, fail, fail_until, run

from home import Home
from tidegate.domain.caller import Caller
from tidegate.domain.job import State
from tidegate.execution.presence import describe
from tidegate.ports import Addition
from tidegate.service.pipeline import pipeline_status

SEED_JOB = {
    "data": {"agent": "text_processing", "text": "Sample text to process", "operation": "analyze_sentiment"},
    "priority": 5,
    "tags": ["sentiment", "analysis"],
}


def count(home: Home, **totals: int) -> None:
    """As if the change feed had counted these, over an hour."""
    since = home.clock.now() - 3_600_000
    states = {"CREATED": 7, "ACTIVE": 3, "COMPLETED": totals["COMPLETED"], "FAILED": totals["FAILED"]}
    home.ports.figures.add_once("seed", [Addition("main", "states", states)])
    home.ports.figures.add_once("seed2", [Addition("main", "totals", {**totals, "scheduled": 2}, {"since": since})])


def test_3_15_the_status_of_the_seed(home: Home) -> None:
    count(home, COMPLETED=150, FAILED=5, retried=8)
    body = USER.get("/pipeline/status").body
    timestamp = body.pop("timestamp")
    assert timestamp.endswith("Z")
    assert body == {
        "success": True,
        "message": "Pipeline status retrieved",
        "status": {
            "is_running": True,
            "queue_size": 5,
            "scheduled_jobs": 2,
            "active_jobs": 3,
            "max_concurrent_jobs": 5,
            "worker_count": 3,
            "metrics": {
                "active_jobs": 3,
                "completed_jobs": 150,
                "failed_jobs": 5,
                "retried_jobs": 8,
                "total_processed": 155,
                "success_rate": 96.8,
                "uptime_seconds": 3600,
                "jobs_per_minute": 2.6,
            },
        },
    }
    shown = USER.get("/pipeline/status").text
    assert list(json.loads(shown)) == ["success", "message", "status", "timestamp"]


def test_3_16_the_metrics_of_the_seed(home: Home) -> None:
    count(home, COMPLETED=150, FAILED=5)
    body = USER.get("/pipeline/metrics").body
    body.pop("timestamp")
    assert body == {
        "success": True,
        "message": "Pipeline metrics retrieved",
        "metrics": {"completed_jobs": 150, "failed_jobs": 5, "success_rate": 96.8, "jobs_per_minute": 2.6},
        "pipeline_info": {"is_running": True, "worker_count": 3, "max_concurrent_jobs": 5},
    }


def test_3_15_workers_that_wait_for_jobs_count_too(home: Home) -> None:
    told: dict[str, dict[str, Any]] = {"a": {}, "b": {}, "c": {"stopped": True}, "d": {"tenant": "other"}}
    for worker_id, fields in told.items():
        about = describe(worker_id, kind="pull", pool="default", version="1", names=())
        home.ports.workers.put(replace(about, seen_at=home.clock.now(), **fields))
    assert USER.get("/pipeline/status").body["status"]["worker_count"] == 2
    home.clock.advance(61)
    assert USER.get("/pipeline/metrics").body["pipeline_info"]["worker_count"] == 0


def test_3_15_a_register_of_workers_can_be_asked_instead(home: Home) -> None:
    caller = Caller("main", "ada", frozenset({"read"}))
    status = pipeline_status(home.ports, caller, slots=5, workers=lambda ports, tenant, since: 6)
    assert (status.worker_count, status.max_concurrent_jobs) == (6, 5)


def test_3_15_a_fresh_pipeline_divides_by_nothing(home: Home) -> None:
    metrics = USER.get("/pipeline/status").body["status"]["metrics"]
    assert set(metrics.values()) == {0}


def test_3_15_it_runs_unless_every_queue_is_paused(home: Home) -> None:
    OPERATOR.call("PUT", "/queues/other", "{}")
    OPERATOR.post("/queues/default/pause", {})
    assert USER.get("/pipeline/metrics").body["pipeline_info"]["is_running"] is True
    OPERATOR.post("/queues/other/pause", {})
    assert USER.get("/pipeline/metrics").body["pipeline_info"]["is_running"] is False


def test_3_15_and_3_22_the_figures_follow_the_jobs(home: Home) -> None:
    """Waiting, scheduled, retried, completed, failed: from submissions and runs alone."""
    for _ in range(4):
        USER.submit(name="ok")
    USER.submit(name="tries", retry_limit=3, retry_delay=60)
    USER.submit(name="dies", retry_limit=0)
    USER.submit(name="ok", start_after="2033-06-01T00:00:00Z")
    home.pump()
    status = USER.get("/pipeline/status").body["status"]
    assert (status["queue_size"], status["scheduled_jobs"]) == (6, 1)
    run(home, ok=lambda job: 1, tries=fail_until(3), dies=fail)
    status = USER.get("/pipeline/status").body["status"]
    metrics = status["metrics"]
    assert (status["queue_size"], status["scheduled_jobs"], status["active_jobs"]) == (1, 1, 0)
    assert (metrics["completed_jobs"], metrics["failed_jobs"], metrics["retried_jobs"]) == (4, 1, 0)
    assert metrics["success_rate"] == 80.0
    home.settle(home.runner(ok=lambda job: 1, tries=fail_until(3)), seconds=400, step=20)
    metrics = USER.get("/pipeline/status").body["status"]["metrics"]
    assert (metrics["completed_jobs"], metrics["failed_jobs"], metrics["retried_jobs"]) == (5, 1, 1)
    assert metrics["total_processed"] == 6
    assert metrics["uptime_seconds"] == 400
    assert metrics["jobs_per_minute"] == 0.9


def test_3_8_a_job_is_created(home: Home) -> None:
    body = USER.post("/jobs", SEED_JOB).body
    assert (body["success"], body["message"]) == (True, "Job created and queued for processing")
    assert home.job(body["job_id"]).name == "text_processing"


def test_3_11_and_3_12_jobs_are_listed_as_the_seed_shows_them(home: Home) -> None:
    job_id = USER.post("/jobs", SEED_JOB).body["job_id"]
    run(home, text_processing=lambda job: {"sentiment": "positive"})
    body = USER.get("/jobs", "limit=50&offset=0&result_as=string").body
    assert (body["success"], body["message"], body["total_count"]) == (True, "Jobs retrieved successfully", 1)
    (job,) = body["jobs"]
    assert (job["id"], job["status"], job["data"]["text"]) == (job_id, "completed", "Sample text to process")
    assert job["result"] == '{"sentiment": "positive"}'
    assert (job["error_message"], set(job) >= {"created_at", "updated_at"}) == (None, True)
    assert USER.get("/jobs").body["jobs"][0]["result"] == {"sentiment": "positive"}
    assert USER.get("/jobs", "result_as=xml").status == 422


def test_3_12_a_result_that_is_none_stays_none(home: Home) -> None:
    USER.submit()
    assert USER.get("/jobs", "result_as=string").body["jobs"][0]["result"] is None


@pytest.mark.parametrize("offset", [0, 2, 9])
def test_3_11_the_total_is_told_on_every_page(home: Home, offset: int) -> None:
    for _ in range(5):
        OPERATOR.submit()
    home.pump()
    body = OPERATOR.get("/jobs", f"limit=2&offset={offset}").body
    assert body["total_count"] == 5
    assert OPERATOR.get("/jobs", f"limit=2&offset={offset}&state=pending&queue=default").body["total_count"] == 5


def test_3_13_a_job_is_shown(home: Home) -> None:
    job_id = USER.post("/jobs", SEED_JOB).body["job_id"]
    body = USER.get(f"/jobs/{job_id}").body
    assert (body["success"], body["message"]) == (True, "Job details retrieved successfully")
    assert (body["job"]["id"], body["job"]["status"], body["job"]["result"]) == (job_id, "pending", None)


def test_3_14_an_ended_job_is_deleted(home: Home) -> None:
    job_id = USER.post("/jobs", SEED_JOB).body["job_id"]
    run(home, text_processing=lambda job: 1)
    body = USER.call("DELETE", f"/jobs/{job_id}").body
    assert (body["success"], body["message"], body["job_id"]) == (True, "Job deleted successfully", job_id)


def test_3_20_retries_wait_two_four_and_eight_seconds(home: Home) -> None:
    job_id = USER.submit().body["job_id"]
    waits = []
    for _ in range(3):
        home.drain(home.runner(work=fail))
        waits.append(((home.job(job_id).wake_at or 0) - home.clock.now()) / 1000)
        home.clock.advance(waits[-1] + 0.01)
    assert waits == [2.0, 4.0, 8.0]
    home.drain(home.runner(work=fail))
    assert home.job(job_id).state is State.FAILED


def test_3_26_and_2_49_common_errors_fold_what_differs(home: Home) -> None:
    for _ in range(3):
        USER.submit(name="reads", retry_limit=0)
    USER.submit(name="other", retry_limit=0)
    home.clock.advance(1)

    def timeout(job: object) -> None:
        raise TimeoutError("host 10.0.0.7 took 31.5 s")

    run(home, reads=fail, other=timeout)
    body = OPERATOR.get("/stats/errors").body
    assert body["jobs_looked_at"] == 4
    found = [(each["message"], each["count"], each["names"]) for each in body["errors"]]
    assert sorted(found, key=lambda each: -each[1]) == [
        ("RuntimeError: document <uuid> of <n> bytes cannot be read", 3, ["reads"]),
        ("TimeoutError: host <n> took <n> s", 1, ["other"]),
    ]
    assert len(OPERATOR.get("/stats/errors", "top=1").body["errors"]) == 1
    assert OPERATOR.get("/stats/errors", "sample=2").body["jobs_looked_at"] == 2
    assert USER.by(user="bob").get("/stats/errors").body["errors"] == []
    assert OPERATOR.get("/stats/errors", "tops=1").status == 422


def test_3_28_the_load_test_of_the_seed(home: Home) -> None:
    """A hundred jobs, then look until nothing waits and nothing runs."""
    for number in range(100):
        data = {"agent": "text_processing", "text": f"Test job {number}"}
        assert USER.post("/jobs", {"job_id": f"load-test-{number}", "data": data}).status == 201
    for _ in range(20):
        home.drain(home.runner(text_processing=lambda job: 1))
        home.pump()
        status = USER.get("/pipeline/status").body["status"]
        if status["queue_size"] == 0 and status["active_jobs"] == 0:
            break
    assert status["metrics"]["completed_jobs"] == 100


def test_3_31_every_route_needs_a_token_and_keeps_tenants_apart(home: Home) -> None:
    USER.submit(job_id="mine")
    home.pump()
    paths = ["/pipeline/status", "/pipeline/metrics", "/stats/retries", "/stats/throughput", "/stats/errors"]
    paths += ["/stats/stuck", "/stats/queues", "/api/jobs", "/api/capacity", "/maintenance/dead-letters"]
    for path in paths:
        assert USER.call("GET", path, authorizer={}).status == 401
    rival = USER.by(tenant="rival", scopes="admin")
    assert rival.get("/pipeline/status").body["status"]["queue_size"] == 0
    assert rival.get("/stats/queues").body["queues"] == []
    assert rival.post("/maintenance/purge", {"all": True, "confirm": True}).body["matched"] == 0
