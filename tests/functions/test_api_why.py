"""`GET /jobs/{id}/why`: one sentence, every gate with its facts, times as times."""

from __future__ import annotations

import pytest
from gateway import Api

from home import Home
from tidegate.ports import Worker


@pytest.fixture(autouse=True)
def worker(home: Home) -> None:
    """One that is there."""
    now = home.clock.now()
    home.ports.workers.put(Worker(id="w-1", kind="pull", pool="default", started_at=now, seen_at=now))


def test_a_job_of_a_paused_queue(api: Api) -> None:
    operator = api.by(scopes="submit read operate")
    operator.call("PUT", "/queues/mail", "{}")
    operator.post("/queues/mail/pause", {"reason": "deploy"})
    api.submit(job_id="j", queue="mail", start_after="2033-05-18T08:03:00Z")
    answer = api.get("/jobs/j/why")
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "message": "Explanation retrieved successfully",
        "why": {
            "job_id": "j",
            "state": "CREATED",
            "verdict": "Not started: it is not to start before its time, in 3 min; "
            "and its queue 'mail' was paused by ada (deploy).",
            "gates": [
                {
                    "gate": "start_after",
                    "holds": True,
                    "message": "it is not to start before its time, in 3 min",
                    "facts": {
                        "wake_at": "2033-05-18T08:03:00.000Z",
                        "in_seconds": 180.0,
                        "start_after": "2033-05-18T08:03:00.000Z",
                    },
                },
                {
                    "gate": "queue_paused",
                    "holds": True,
                    "message": "its queue 'mail' was paused by ada (deploy)",
                    "facts": {"queue": "mail", "paused_by": "ada", "paused_reason": "deploy"},
                },
                {
                    "gate": "workers",
                    "holds": False,
                    "message": "1 worker of its pool 'default' may take it",
                    "facts": {
                        "pool": "default",
                        "queue": "mail",
                        "name": "work",
                        "workers": 1,
                        "places": 1,
                        "busy": 0,
                        "other_workers": 0,
                        "their_names": [],
                        "on_demand": False,
                    },
                },
            ],
            "expected_start": None,
        },
    }


def test_the_life_of_a_job_explained(home: Home, api: Api) -> None:
    def verdict() -> str:
        return str(api.get("/jobs/j/why").body["why"]["verdict"])

    def work(_: object) -> None:
        assert verdict().startswith("It is running for 0 s: attempt 1 of 1, on worker w-1")
        raise ValueError("bad page")

    api.submit(job_id="j", retry_limit=0)
    assert verdict() == "It is ready and starts as soon as a worker is free."
    assert api.get("/jobs/j/why").body["why"]["expected_start"] == "2033-05-18T08:00:00.000Z"
    home.drain(home.runner(work=work))
    assert verdict() == "It failed: attempt 1 of 1, the last allowed, ended with agent: ValueError: bad page."
    assert api.get("/jobs/j/why").body["why"]["gates"][0]["facts"]["ended_at"] == "2033-05-18T08:00:00.000Z"


@pytest.mark.parametrize(
    ("caller", "status"),
    [
        ({}, 200),
        ({"user": "bob"}, 404),
        ({"user": "bob", "scopes": "read operate"}, 200),
        ({"tenant": "other"}, 404),
        ({"scopes": "submit"}, 403),
    ],
)
def test_only_those_who_see_the_job_learn_why(api: Api, caller: dict[str, str], status: int) -> None:
    api.submit(job_id="j")
    assert api.by(**caller).get("/jobs/j/why").status == status


def test_a_misspelt_parameter_is_refused(api: Api) -> None:
    api.submit(job_id="j")
    assert api.get("/jobs/j/why", "verbose=1").status == 422
    assert api.get("/jobs/none/why").status == 404
