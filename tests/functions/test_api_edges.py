"""Routes that are none, callers that are unknown, stores that fail, threads that meet."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest
from gateway import Api
from tidegate_functions.api import errors
from tidegate_functions.api.resolver import _ROUTERS, Resolver, build, resolver

from home import Home
from tidegate import __version__, runtime
from tidegate.domain import errors as domain
from tidegate.domain.iam import iam_callers_from


def all_errors(kind: type[domain.TidegateError]) -> set[type[domain.TidegateError]]:
    """A class and all that derive from it."""
    return {kind}.union(*(all_errors(each) for each in kind.__subclasses__()))


def test_every_error_has_its_status() -> None:
    homes = ("tidegate.domain", "tidegate.service", "tidegate_functions.api")
    known = {each for each in all_errors(domain.TidegateError) if each.__module__.startswith(homes)}
    assert known - {domain.TidegateError} == set(errors.STATUS)


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (domain.Unauthenticated(), 401, ("www-authenticate", "Bearer")),
        (domain.TooManyRequests(), 429, ("retry-after", "1")),
        (domain.Unavailable(), 503, ("retry-after", "1")),
        (domain.Conflict(), 409, None),
    ],
)
def test_errors_of_the_store_have_their_status_and_headers(
    api: Api, home: Home, error: domain.TidegateError, status: int, header: tuple[str, str] | None
) -> None:
    with runtime.use(failing(home, error)):
        answer = api.get("/jobs/j")
    assert answer.status == status
    assert answer.body == {"success": False, "code": error.code, "message": error.message, "details": {}}
    assert answer.headers["content-type"] == "application/json"
    assert header is None or answer.headers[header[0]] == header[1]


@pytest.mark.parametrize("error", [RuntimeError("secret tg_token"), domain.TidegateError("secret tg_token")])
def test_what_nobody_foresaw_is_a_500_that_tells_nothing(
    api: Api, home: Home, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "tidegate"), runtime.use(failing(home, error)):
        answer = api.get("/jobs/j")
    assert answer.status == 500
    assert answer.body == {"success": False, "code": "INTERNAL", "message": "Something went wrong.", "details": {}}
    (record,) = caplog.records
    assert record.action == "request_failed"  # type: ignore[attr-defined]
    assert type(error).__name__ in record.getMessage()
    assert "secret" not in caplog.text


def failing(home: Home, error: Exception) -> runtime.App:
    """The same App, with a job store that only raises."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise error

    return replace(home.app, ports=replace(home.ports, jobs=Broken()))


@pytest.mark.parametrize(
    "authorizer",
    [
        None,
        {},
        {"lambda": None},
        {"lambda": {}},
        {"lambda": {"tenant": "main", "user": "ada"}},
        {"jwt": {"claims": {}}},
    ],
)
@pytest.mark.parametrize("path", ["/jobs", "/jobs/j", "/queues", "/stats"])
def test_nobody_is_answered_without_the_authorizer(api: Api, authorizer: Any, path: str) -> None:
    answer = api.call("GET", path, authorizer=authorizer)
    assert (answer.status, answer.body["code"]) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_tenant_in_a_body_or_query_is_not_believed(api: Api) -> None:
    assert api.submit(tenant="rival").status == 422
    assert api.get("/jobs", "tenant=rival").status == 422


@pytest.mark.parametrize("path", ["/nothing", "/jobs/", "/jobs/a/b/c", "/JOBS", "/queues/a/b", "//jobs"])
def test_an_unknown_path_is_404(api: Api, path: str) -> None:
    answer = api.get(path)
    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    assert answer.body["message"] == f"there is no route GET {path}"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/jobs", "GET, POST"),
        ("OPTIONS", "/jobs", "GET, POST"),
        ("PATCH", "/jobs/j", "DELETE, GET"),
        ("GET", "/jobs/j/cancel", "POST"),
        ("DELETE", "/queues/q", "GET, PATCH, PUT"),
        ("POST", "/health", "GET"),
    ],
)
def test_a_known_path_with_another_method_is_405(api: Api, method: str, path: str, allowed: str) -> None:
    answer = api.call(method, path)
    assert (answer.status, answer.body["code"], answer.headers["allow"]) == (405, "METHOD_NOT_ALLOWED", allowed)


def test_health_touches_no_store_and_tells_the_version(api: Api, home: Home) -> None:
    with runtime.use(failing(home, domain.Unavailable())):
        answer = api.get("/health")
    assert answer.body == {
        "success": True,
        "status": "ok",
        "version": __version__,
        "time": "2033-05-18T08:00:00.000Z",
    }


def test_a_new_resolver_knows_nothing_of_the_requests_of_others() -> None:
    """Powertools' routers hand the context of the resolver they were last part of to the next one."""
    first = build()
    first.context["_request"] = "of another thread"
    assert build().context == {}


def test_every_route_is_served_by_the_modules_that_its_first_word_names() -> None:
    """And no module is imported for a word that none of its paths begins with."""
    for module, words in _ROUTERS:
        router = import_module(f"tidegate_functions.api.{module}").router
        paths = [route[0] for route in router._routes]
        assert {path.split("/")[1] for path in paths} == {word.removesuffix("/") for word in words}, module
        assert {path for path in paths if path not in _paths(resolver(path))} == set(), module
    assert _paths(resolver("/nowhere")) == set()


def _paths(found: Resolver) -> set[str]:
    return {str(route.path) for route in (*found._static_routes, *found._dynamic_routes)}


def test_requests_on_many_threads_never_mix(api: Api) -> None:
    """The embedded home answers on several threads: each must see its own request and its own caller."""

    def talk(number: int) -> None:
        caller = api.by(tenant=f"t{number % 8}", user=f"u{number}")
        made = caller.submit(data=number, job_id=f"j-{number}")
        assert made.status == 201
        shown = caller.get(f"/jobs/j-{number}")
        assert shown.body["job"]["data"] == number
        assert caller.submit(colour=number).body["details"]["errors"][0]["field"] == "colour"
        assert [job["id"] for job in caller.get("/jobs").body["jobs"]] == [f"j-{number}"]
        assert caller.by(tenant="t8").get(f"/jobs/j-{number}").status == 404

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(talk, number) for number in range(64)]:
            done.result()


IAM: dict[str, Any] = {"iam": {"userArn": "arn:aws:sts::123456789012:assumed-role/etl/nightly"}}


def test_a_signed_request_of_nobody_known_is_forbidden(api: Api) -> None:
    assert api.call("GET", "/iam/jobs", authorizer=IAM).status == 403
    assert api.call("GET", "/iam/jobs", authorizer={"iam": None}).status == 403


def test_the_path_of_signed_requests_leads_nowhere_for_others(api: Api) -> None:
    assert api.get("/iam/jobs").status == 404


def test_a_signed_request_is_its_callers(api: Api, home: Home) -> None:
    known = {"principal": "arn:aws:iam::123456789012:role/etl", "tenant": "acme", "user": "etl", "scopes": ["read"]}
    settings = replace(home.app.settings, iam_callers=iam_callers_from([known]))
    with runtime.use(replace(home.app, settings=settings)):
        assert api.call("GET", "/iam/jobs", authorizer=IAM).status == 200
        assert api.call("POST", "/iam/jobs", '{"name": "work"}', authorizer=IAM).status == 403
        assert api.call("GET", "/iam", authorizer=IAM).status == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/jobs", {"name": "work", "policy": 7}, "policy"),
        ("/jobs", {"name": "work", "policy": {}}, "policy"),
        ("/workers/claim", {"worker_id": []}, "worker_id"),
        ("/jobs/any/logs", {"attempt": 1, "lines": [{"message": "", "level": 5}]}, "lines.0.level"),
        ("/jobs/any/logs", {"attempt": 1, "lines": [{"message": "", "seconds_ago": 1e308}]}, "lines.0.seconds_ago"),
    ],
)
def test_what_is_no_text_or_out_of_all_bounds_is_refused_by_name(api: Api, path: str, body: object, field: str) -> None:
    refused = api.by(scopes="submit work").post(path, body)
    assert (refused.status, refused.body["details"]["errors"][0]["field"]) == (422, field)
