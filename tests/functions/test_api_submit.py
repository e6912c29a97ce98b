"""POST /jobs and POST /jobs/batch."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import MORNING, Answer, Api

from home import Home


def field_errors(answer: Answer) -> dict[str, str]:
    """The fields at fault with their rules; the answer must be an error of the one shape."""
    assert answer.status == 422
    assert answer.body["success"] is False
    assert answer.body["code"] == "INVALID_INPUT"
    assert answer.headers["content-type"] == "application/json"
    found: list[dict[str, str]] = answer.body["details"]["errors"]
    return {each["field"]: each["rule"] for each in found}


def test_a_job_is_accepted_and_shown_in_the_documented_shape(api: Api) -> None:
    answer = api.submit(data={"page": 1}, tags=["a"], metadata={"customer": "acme"}, retry_limit=2)
    assert answer.status == 201
    assert list(answer.body) == ["success", "message", "job_id", "job"]
    assert answer.body["message"] == "Job created and queued for processing"
    assert answer.body["job"] == {
        "id": answer.body["job_id"],
        "name": "work",
        "queue": "default",
        "state": "CREATED",
        "status": "pending",
        "priority": 5,
        "data": {"page": 1},
        "tags": ["a"],
        "metadata": {"customer": "acme"},
        "result": None,
        "error_message": None,
        "error_type": None,
        "attempt": 0,
        "retry_count": 0,
        "retry_limit": 2,
        "worker_id": None,
        "dag_id": None,
        "node": None,
        "dependencies": [],
        "definition": None,
        "webhook": None,
        "correlation_id": "JKJaXmPLvHcESHA=",
        "trace_id": None,
        "cost": pytest.approx(3.2e-6, rel=0.1),  # of its submission, by prices.toml
        "progress": None,
        "created_at": "2033-05-18T08:00:00.000Z",
        "started_at": None,
        "completed_at": None,
        "updated_at": "2033-05-18T08:00:00.000Z",
        "start_after": None,
        "soft_sla": None,
        "hard_sla": None,
        "sla": None,
        "reason": None,
        "timeout": 300.0,
        "owner": "ada",
        "wake_at": None,
        "expires_at": None,
        "cancel_requested": False,
        "blocked": False,
        "concurrency_key": None,
        "unique_key": None,
        "policy": None,
        "timeout_retry_limit": None,
    }


def test_every_field_reaches_the_job(api: Api, home: Home) -> None:
    answer = api.submit(
        job_id="full",
        priority=7,
        start_after="2033-05-18T10:00:00+01:00",
        expire_in_seconds=60,
        keep_until="2033-06-04T00:00:00Z",
        soft_sla="2033-05-18T11:00:00.5Z",
        hard_sla="2033-05-18T12:00:00.123456Z",
        timeout=1.5,
        retry_limit=0,
        retry_delay=0,
        retry_backoff=False,
        retry_delay_max=10,
        retry_jitter=True,
    )
    assert answer.status == 201
    job = home.job("full")
    assert (job.priority, job.timeout, job.owner) == (7, 1.5, "ada")
    assert (job.retry_limit, job.retry_delay, job.retry_delay_max) == (0, 0, 10)
    assert (job.retry_backoff, job.retry_jitter) == (False, True)
    hour = 3_600_000
    assert job.start_after == MORNING + hour
    assert job.expires_at == MORNING + hour + 60_000
    assert job.soft_sla == MORNING + 3 * hour + 500
    assert job.hard_sla == MORNING + 4 * hour + 123
    assert job.keep_until == MORNING + 16 * 24 * hour + 16 * hour


def test_data_agent_names_the_handler_when_nothing_else_does(api: Api) -> None:
    answer = api.post("/jobs", {"data": {"agent": "text_processing", "text": "x"}, "priority": 5, "tags": ["s"]})
    assert answer.status == 201
    assert answer.body["job"]["name"] == "text_processing"
    assert answer.body["job"]["data"] == {"agent": "text_processing", "text": "x"}


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"name": None, "job_type": "classify"}, {"name": "classify"}),
        ({"name": None, "agent": "classify", "data": {"agent": "other"}}, {"name": "classify"}),
        ({"name": "work", "agent": "work"}, {"name": "work"}),
        ({"max_retries": 7}, {"retry_limit": 7}),
        ({"scheduled_at": "2033-05-18T09:00:00Z"}, {"start_after": "2033-05-18T09:00:00.000Z"}),
        ({"priority": "critical"}, {"priority": 10}),
        ({"priority": "Low"}, {"priority": 0}),
        ({"priority": 0}, {"priority": 0}),
        ({"start_after": None, "retry_limit": None}, {"start_after": None, "retry_limit": 3}),
    ],
)
def test_other_words_for_the_same(api: Api, fields: dict[str, Any], shown: dict[str, Any]) -> None:
    job = api.submit(**fields).body["job"]
    assert {name: job[name] for name in shown} == shown


HALF_SURROGATE = json.loads('"\\ud800"')


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"colour": "red"}, "colour", "is not a known field"),
        ({"name": 7}, "name", "must be a string"),
        ({"name": "no spaces"}, "name", "must be 1 to 64 letters"),
        ({"name": None}, "name", "is required"),
        ({"name": None, "data": {"agent": 3}}, "name", "is required"),
        ({"name": "a", "agent": "b"}, "name and agent", "give one of them"),
        ({"retry_limit": 1, "max_retries": 2}, "retry_limit and max_retries", "give one of them"),
        ({"priority": 11}, "priority", "from 0 to 10"),
        ({"priority": -1}, "priority", "from 0 to 10"),
        ({"priority": True}, "priority", "must be an integer"),
        ({"priority": 5.0}, "priority", "must be an integer"),
        ({"priority": "urgent"}, "priority", "critical"),
        ({"priority": None}, "priority", "must be an integer"),
        ({"priority": [5]}, "priority", "must be an integer"),
        ({"retry_limit": "3"}, "retry_limit", "must be an integer"),
        ({"retry_limit": True}, "retry_limit", "must be an integer"),
        ({"retry_limit": 1.5}, "retry_limit", "must be an integer"),
        ({"retry_limit": -1}, "retry_limit", "must be from 0"),
        ({"retry_limit": 10**30}, "retry_limit", "must be from 0"),
        ({"retry_backoff": 1}, "retry_backoff", "must be true or false"),
        ({"timeout": "60"}, "timeout", "must be a number"),
        ({"timeout": True}, "timeout", "must be a number"),
        ({"timeout": 0}, "timeout", "must be from 0.1"),
        ({"expire_in_seconds": 0.5}, "expire_in_seconds", "must be from 1"),
        ({"tags": "reports"}, "tags", "must be a JSON array"),
        ({"tags": [1]}, "tags.0", "must be a string"),
        ({"tags": [""]}, "tags", "each of 1 to 256"),
        ({"tags": ["t"] * 21}, "tags", "at most 20"),
        ({"metadata": {"a": 1}}, "metadata.a", "must be a string"),
        ({"metadata": []}, "metadata", "must be a JSON object"),
        ({"metadata": {"k" * 65: "v"}}, f"metadata.{'k' * 64}", "keys of 1 to 64"),
        ({"job_id": ""}, "job_id", "must be 1 to 128"),
        ({"job_id": "a/b"}, "job_id", "must be 1 to 128"),
        ({"queue": "nowhere"}, "queue", "there is no queue 'nowhere'"),
        ({"queue": "no/where"}, "queue", "must be 1 to 64"),
        ({"start_after": "2033-05-18T09:00:00"}, "start_after", "with an offset"),
        ({"start_after": "2033-05-18"}, "start_after", "RFC 3339"),
        ({"start_after": 1_800_000_000}, "start_after", "RFC 3339"),
        ({"start_after": "2033-02-30T09:00:00Z"}, "start_after", "RFC 3339"),
        ({"start_after": "1969-12-31T23:59:59Z"}, "start_after", "from 1970"),
        ({"keep_until": "9999-12-31T23:59:59-01:00"}, "keep_until", "to 9999"),
        ({"start_after": "2034-06-15T09:00:00Z"}, "start_after", "within 366 days"),
        ({"soft_sla": "2033-06-05T00:00:00Z", "hard_sla": "2033-06-04T00:00:00Z"}, "hard_sla", "not be before"),
        ({"tags": [HALF_SURROGATE]}, "body", "surrogate"),
        ({"data": {"deep": [HALF_SURROGATE]}}, "body", "surrogate"),
        ({"unique": "x"}, "unique", "is not a known field"),
    ],
)
def test_a_wrong_field_is_named_with_its_rule_and_nothing_is_stored(
    api: Api, fields: dict[str, Any], field: str, rule: str
) -> None:
    errors = field_errors(api.submit(**fields))
    assert list(errors) == [field]
    assert rule in errors[field]
    assert api.get("/jobs").body["jobs"] == []


def test_all_wrong_fields_are_named_at_once(api: Api) -> None:
    assert set(field_errors(api.submit(colour=1, priority=11, timeout="x"))) == {"colour", "priority", "timeout"}


@pytest.mark.parametrize(
    "text", ["{", '{"name": "work",}', "", "nul", '{"name": "work"} x', '{"a": 1' + "1" * 5000 + "}"]
)
def test_what_is_not_json_is_400(api: Api, text: str) -> None:
    answer = api.call("POST", "/jobs", text)
    assert (answer.status, answer.body["code"]) in [(400, "MALFORMED_JSON"), (422, "INVALID_INPUT")]
    assert answer.status == (400 if text else 422)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(api: Api, token: str) -> None:
    answer = api.call("POST", "/jobs", f'{{"name": "work", "data": {{"x": {token}}}}}')
    assert (answer.status, answer.body["code"]) == (400, "MALFORMED_JSON")
    assert token in answer.body["message"]


@pytest.mark.parametrize(("field", "text"), [("data", '{"x": 1e999}'), ("timeout", "1e999")])
def test_numbers_too_large_to_be_finite_are_refused(api: Api, field: str, text: str) -> None:
    assert list(field_errors(api.call("POST", "/jobs", f'{{"name": "work", "{field}": {text}}}'))) == [field]


@pytest.mark.parametrize("text", ["[]", '[{"name": "work"}]', '"work"', "7", "null", "true"])
def test_a_body_that_is_no_object_is_refused(api: Api, text: str) -> None:
    assert list(field_errors(api.call("POST", "/jobs", text))) == ["body"]


@pytest.mark.parametrize("depth", [65, 900, 100_000])
def test_deep_nesting_is_refused(api: Api, depth: int) -> None:
    text = '{"name": "work", "data": ' + "[" * depth + "]" * depth + "}"
    assert next(iter(field_errors(api.call("POST", "/jobs", text)).values())).find("deep") >= 0


def test_nesting_within_the_limit_is_kept(api: Api) -> None:
    data: Any = []
    for _ in range(60):
        data = [data]
    assert api.submit(data=data).body["job"]["data"] == data


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_json_is_taken_whatever_it_is_declared_as(api: Api, kind: str) -> None:
    answer = api.call("POST", "/jobs", '{"name": "work"}', headers={"content-type": kind})
    assert answer.status == 201


def test_a_base64_body_is_decoded(api: Api) -> None:
    answer = api.call("POST", "/jobs", '{"name": "work", "data": "häß"}'.encode())
    assert answer.body["job"]["data"] == "häß"


def test_a_body_that_is_not_text_is_400(api: Api) -> None:
    answer = api.call("POST", "/jobs", b"\xff\xfe{}")
    assert (answer.status, answer.body["code"]) == (400, "MALFORMED_JSON")


def test_a_large_payload_is_accepted_and_read_back(api: Api, home: Home) -> None:
    data = {"text": "ä" * 150_000}
    answer = api.submit(data=data)
    assert answer.status == 201
    assert answer.body["job"]["data"] is None
    assert answer.body["job"]["omitted"] == ["data"]
    assert home.job(answer.body["job_id"]).data_ref is not None
    shown = api.get(f"/jobs/{answer.body['job_id']}").body["job"]
    assert shown["data"] == data
    assert "omitted" not in shown
    assert api.get("/jobs").body["jobs"][0]["omitted"] == ["data"]


def test_seven_megabytes_are_413(api: Api) -> None:
    answer = api.submit(data="x" * 7_000_000)
    assert (answer.status, answer.body["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert answer.body["details"]["size"] > 7_000_000
    assert api.get("/jobs").body["jobs"] == []


def test_what_an_answer_cannot_carry_is_left_out_and_named(api: Api) -> None:
    """Quotes double in an answer's JSON within JSON: 4 MB of them would be over Lambda's 6 MB."""
    job_id = api.submit(data='"' * 1_900_000).body["job_id"]
    answer = api.get(f"/jobs/{job_id}")
    assert answer.status == 200
    assert answer.body["job"]["data"] is None
    assert answer.body["job"]["omitted"] == ["data"]


def test_the_same_id_is_accepted_once(api: Api, home: Home) -> None:
    first, again = (api.submit(job_id="mine", data={"a": 1}, metadata={"x": "1", "y": "2"}) for _ in range(2))
    other = api.submit(job_id="mine", data={"a": 2})
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert again.body["job_id"] == "mine"
    assert again.body["message"] == "Job was accepted before"
    assert other.body["code"] == "CONFLICT"
    assert len(api.get("/jobs").body["jobs"]) == 1


def test_an_idempotency_key_makes_one_job(api: Api) -> None:
    first, again = (api.post("/jobs", {"name": "work", "data": 1}, Idempotency_Key="k, 1") for _ in range(2))
    other = api.post("/jobs", {"name": "work", "data": 2}, Idempotency_Key="k, 1")
    assert (first.status, again.status, other.status) == (201, 200, 409)
    assert first.body["job_id"] == again.body["job_id"]
    assert first.body["job_id"].startswith("idem-")
    assert len(first.body["job_id"]) == 37


def test_idempotency_keys_of_different_users_are_different(api: Api) -> None:
    ids = {api.by(user=user).post("/jobs", {"name": "work"}, Idempotency_Key="k").body["job_id"] for user in ("a", "b")}
    assert len(ids) == 2


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_an_idempotency_key_has_bounds(api: Api, key: str) -> None:
    assert list(field_errors(api.post("/jobs", {"name": "work"}, Idempotency_Key=key))) == ["Idempotency-Key"]


def test_a_job_id_goes_before_an_idempotency_key(api: Api) -> None:
    assert api.post("/jobs", {"name": "work", "job_id": "mine"}, Idempotency_Key="k").body["job_id"] == "mine"


def test_a_batch_is_accepted_in_part(api: Api) -> None:
    jobs: list[Any] = [
        {"name": "a", "job_id": "one"},
        {"name": "b", "priority": 11, "colour": 1},
        7,
        {"name": "c", "queue": "nowhere"},
        {"data": {}},
        {"agent": "d", "job_id": "two"},
        {"name": "other", "job_id": "one"},
    ]
    answer = api.post("/jobs/batch", {"jobs": jobs})
    assert answer.status == 200
    assert answer.body["success"] is False
    assert answer.body["message"] == "2 of 7 jobs accepted"
    assert answer.body["accepted"] == ["one", "two"]
    rejected = answer.body["rejected"]
    assert [each["index"] for each in rejected] == [1, 2, 3, 4, 6]
    assert [each["code"] for each in rejected] == ["INVALID_INPUT"] * 4 + ["CONFLICT"]
    assert {each["field"] for each in rejected[0]["details"]["errors"]} == {"priority", "colour"}
    assert rejected[1]["message"] == "job: must be a JSON object"
    assert "nowhere" in rejected[2]["message"]


def test_a_hundred_jobs_are_one_batch_and_one_more_is_refused(api: Api) -> None:
    full = api.post("/jobs/batch", {"jobs": [{"name": "work", "data": n} for n in range(100)]})
    assert full.status == 200
    assert full.body["success"] is True
    assert len(set(full.body["accepted"])) == 100
    assert full.body["rejected"] == []
    over = field_errors(api.post("/jobs/batch", {"jobs": [{"name": "work"}] * 101}))
    assert "at most 100" in over["jobs"]
    assert "at least 1" in field_errors(api.post("/jobs/batch", {"jobs": []}))["jobs"]
    assert len(api.get("/jobs", "limit=200").body["jobs"]) == 100


@pytest.mark.parametrize("body", [{}, {"jobs": {}}, {"jobs": [{"name": "work"}], "more": 1}])
def test_a_batch_of_another_shape_is_refused(api: Api, body: Any) -> None:
    assert len(field_errors(api.post("/jobs/batch", body))) == 1


def test_submitting_needs_its_scope(api: Api) -> None:
    reader = api.by(scopes="read")
    for answer in (reader.submit(), reader.post("/jobs/batch", {"jobs": [7]})):
        assert (answer.status, answer.body["code"]) == (403, "FORBIDDEN")
        assert answer.body["details"] == {"scope": "submit"}


def test_a_home_without_step_functions_refuses_to_be_waited_for(api: Api) -> None:
    for path, body in (("/jobs", {"name": "work"}), ("/dags", {"name": "d", "nodes": [{"id": "a", "name": "work"}]})):
        answer = api.post(path, {**body, "task_token": "AAAA"})
        assert (answer.status, answer.body["details"]["errors"][0]["field"]) == (422, "task_token")
