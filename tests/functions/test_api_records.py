"""`GET /jobs/{id}/logs`, `GET /jobs/{id}/history`, and where `GET /events` is not served."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from gateway import Api

from home import Home
from tidegate import runtime
from tidegate.domain.logs import log_of
from tidegate.execution.context import JobContext


def run(home: Home, api: Api, work: Any, job_id: str = "j", **fields: Any) -> None:
    assert api.submit(job_id=job_id, **fields).status == 201
    home.drain(home.runner(work=work))


def told(*lines: str) -> Any:
    def work(context: JobContext) -> None:
        for line in lines:
            context.log.info("%s", line)

    return work


def test_logs_are_answered_line_by_line(home: Home, api: Api) -> None:
    run(home, api, told("Starting training", "Epoch 1/10 - loss: 0.45"))
    answer = api.get("/jobs/j/logs")
    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "message": "Job logs retrieved successfully",
        "job_id": "j",
        "lines": [
            {"time": "2033-05-18T08:00:00.000Z", "level": "INFO", "attempt": 1, "message": message}
            for message in ("Starting training", "Epoch 1/10 - loss: 0.45")
        ],
        "next_after": answer.body["next_after"],
        "more": False,
        "ended": True,
    }


def test_logs_come_in_pages(home: Home, api: Api) -> None:
    run(home, api, told(*"abcde"))
    seen, after = [], ""
    while True:
        body = api.get("/jobs/j/logs", f"limit=2{after}").body
        seen.append("".join(line["message"] for line in body["lines"]))
        after = f"&after={body['next_after']}"
        if not body["more"]:
            break
    assert seen == ["ab", "cd", "e"]
    assert api.get("/jobs/j/logs", f"limit=2{after}").body["lines"] == []


def test_logs_of_a_level_in_any_case(home: Home, api: Api) -> None:
    def work(context: JobContext) -> None:
        context.log.debug("a")
        context.log.warning("b")
        context.log.error("c")

    run(home, api, work)
    lines = api.get("/jobs/j/logs", "level=warning").body["lines"]
    assert [(line["level"], line["message"]) for line in lines] == [("WARNING", "b"), ("ERROR", "c")]


def test_a_page_that_would_be_too_large_is_shorter(home: Home, api: Api) -> None:
    run(home, api, told(*["\x01" * 8_000] * 300))
    body = api.get("/jobs/j/logs", "limit=1000").body
    assert 1 <= len(body["lines"]) < 300
    assert body["more"] is True


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("level=loud", "level"), ("after=x", "after"), ("x=1", "x")],
)
def test_what_is_asked_wrongly_is_refused(home: Home, api: Api, query: str, field: str) -> None:
    run(home, api, told("a"))
    answer = api.get("/jobs/j/logs", query)
    assert (answer.status, answer.body["details"]["errors"][0]["field"]) == (422, field)


@pytest.mark.parametrize("path", ["/jobs/j/logs", "/jobs/j/history"])
def test_only_those_who_see_the_job_see_its_records(home: Home, api: Api, path: str) -> None:
    run(home, api, told("a"))
    assert api.get(path).status == 200
    assert api.by(user="bob", scopes="read operate").get(path).status == 200
    assert api.by(user="bob").get(path).status == 404
    assert api.by(tenant="other").get(path).status == 404
    assert api.by(scopes="submit").get(path).status == 403
    assert api.get(path.replace("/j/", "/none/")).status == 404


def test_erasing_a_job_erases_its_log(home: Home, api: Api) -> None:
    run(home, api, told("a"))
    job = home.job("j")
    assert api.call("DELETE", "/jobs/j").body["action"] == "erased"
    assert list(home.ports.logs.read(log_of(job), None, 10)) == []
    assert api.get("/jobs/j/logs").status == 404


def test_the_history_of_a_job(home: Home, api: Api) -> None:
    def work(context: JobContext) -> None:
        home.clock.advance(2)
        raise ValueError("bad page")

    run(home, api, work, retry_limit=0)
    body = api.get("/jobs/j/history").body
    failure = {
        "attempt": 1,
        "worker_id": "w-1",
        "started_at": "2033-05-18T08:00:00.000Z",
        "ended_at": "2033-05-18T08:00:02.000Z",
        "error_type": "agent",
        "error_message": "ValueError: bad page",
    }
    assert body["attempts"] == [{**failure, "outcome": "failed"}]
    assert [(change["at"][11:19], change["state"]) for change in body["changes"]] == [
        ("08:00:00", "CREATED"),
        ("08:00:00", "ACTIVE"),
        ("08:00:02", "FAILED"),
    ]
    assert body["forgotten"] == 0
    assert api.get("/jobs/j").body["job"]["failures"] == [failure]
    assert "failures" not in api.get("/jobs").body["jobs"][0]


def test_events_are_refused_here_and_the_bus_is_named(home: Home, api: Api) -> None:
    settings = replace(home.app.settings, event_bus="tidegate-dev")
    with runtime.use(replace(home.app, settings=settings)):
        answer = api.get("/events")
    assert (answer.status, answer.body["code"]) == (501, "NOT_SUPPORTED")
    assert "EventBridge bus 'tidegate-dev'" in answer.body["message"]
    assert answer.body["details"] == {"event_bus": "tidegate-dev"}
    assert "no event bus" in api.get("/events").body["message"]
    assert api.by(scopes="submit").get("/events").status == 403
