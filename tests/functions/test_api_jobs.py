"""GET, DELETE and the actions of /jobs."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import Any

import pytest
from gateway import Api

from home import Home
from tidegate import PermanentError, runtime
from tidegate.ports import JobQuery

OTHERS = [{"tenant": "rival"}, {"user": "bob"}]


def ids(jobs: list[dict[str, Any]]) -> list[str]:
    return [job["id"] for job in jobs]


@pytest.fixture
def many(api: Api, home: Home) -> Api:
    """25 jobs of ada, j-24 the newest, each a second younger than the one before."""
    for n in range(25):
        api.submit(job_id=f"j-{n:02}", name=f"n{n % 2}", tags=[f"t{n % 3}"], metadata={"k": str(n % 5), "a.b": "c,d"})
        home.clock.advance(1)
    return api


def pages(api: Api, query: str) -> list[list[str]]:
    """The ids of every page, by following the cursor."""
    found, cursor = [], ""
    while True:
        body = api.get("/jobs", query + cursor).body
        found.append(ids(body["jobs"]))
        if body["next_cursor"] is None:
            return found
        cursor = f"&cursor={body['next_cursor']}"


def test_a_listing_is_newest_first_and_pages_by_cursor(many: Api) -> None:
    assert [len(page) for page in pages(many, "limit=10")] == [10, 10, 5]
    assert list(chain(*pages(many, "limit=10"))) == [f"j-{n:02}" for n in reversed(range(25))]


def test_the_envelope_of_a_listing(many: Api) -> None:
    body = many.get("/jobs").body
    assert list(body) == ["success", "message", "jobs", "total_count", "next_cursor"]
    assert body["message"] == "Jobs retrieved successfully"
    assert (body["total_count"], body["next_cursor"], len(body["jobs"])) == (25, None, 25)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=n1&limit=3", ["j-23", "j-21", "j-19"]),
        ("tag=t2&limit=2", ["j-23", "j-20"]),
        ("metadata.k=4", ["j-24", "j-19", "j-14", "j-09", "j-04"]),
        ("metadata.k=4&metadata.a.b=c%2Cd&name=n1", ["j-19", "j-09"]),
        ("metadata.k=9", []),
        ("queue=default&limit=1", ["j-24"]),
        ("queue=other", []),
        ("owner=ada&limit=1", ["j-24"]),
        ("dag_id=none", []),
        ("created_from=2033-05-18T08:00:23Z", ["j-24", "j-23"]),
        ("created_to=2033-05-18T09:00:02%2B01:00", ["j-01", "j-00"]),
        ("state=CREATED&limit=1", ["j-24"]),
        ("state=running", []),
        ("state=running,pending&limit=1", ["j-24"]),
        ("state=running&state=pending&limit=1", ["j-24"]),
        ("offset=23", ["j-01", "j-00"]),
        ("offset=25", []),
        ("offset=10000", []),
        ("offset=3&limit=2", ["j-21", "j-20"]),
        ("name=n1&offset=11", ["j-01"]),
    ],
)
def test_filters(many: Api, query: str, expected: list[str]) -> None:
    answer = many.get("/jobs", query)
    assert answer.status == 200
    assert ids(answer.body["jobs"]) == expected


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=1.5", "limit"),
        ("limit=", "limit"),
        ("offset=-1", "offset"),
        ("offset=10001", "offset"),
        ("state=sleeping", "state"),
        ("state=", "state"),
        ("state=pending,", "state"),
        ("queue=", "queue"),
        ("created_from=yesterday", "created_from"),
        ("created_from=2033-05-18T08:00:00+01:00", "created_from"),
        ("lmit=3", "lmit"),
        ("name=a&name=b", "name"),
        ("metadata.k=a&metadata.k=b", "metadata.k"),
        ("cursor=", "cursor"),
        ("cursor=abc", "cursor"),
        ("cursor=%FF%00", "cursor"),
        ("cursor=ä", "cursor"),
    ],
)
def test_wrong_filters_are_named(api: Api, query: str, field: str) -> None:
    answer = api.get("/jobs", query)
    assert (answer.status, answer.body["code"]) == (422, "INVALID_INPUT")
    assert [each["field"] for each in answer.body["details"]["errors"]] == [field]


def test_a_tampered_cursor_is_refused(many: Api) -> None:
    cursor = many.get("/jobs", "limit=10").body["next_cursor"]
    for wrong in (cursor[:-2], cursor + "AAAA", cursor.swapcase(), "x" + cursor):
        assert many.get("/jobs", f"cursor={wrong}").status == 422
    assert many.get("/jobs", f"cursor={cursor}&offset=1").status == 422


def test_counts(many: Api, home: Home) -> None:
    """Exact where the home can count; else from the counters for all jobs, by state and by queue; otherwise null."""
    home.pump()
    operator = many.by(scopes="read operate", user="olga")

    def count(api: Api, query: str) -> int | None:
        found: int | None = api.get("/jobs", query).body["total_count"]
        return found

    assert count(operator, "limit=10") == 25
    assert count(operator, "limit=10&state=pending") == 25
    assert count(operator, "limit=10&offset=20") == 25
    assert count(operator, "state=failed") == 0
    assert count(operator, "limit=2&queue=default") == 25
    assert count(operator, "limit=2&name=n1") == 12
    assert count(many, "limit=10&tag=t1") == 8
    assert count(many.by(user="bob"), "limit=10") == 0
    with runtime.use(cannot_count(home)):
        assert count(operator, "limit=10") == 25
        assert count(operator, "limit=10&state=pending&queue=default") == 25
        assert count(operator, "state=failed&queue=default") == 0
        assert count(operator, "limit=2&name=n1") is None
        assert count(operator, "name=n1") == 12
        assert count(operator, "limit=2&owner=ada") is None
        assert count(many, "limit=10") is None
        assert count(many, "limit=25") == 25


def test_a_count_is_never_less_than_what_is_shown(many: Api, home: Home) -> None:
    """The counters may be seconds late."""
    operator = many.by(scopes="admin")
    with runtime.use(cannot_count(home)):
        assert operator.get("/jobs", "limit=10").body["total_count"] == 11
        assert operator.get("/jobs", "limit=10&offset=5").body["total_count"] == 16


def cannot_count(home: Home) -> runtime.App:
    """A home that counts only by reading, as DynamoDB does."""

    class Countless:
        def count(self, query: JobQuery) -> None:
            return None

    return replace(home.app, ports=replace(home.ports, upkeep=Countless()))  # type: ignore[arg-type]


def test_a_page_is_shortened_to_what_an_answer_can_carry(api: Api) -> None:
    for n in range(32):
        api.submit(job_id=f"j-{n}", data="\\" * 49_000)
    found = pages(api, "limit=200")
    assert len(found) > 1
    assert sorted(chain(*found)) == sorted(f"j-{n}" for n in range(32))


def test_an_offset_out_of_reach_is_refused(api: Api, home: Home) -> None:
    """Filtered pages may come back almost empty: the walk is bounded."""

    class Endless:
        def page(self, query: JobQuery) -> Any:
            page = home.ports.jobs.page(replace(query, cursor=None))
            return replace(page, next_cursor="more")

    with runtime.use(replace(home.app, ports=replace(home.ports, jobs=Endless()))):  # type: ignore[arg-type]
        answer = api.get("/jobs", "offset=1")
    assert answer.status == 422
    assert "next_cursor" in answer.body["message"]


def test_a_job_is_shown_with_its_result(api: Api, home: Home) -> None:
    api.submit(job_id="j")

    def work(job: Any) -> Any:
        job.progress(0.5, "half")
        return {"pages": 3}

    home.drain(home.runner(work=work))
    answer = api.get("/jobs/j")
    assert answer.status == 200
    assert answer.body["message"] == "Job details retrieved successfully"
    job = answer.body["job"]
    assert (job["state"], job["status"], job["result"]) == ("COMPLETED", "completed", {"pages": 3})
    assert (job["attempt"], job["worker_id"]) == (1, "w-1")
    assert job["completed_at"] == "2033-05-18T08:00:00.000Z"


def test_a_failure_is_shown_with_its_kind(api: Api, home: Home) -> None:
    api.submit(job_id="j")

    def work(job: Any) -> Any:
        raise PermanentError("no such document")

    home.drain(home.runner(work=work))
    job = api.get("/jobs/j").body["job"]
    assert (job["status"], job["error_message"]) == ("failed", "no such document")
    assert job["error_type"] in {"agent", "validation"}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/jobs/j", None),
        ("DELETE", "/jobs/j", None),
        ("POST", "/jobs/j/cancel", None),
        ("POST", "/jobs/j/retry", None),
        ("POST", "/jobs/j/priority", '{"priority": 1}'),
    ],
)
def test_jobs_of_others_are_not_found(
    api: Api, home: Home, other: dict[str, str], method: str, path: str, body: str | None
) -> None:
    api.submit(job_id="j")
    before = home.job("j")
    answer = api.by(**other).call(method, path, body)
    assert (answer.status, answer.body["code"], answer.body["details"]) == (404, "NOT_FOUND", {"job_id": "j"})
    assert home.job("j") == before
    absent = api.by(**other).call(method, path.replace("/jobs/j", "/jobs/k"), body)
    assert absent.text.replace("'k'", "'j'").replace('"k"', '"j"') == answer.text, "nothing tells that it exists"


@pytest.mark.parametrize("other", OTHERS)
def test_jobs_of_others_are_not_listed(api: Api, other: dict[str, str]) -> None:
    api.submit(job_id="j")
    assert api.by(**other).get("/jobs").body["jobs"] == []
    assert api.by(**other).get("/jobs", "owner=ada").body["jobs"] == []


def test_operators_see_the_jobs_of_their_tenant(api: Api) -> None:
    api.submit(job_id="j")
    operator = api.by(user="olga", scopes="read submit operate")
    assert operator.get("/jobs/j").status == 200
    assert ids(operator.get("/jobs").body["jobs"]) == ["j"]
    assert operator.get("/jobs", "owner=bob").body["jobs"] == []
    assert operator.by(tenant="rival").get("/jobs/j").status == 404


def test_deleting_a_waiting_job_cancels_it_and_again_erases_it(api: Api) -> None:
    api.submit(job_id="j")
    first = api.call("DELETE", "/jobs/j")
    assert (first.status, first.body) == (
        200,
        {"success": True, "message": "Job cancelled", "job_id": "j", "action": "cancelled"},
    )
    assert api.get("/jobs/j").body["job"]["status"] == "cancelled"
    assert api.call("DELETE", "/jobs/j").body == {
        "success": True,
        "message": "Job deleted successfully",
        "job_id": "j",
        "action": "erased",
    }
    assert api.get("/jobs/j").status == 404
    assert api.call("DELETE", "/jobs/j").status == 404


def test_a_running_job_is_asked_to_stop(api: Api, home: Home) -> None:
    api.submit(job_id="j")
    seen: list[Any] = []

    def work(job: Any) -> Any:
        seen.append(api.call("DELETE", "/jobs/j").body["action"])
        seen.append(api.post("/jobs/j/cancel").body["message"])
        seen.append(api.post("/jobs/j/priority", {"priority": 1}).status)
        seen.append(api.post("/jobs/j/retry").status)

    home.drain(home.runner(work=work))
    assert seen == ["cancel_requested", "Job asked to stop", 409, 409]


def test_cancelling_keeps_the_reason_and_may_be_repeated(api: Api, home: Home) -> None:
    api.submit(job_id="j")
    assert api.post("/jobs/j/cancel", {"reason": "not needed"}).body["job"]["state"] == "CANCELLED"
    assert api.post("/jobs/j/cancel").status == 200
    assert home.job("j").reason == "not needed"


def test_an_ended_job_is_queued_again(api: Api, home: Home) -> None:
    api.submit(job_id="j")
    assert api.post("/jobs/j/retry").status == 409
    api.post("/jobs/j/cancel")
    answer = api.post("/jobs/j/retry")
    assert (answer.status, answer.body["job"]["state"]) == (200, "CREATED")
    home.drain(home.runner(work=lambda job: 1))
    refused = api.post("/jobs/j/retry")
    assert (refused.status, refused.body["code"]) == (409, "WRONG_STATE")
    assert api.post("/jobs/j/cancel").status == 409


def test_a_new_priority_decides_who_starts_next(api: Api, home: Home) -> None:
    for name in ("a", "b"):
        api.submit(job_id=name)
    assert api.post("/jobs/b/priority", {"priority": "critical"}).body["job"]["priority"] == 10
    started: list[str] = []
    home.drain(home.runner(work=lambda job: started.append(job.id)))
    assert started == ["b", "a"]


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/jobs/j/priority", {}, "priority"),
        ("/jobs/j/priority", {"priority": 11}, "priority"),
        ("/jobs/j/priority", {"priority": 1, "x": 1}, "x"),
        ("/jobs/j/priority", None, "body"),
        ("/jobs/j/cancel", {"reason": 1}, "reason"),
        ("/jobs/j/cancel", {"reason": "x" * 501}, "reason"),
        ("/jobs/j/cancel", {"why": "x"}, "why"),
    ],
)
def test_wrong_bodies_of_actions_are_named(api: Api, path: str, body: Any, field: str) -> None:
    api.submit(job_id="j")
    answer = api.post(path, body)
    assert answer.status == 422
    assert [each["field"] for each in answer.body["details"]["errors"]] == [field]
    assert api.get("/jobs/j").body["job"]["state"] == "CREATED"


@pytest.mark.parametrize(
    ("method", "path", "body", "scope"),
    [
        ("GET", "/jobs", None, "read"),
        ("GET", "/jobs/j", None, "read"),
        ("DELETE", "/jobs/j", None, "submit"),
        ("POST", "/jobs/j/cancel", None, "submit"),
        ("POST", "/jobs/j/retry", None, "submit"),
        ("POST", "/jobs/j/priority", '{"priority": 1}', "submit"),
    ],
)
def test_each_route_needs_its_scope(api: Api, method: str, path: str, body: str | None, scope: str) -> None:
    api.submit(job_id="j")
    answer = api.by(scopes="work").call(method, path, body)
    assert (answer.status, answer.body["code"], answer.body["details"]) == (403, "FORBIDDEN", {"scope": scope})
    assert api.by(scopes="admin").call(method, path, body).status != 403
