"""`X-Request-Id` and `traceparent`: taken, kept, answered, and passed on by the client."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from gateway import Api, sample
from tidegate_functions.dag.handler import handler as dag
from tidegate_functions.dead_letters.handler import handler as bury

import tidegate
from home import Home
from support.inprocess import client_of
from tidegate import runtime
from tidegate.domain.correlation import correlation_of
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.execution import correlating
from tidegate.local.http import answer_to
from tidegate.service.tokens import new_token

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
GATEWAY = sample("api-get-health")["requestContext"]["requestId"]


@pytest.fixture
def written(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """The lines of a process whose log lines are marked."""
    marking = correlating.CorrelationFilter()
    caplog.handler.addFilter(marking)
    yield caplog
    caplog.handler.removeFilter(marking)


@pytest.fixture
def app(home: Home) -> Iterator[runtime.App]:
    """The home that the functions find."""
    with runtime.use(home.app) as made:
        yield made


def named(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [getattr(record, "correlation_id", None) for record in caplog.records]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({"X-Request-Id": "order-4711"}, "order-4711"),
        ({"X-Request-Id": "order-4711", "traceparent": TRACEPARENT}, "order-4711"),
        ({"traceparent": TRACEPARENT}, TRACE),
        ({"X-Request-Id": "with space"}, GATEWAY),
        ({"X-Request-Id": "x" * 129}, GATEWAY),
        ({"X-Request-Id": "line\nbreak", "traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01"}, GATEWAY),
        ({"traceparent": TRACEPARENT.upper()}, GATEWAY),
        ({}, GATEWAY),
    ],
)
def test_a_request_is_called_as_it_says_and_the_answer_repeats_it(api: Api, headers: dict[str, str], name: str) -> None:
    answer = api.post("/jobs", {"name": "work"}, **{key.replace("-", "_"): value for key, value in headers.items()})
    assert answer.status == 201
    assert answer.headers["x-request-id"] == name
    assert answer.headers.get("traceparent") == (TRACEPARENT if TRACEPARENT in headers.values() else None)
    assert api.get(f"/jobs/{answer.body['job_id']}").body["job"]["correlation_id"] == name


def test_refusals_say_it_too(api: Api) -> None:
    assert api.post("/jobs", {}, X_Request_Id="r1").headers["x-request-id"] == "r1"
    assert api.call("GET", "/nowhere", headers={"X-Request-Id": "r2"}).headers["x-request-id"] == "r2"
    scope = {"method": "GET", "path": "/jobs", "query_string": b"", "headers": [(b"x-request-id", b"r3")]}
    refused = answer_to(scope, b"")
    assert (refused["statusCode"], refused["headers"]["X-Request-Id"]) == (401, "r3")


def test_a_client_calls_its_requests_as_it_is_told(home: Home) -> None:
    clear, token = new_token(home.clock.now(), tenant="main", user="ada", scopes=["submit", "read"])
    home.ports.tokens.put(token)
    client = client_of(home.app, clear)
    with tidegate.request_id("order-4711"):
        named, again = client.submit("work"), client.submit("work")
    other = client.submit("work")
    assert named.correlation_id == again.correlation_id == "order-4711"
    assert other.correlation_id not in {None, "order-4711"}
    with pytest.raises(InvalidInput, match="request_id"), tidegate.request_id("two words"):
        pass


def test_a_failure_is_logged_with_the_request(api: Api, monkeypatch: Any, written: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("tidegate_functions.api.jobs.control.get_job", lambda *_: 1 / 0)
    assert api.call("GET", "/jobs/j", headers={"X-Request-Id": "r9"}).status == 500
    assert named(written) == ["r9"]


def test_a_dead_letter_is_logged_with_the_request_of_its_ticket(
    app: runtime.App, written: pytest.LogCaptureFixture
) -> None:
    event = sample("dead_letters")
    ticket = [1, "main", "default", "gone", "default", 5, 1]
    bodies = [json.dumps([*ticket, "order-4711"]), json.dumps(ticket), "no ticket"]
    event["Records"] = [event["Records"][0] | {"body": body} for body in bodies]
    with written.at_level(logging.INFO):
        bury(event, None)
    assert named(written) == ["order-4711", None, None]


def test_a_supervisor_that_is_stopped_is_logged_with_the_request_of_its_run(
    app: runtime.App, written: pytest.LogCaptureFixture
) -> None:
    begun = {"tenant": "main", "dag_id": "gone", "resumed": 0, "correlation_id": "order-4711"}
    event = sample("dag-stopped")
    event["detail"]["input"] = json.dumps(begun)
    assert dag(event, None) == {"stopped": False}
    assert named(written) == ["order-4711"]
    with pytest.raises(NotFound):
        dag({**begun, "task": "release"}, None)


def test_headers_of_any_case_are_read_once_lowered() -> None:
    assert correlation_of({"x-request-id": "a"}, "b").headers() == {"X-Request-Id": "a"}
