"""`POST /jobs/bulk`: each job is done to, or refused, for itself."""

from __future__ import annotations

from typing import Any

import pytest
from gateway import Api

from home import Home
from tidegate import PermanentError
from tidegate.domain.job import State


def refused(answer: Any) -> dict[str, str]:
    return {each["id"]: each["code"] for each in answer.body["refused"]}


def test_jobs_are_cancelled_each_for_itself(api: Api, home: Home) -> None:
    for job_id in ("a", "b", "c"):
        api.submit(job_id=job_id)
    home.serve_one(home.runner(work=lambda _: None))
    answer = api.post("/jobs/bulk", {"action": "cancel", "job_ids": ["a", "b", "x", "c"], "reason": "stop"})
    assert (answer.status, answer.body["success"]) == (200, False)
    assert answer.body["done"] == ["b", "c"]
    assert refused(answer) == {"a": "WRONG_STATE", "x": "NOT_FOUND"}
    assert [home.job(job_id).reason for job_id in ("b", "c")] == ["stop", "stop"]


def test_ended_jobs_start_over_and_have_their_tickets(api: Api, home: Home) -> None:
    def fail(_: object) -> None:
        raise PermanentError("no")

    for job_id in ("a", "b"):
        api.submit(job_id=job_id)
    home.drain(home.runner(work=fail))
    answer = api.post("/jobs/bulk", {"action": "retry", "job_ids": ["a", "b"]})
    assert (answer.body["success"], answer.body["done"]) == (True, ["a", "b"])
    assert home.drain(home.runner(work=lambda _: "ok")) == 2
    assert {home.job(job_id).state for job_id in ("a", "b")} == {State.COMPLETED}


def test_waiting_jobs_move_to_another_priority(api: Api, home: Home) -> None:
    for job_id in ("a", "b"):
        api.submit(job_id=job_id, priority=1)
    answer = api.post("/jobs/bulk", {"action": "priority", "job_ids": ["b"], "priority": "critical"})
    assert answer.body["message"] == "1 of 1 jobs: priority"
    home.serve_one(home.runner(work=lambda _: None))
    assert (home.job("a").state, home.job("b").state) == (State.CREATED, State.COMPLETED)


def test_a_job_named_twice_is_done_to_once(api: Api) -> None:
    api.submit(job_id="a")
    answer = api.post("/jobs/bulk", {"action": "cancel", "job_ids": ["a", "a"]})
    assert answer.body["done"] == ["a"]


def test_another_users_job_is_not_found(api: Api) -> None:
    api.submit(job_id="hers")
    assert refused(api.by(user="bob").post("/jobs/bulk", {"action": "cancel", "job_ids": ["hers"]})) == {
        "hers": "NOT_FOUND"
    }
    assert (
        api.by(user="bob", tenant="other", scopes="admin")
        .post("/jobs/bulk", {"action": "cancel", "job_ids": ["hers"]})
        .body["refused"]
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"action": "erase", "job_ids": ["a"]}, "action"),
        ({"action": "cancel", "job_ids": []}, "job_ids"),
        ({"action": "cancel", "job_ids": ["a"] * 101}, "job_ids"),
        ({"action": "cancel", "job_ids": ["a"], "priority": 3}, "priority"),
        ({"action": "priority", "job_ids": ["a"]}, "priority"),
        ({"action": "retry", "job_ids": ["a"], "reason": "why"}, "reason"),
    ],
)
def test_what_breaks_a_rule_changes_nothing(api: Api, home: Home, body: dict[str, Any], field: str) -> None:
    api.submit(job_id="a")
    answer = api.post("/jobs/bulk", body)
    assert answer.status == 422
    assert answer.body["details"]["errors"][0]["field"] == field
    assert home.job("a").state is State.CREATED


def test_readers_may_not(api: Api, home: Home) -> None:
    api.submit(job_id="a")
    answer = api.by(scopes="read").post("/jobs/bulk", {"action": "cancel", "job_ids": ["a"]})
    assert (answer.status, home.job("a").state) == (403, State.CREATED)
