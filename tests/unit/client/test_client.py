"""The client's requests, answers, errors and repetitions, and how it finds its server."""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from scripted import DONE, JOB, Script, batch_server, client_for, ok, refusal

from tidegate.client import (
    AsyncClient,
    Client,
    Retries,
    ServerError,
    UnexpectedAnswer,
    Unreachable,
)
from tidegate.client.endpoint import find_endpoint
from tidegate.client.ids import new_id
from tidegate.domain import errors


def test_a_submission_carries_token_fields_and_an_id_of_its_own() -> None:
    script = Script(ok(job_id="j1", job=JOB))
    start = datetime(2030, 1, 1, 12, tzinfo=UTC)
    job = client_for(script).submit("extract", {"a": 1}, priority="high", tags=("x",), start_after=start, timeout=None)
    (request,) = script.requests
    (body,) = script.bodies()
    assert (request.method, request.url.path) == ("POST", "/jobs")
    assert request.headers["authorization"] == "Bearer secret"
    assert uuid.UUID(body.pop("job_id")).version == 7
    assert body == {
        "name": "extract",
        "data": {"a": 1},
        "priority": "high",
        "tags": ["x"],
        "start_after": "2030-01-01T12:00:00.000Z",
    }
    assert (job.id, job.ended, job.tags) == ("j1", False, ("x",))
    assert job.created_at == datetime(2025, 11, 20, 14, 30, tzinfo=UTC)


def test_fields_that_a_newer_server_adds_are_kept_and_do_no_harm() -> None:
    job = client_for(Script(ok(job=JOB))).get("j1")
    assert job.raw["invented_later"] == {"by": "a newer server"}


def test_a_repeated_submission_carries_the_same_id_so_it_cannot_double_the_job() -> None:
    lost = httpx.ReadTimeout("the answer was lost")
    script = Script(lost, refusal(503, "UNAVAILABLE"), httpx.RemoteProtocolError("closed"), ok(job=JOB))
    client_for(script).submit("extract")
    first, *others = script.bodies()
    assert len(others) == 3
    assert all(body == first for body in others)


def test_an_idempotency_key_is_sent_instead_of_an_id() -> None:
    script = Script(ok(job=JOB))
    client_for(script).submit("extract", idempotency_key="order-17")
    assert script.requests[0].headers["idempotency-key"] == "order-17"
    assert "job_id" not in script.bodies()[0]


@pytest.mark.parametrize("key", ["", " ", "a\nb", "é"])
def test_an_idempotency_key_that_no_header_can_carry_is_refused(key: str) -> None:
    with pytest.raises(errors.InvalidInput, match="idempotency_key"):
        client_for(Script()).submit("extract", idempotency_key=key)


def test_pauses_double_take_their_jitter_and_add_what_the_server_asks_for() -> None:
    retries = Retries(base=1, cap=5, tries=9)
    lost = Unreachable(sent=True)
    pauses = [retries.pause_after(n, lost, repeatable=True, rng=lambda: 1.0) for n in range(1, 6)]
    assert pauses == [1, 2, 4, 5, 5]
    assert retries.pause_after(1, lost, repeatable=True, rng=lambda: 0.25) == 0.25
    limited = errors.TooManyRequests(retry_after=7.0)
    assert retries.pause_after(1, limited, repeatable=False, rng=lambda: 0.5) == 7.5
    assert retries.pause_after(9, lost, repeatable=True) is None
    assert retries.pause_after(1, errors.TooManyRequests(retry_after=3600.0), repeatable=True) is None
    assert retries.curve(10_000) == 5


def test_a_limit_with_retry_after_is_waited_out() -> None:
    slept: list[float] = []
    script = Script(refusal(429, "TOO_MANY_REQUESTS", headers={"Retry-After": "3"}), ok(job=JOB))
    client_for(script, sleep=slept.append).submit("extract")
    (pause,) = slept
    assert 3 <= pause <= 3.2


@pytest.mark.parametrize("answer", [httpx.ReadTimeout("lost"), refusal(503, "UNAVAILABLE")])
def test_a_restart_or_deletion_whose_outcome_is_unknown_is_not_repeated(answer: httpx.Response | Exception) -> None:
    for act in ("retry", "delete"):
        script = Script(answer)
        with pytest.raises((Unreachable, errors.Unavailable)):
            getattr(client_for(script), act)("j1")
        assert len(script.requests) == 1


def test_a_restart_that_was_never_sent_is_tried_again() -> None:
    script = Script(httpx.ConnectError("refused"), ok(job=JOB))
    assert client_for(script).retry("j1").id == "j1"


def test_the_client_gives_up_after_its_tries_and_says_where_nobody_answered() -> None:
    script = Script(*[httpx.ConnectError("refused")] * 3)
    with pytest.raises(Unreachable, match=r"http://tidegate\.test: nobody answers \(refused\)"):
        client_for(script, retries=Retries(tries=3)).health()
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (422, "INVALID_INPUT", errors.InvalidInput),
        (400, "MALFORMED_JSON", errors.MalformedJson),
        (413, "PAYLOAD_TOO_LARGE", errors.PayloadTooLarge),
        (404, "NOT_FOUND", errors.NotFound),
        (409, "CONFLICT", errors.Conflict),
        (409, "WRONG_STATE", errors.WrongState),
        (409, "LEASE_LOST", errors.LeaseLost),
        (401, "UNAUTHENTICATED", errors.Unauthenticated),
        (403, "FORBIDDEN", errors.Forbidden),
        (500, "INTERNAL", ServerError),
        (422, "A_RULE_OF_TOMORROW", errors.InvalidInput),
        (409, "CLASH_OF_TOMORROW", errors.Conflict),
    ],
)
def test_a_refusal_is_raised_as_the_error_its_code_names(
    status: int, code: str, kind: type[errors.TidegateError]
) -> None:
    with pytest.raises(errors.TidegateError, match="because") as caught:
        client_for(Script(refusal(status, code, "because", field="x"))).get("j1")
    assert type(caught.value) is kind
    assert caught.value.details["field"] == "x"
    assert caught.value.details["status"] == status


def test_details_named_like_parameters_do_no_harm() -> None:
    answer = {"success": False, "code": "CONFLICT", "message": "m", "details": {"message": "inner", "self": 1}}
    with pytest.raises(errors.Conflict, match=r"^m$") as caught:
        client_for(Script(httpx.Response(409, json=answer))).get("j1")
    assert caught.value.details["message"] == "inner"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(401, json={"message": "Unauthorized"}), errors.Unauthenticated),
        (httpx.Response(403, json={"message": "Forbidden"}), errors.Forbidden),
        (httpx.Response(404, text="<h1>Not Found</h1>"), UnexpectedAnswer),
        (httpx.Response(301, headers={"Location": "https://elsewhere.test"}), UnexpectedAnswer),
        (httpx.Response(200, text="<h1>Welcome</h1>"), UnexpectedAnswer),
        (httpx.Response(200, json=[]), UnexpectedAnswer),
        (httpx.Response(200, json={"job": {"id": 7, "name": "x", "state": "CREATED"}}), UnexpectedAnswer),
        (httpx.Response(200, json={"job": {**JOB, "created_at": "yesterday"}}), UnexpectedAnswer),
        (httpx.Response(500, text="oops"), ServerError),
    ],
)
def test_answers_that_are_not_tidegates_are_named_as_such(answer: httpx.Response, kind: type[Exception]) -> None:
    with pytest.raises(errors.TidegateError) as caught:
        client_for(Script(answer)).get("j1")
    assert type(caught.value) is kind


def test_a_gateway_that_is_busy_is_asked_again() -> None:
    assert client_for(Script(httpx.Response(502, text="bad gateway"), ok(job=JOB))).get("j1").id == "j1"


def test_the_environment_names_server_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_URL", "https://jobs.test/prod/")
    monkeypatch.setenv("TIDEGATE_TOKEN", " abc\n")
    endpoint = find_endpoint()
    assert (endpoint.url, endpoint.token) == ("https://jobs.test/prod", "abc")
    assert "abc" not in repr(endpoint)
    assert find_endpoint("http://x.test", "other").token == "other"


def test_a_stage_in_the_address_stays_in_front_of_every_path() -> None:
    script = Script(ok(job=JOB))
    Client("https://jobs.test/prod", "t", transport=httpx.MockTransport(script)).get("j1")
    assert script.requests[0].url == "https://jobs.test/prod/jobs/j1"


def test_the_token_file_serves_this_machine_and_never_travels(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("local-secret\n")
    assert find_endpoint(data=tmp_path).token == "local-secret"
    assert find_endpoint("http://localhost:9000", data=tmp_path).token == "local-secret"
    assert find_endpoint("http://[::1]:9000", data=tmp_path).token == "local-secret"
    for elsewhere in ("https://jobs.test", "http://127.0.0.1.evil.test", "http://127.0.0.1@evil.test"):
        assert find_endpoint(elsewhere, data=tmp_path).token is None


def test_a_missing_token_file_means_no_token(tmp_path: Path) -> None:
    assert find_endpoint(data=tmp_path / "none").token is None


@pytest.mark.parametrize("url", ["jobs.test", "ftp://jobs.test", "http://", "http://x:99999", "http://[::1"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidInput, match="url: must be"):
        Client(url)


@pytest.mark.parametrize("token", ["a\nb", "größe"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    with pytest.raises(errors.InvalidInput, match="token"):
        Client("http://x.test", token)


@pytest.mark.parametrize("options", [{"tries": 0}, {"base": 11}, {"base": -1}])
def test_nonsense_retries_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(errors.InvalidInput):
        Retries(**options)  # type: ignore[arg-type]


def test_the_async_client_does_the_same() -> None:
    async def scenario() -> None:
        half = {**JOB, "state": "ACTIVE", "status": "running"}
        page = {"jobs": [JOB], "total_count": 2}
        script = Script(
            httpx.ReadTimeout("lost"),
            ok(job=JOB),
            ok(job=half),
            ok(job=DONE),
            ok(**page, next_cursor="c"),
            ok(**page, next_cursor=None),
        )

        async def sleep(_: float) -> None:
            return None

        transport = httpx.MockTransport(script)
        async with AsyncClient("http://tidegate.test", "secret", transport=transport, sleep=sleep) as client:
            job = await client.submit("extract", {"a": 1})
            first, second = (json.loads(request.content) for request in script.requests)
            assert first == second
            assert (await client.wait(job.id)).result == {"pages": 3}
            assert [each.id async for each in client.list(state="pending")] == ["j1", "j1"]
        async with AsyncClient("http://tidegate.test", transport=httpx.MockTransport(batch_server)) as client:
            batch = await client.submit_many([{"name": "good"}, {"name": "bad"}])
            assert (len(batch.accepted), batch.rejected[0].index) == (1, 1)

    asyncio.run(scenario())


def test_both_clients_have_the_same_methods_with_the_same_parameters() -> None:
    import inspect

    def parameters(kind: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(kind, inspect.isfunction)
        return {name: list(inspect.signature(each).parameters) for name, each in methods if not name.startswith("_")}

    assert parameters(Client) == parameters(AsyncClient)


def test_ids_made_here_sort_as_they_were_made_even_among_threads() -> None:
    """Jobs of one batch have one rank, and equal ranks start by id."""
    with ThreadPoolExecutor(4) as pool:
        runs = list(pool.map(lambda _: [new_id() for _ in range(2_000)], range(4)))
    assert all(run == sorted(run) for run in runs)
    assert len({made for run in runs for made in run}) == 8_000
    newest = uuid.UUID(runs[0][-1])
    assert newest.version == 7
    assert newest.variant == uuid.RFC_4122
    assert abs((newest.int >> 80) / 1000 - time.time()) < 60
