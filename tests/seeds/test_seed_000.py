"""Seed 000, Marie's index of job management: its examples, and the words it uses."""

from __future__ import annotations

import pytest
from seedhome import OPERATOR, SLOTS, USER, fail, run

from home import Home
from tidegate.domain.job import TERMINAL, State

INVOKE = {"parameters": {"command": "extract", "asset_key": "s3://bucket/document.pdf", "pages": [1, 2, 3]}}
STATES = ("CREATED", "RETRY", "ACTIVE", "COMPLETED", "SKIPPED", "EXPIRED", "CANCELLED", "FAILED")


def test_0_20_invoke_answers_in_its_envelope(home: Home) -> None:
    answer = USER.post("/api/v1/invoke", {**INVOKE, "header": {"trace": "t-1"}})
    assert answer.status == 200
    job_id = answer.body["parameters"]["job_id"]
    assert answer.body == {
        "header": {"trace": "t-1"},
        "parameters": {"job_id": job_id, "status": "submitted"},
        "data": None,
    }


def test_0_25_the_parameters_are_the_jobs_data(home: Home) -> None:
    job_id = USER.post("/api/v1/invoke", INVOKE).body["parameters"]["job_id"]
    job = USER.get(f"/api/jobs/{job_id}").body["job"]
    assert (job["name"], job["state"]) == ("extract", "CREATED")
    assert job["data"] == {"asset_key": "s3://bucket/document.pdf", "pages": [1, 2, 3]}


def test_0_20_a_token_is_needed(home: Home) -> None:
    assert USER.call("POST", "/api/v1/invoke", "{}", authorizer={}).status in (401, 422)
    assert USER.by(scopes="read").post("/api/v1/invoke", INVOKE).status == 403


@pytest.mark.parametrize("body", [{}, {"parameters": {}}, {"parameters": {"command": ""}}, {"parameters": 1}])
def test_0_20_a_command_is_needed(home: Home, body: object) -> None:
    assert USER.post("/api/v1/invoke", body).status == 422


def test_0_21_jobs_are_listed(home: Home) -> None:
    ids = [USER.post("/api/v1/invoke", INVOKE).body["parameters"]["job_id"] for _ in range(3)]
    body = USER.get("/api/jobs").body
    assert [job["id"] for job in body["jobs"]] == ids[::-1]
    assert body["total_count"] == 3


def test_0_22_a_states_name_lists_its_jobs(home: Home) -> None:
    for _ in range(2):
        USER.post("/api/v1/invoke", INVOKE)
    run(home, extract=lambda job: 1)
    waiting = USER.post("/api/v1/invoke", INVOKE).body["parameters"]["job_id"]
    assert [job["id"] for job in USER.get("/api/jobs/CREATED").body["jobs"]] == [waiting]
    assert len(USER.get("/api/jobs/COMPLETED").body["jobs"]) == 2
    assert USER.get("/api/jobs/ACTIVE").body["jobs"] == []


@pytest.mark.parametrize("state", STATES)
def test_0_22_a_job_named_like_a_state_does_not_hide_it(home: Home, state: str) -> None:
    USER.submit(job_id=state)
    assert "jobs" in USER.get(f"/api/jobs/{state}").body
    assert USER.get(f"/jobs/{state}").body["job"]["id"] == state


def test_0_23_one_job_is_shown_or_not_found(home: Home) -> None:
    USER.submit(job_id="mine")
    assert USER.get("/api/jobs/mine").body["job"]["id"] == "mine"
    assert USER.get("/api/jobs/none").status == 404
    assert USER.by(tenant="rival").get("/api/jobs/mine").status == 404


def test_0_23_a_job_is_stopped(home: Home) -> None:
    USER.submit(job_id="mine")
    assert USER.post("/api/jobs/mine/stop").body["job"]["state"] == "CANCELLED"
    assert USER.post("/api/jobs/none/stop").status == 404


def test_0_6_capacity_tells_slots(home: Home) -> None:
    USER.submit()
    home.pump()
    assert USER.get("/api/capacity").body["capacity"] == {"slots": SLOTS, "used": 0, "available": SLOTS, "queued": 1}


def test_0_8_to_0_15_the_states_and_which_of_them_end() -> None:
    assert tuple(State) == STATES
    assert {state for state in State if state not in TERMINAL} == {"CREATED", "RETRY", "ACTIVE"}


def test_0_7_a_job_has_its_fields(home: Home) -> None:
    job = USER.submit(name="classify", priority=3, data={"a": 1}).body["job"]
    assert len(job["id"]) == 36
    assert (job["name"], job["priority"], job["data"], job["state"]) == ("classify", 3, {"a": 1}, "CREATED")


def test_0_24_a_job_submitted_as_the_work_info_model_has_it(home: Home) -> None:
    """`keep_until` is 0-29, `expire_in_seconds` 0-28, `start_after` 0-27, retry fields 0-26."""
    work_info = {
        "name": "extract",
        "priority": 10,
        "data": {"asset_key": "s3://bucket/doc.pdf", "pages": [1, 2, 3]},
        "retry_limit": 2,
        "retry_delay": 5,
        "retry_backoff": True,
        "start_after": "2033-05-18T04:00:00Z",
        "expire_in_seconds": 3600,
        "keep_until": "2033-05-25T04:00:00Z",
        "soft_sla": "2033-05-18T05:00:00Z",
        "hard_sla": "2033-05-18T08:00:00Z",
    }
    answer = USER.post("/jobs", work_info)
    assert answer.status == 201
    shown = answer.body["job"]
    assert (shown["retry_limit"], shown["soft_sla"]) == (2, "2033-05-18T05:00:00.000Z")
    stored = home.job(answer.body["job_id"])
    assert (stored.retry_delay, stored.retry_backoff, stored.priority) == (5.0, True, 10)
    assert stored.expires_at == (stored.start_after or 0) + 3_600_000
    assert stored.keep_until == 2_000_606_400_000


def test_0_26_a_failed_job_waits_five_then_ten_seconds(home: Home) -> None:
    job_id = USER.submit(name="extract", retry_limit=2, retry_delay=5).body["job_id"]
    waits = []
    for _ in range(2):
        home.drain(home.runner(extract=fail))
        job = home.job(job_id)
        waits.append(((job.wake_at or 0) - home.clock.now()) / 1000)
        home.clock.advance(waits[-1] + 0.01)
    assert waits == [5.0, 10.0]
    home.drain(home.runner(extract=fail))
    assert home.job(job_id).state is State.FAILED


def test_0_29_a_job_is_kept_until_then(home: Home) -> None:
    USER.submit(job_id="mine", keep_until="2033-05-18T03:40:00Z")
    run(home, work=lambda job: 1)
    assert USER.get("/jobs/mine").status == 200
    home.clock.advance(3_600)
    assert USER.get("/jobs/mine").status == 404


def test_0_16_a_queue_has_its_own_policy(home: Home) -> None:
    OPERATOR.call("PUT", "/queues/extract", '{"retry_limit": 1, "expire_in_seconds": 60}')
    job = home.job(USER.submit(queue="extract").body["job_id"])
    assert (job.retry_limit, job.expires_at) == (1, job.created_at + 60_000)
