"""The routes of /queues and /stats."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import Answer, Api
from tidegate_functions.api.wire import format_time

from home import Home
from tidegate import runtime
from tidegate.domain.queue import Queue


def put(api: Api, settings: Any, name: str = "reports", method: str = "PUT") -> Answer:
    return api.call(method, f"/queues/{name}", json.dumps(settings))


DEFAULT = {
    "name": "default",
    "pool": "default",
    "retry_limit": 3,
    "retry_delay": 2.0,
    "retry_backoff": True,
    "retry_delay_max": 86400.0,
    "retry_jitter": False,
    "timeout": 300.0,
    "expire_in_seconds": None,
    "keep_seconds": 604800.0,
    "ordering": "strict",
    "aging_seconds": 60.0,
    "age_floor_seconds": 86400.0,
    "soft_sla_seconds": None,
    "hard_sla_seconds": None,
    "on_hard_miss": "expire",
    "paused": False,
    "paused_by": None,
    "paused_reason": None,
    "created_at": None,
    "updated_at": None,
    "webhook": None,
    "slots": None,
    "key_slots": None,
    "rate_limit": None,
    "rate_period": "second",
    "max_queue_size": None,
    "timeout_retry_limit": None,
    "shards": 1,
    "shards_asked": 1,
}
UNUSED: dict[str, Any] = {
    "running": None,
    "slots": None,
    "keys": {},
    "key_slots": None,
    "starts": None,
    "rate_limit": None,
    "size": None,
    "max_queue_size": None,
}


def test_the_default_queue_always_exists(api: Api) -> None:
    assert api.get("/queues/default").body["queue"] == {**DEFAULT, "use": UNUSED}
    assert api.get("/queues").body["queues"] == [DEFAULT]


def test_a_queue_is_made_read_and_listed(operator: Api) -> None:
    made = put(operator, {"retry_limit": 5, "retry_delay": 10, "ordering": "aging", "expire_in_seconds": 60})
    assert made.status == 200
    queue = made.body["queue"]
    assert (queue["retry_limit"], queue["retry_delay"], queue["ordering"], queue["timeout"]) == (5, 10, "aging", 300)
    assert queue["created_at"] == "2033-05-18T08:00:00.000Z"
    assert operator.get("/queues/reports").body["queue"] == {**queue, "use": UNUSED}
    assert [each["name"] for each in operator.get("/queues").body["queues"]] == ["default", "reports"]


def test_putting_resets_what_is_not_given_and_patching_keeps_it(operator: Api) -> None:
    put(operator, {"retry_limit": 5, "timeout": 10, "expire_in_seconds": 60})
    patched = put(operator, {"retry_limit": 0, "expire_in_seconds": None}, method="PATCH").body["queue"]
    assert (patched["retry_limit"], patched["timeout"], patched["expire_in_seconds"]) == (0, 10, None)
    again = put(operator, {"timeout": 20}).body["queue"]
    assert (again["retry_limit"], again["timeout"]) == (3, 20)


INHERITED: dict[str, tuple[Any, Any]] = {
    "retry_limit": (1, 0),
    "retry_delay": (7, 0.5),
    "retry_backoff": (False, True),
    "retry_delay_max": (60, 120),
    "retry_jitter": (True, False),
    "timeout_retry_limit": (2, 0),
    "timeout": (30, 60),
}
"""What a queue may say, and a job otherwise."""


@pytest.mark.parametrize("name", INHERITED)
def test_a_policy_changed_at_run_time_holds_for_jobs_submitted_afterwards(operator: Api, home: Home, name: str) -> None:
    put(operator, {})
    before = operator.submit(queue="reports").body["job_id"]
    says, overridden = INHERITED[name]
    operator.call("PATCH", "/queues/reports", json.dumps({name: says}))
    after = operator.submit(queue="reports").body["job_id"]
    own = operator.submit(queue="reports", **{name: overridden}).body["job_id"]
    default = getattr(Queue(tenant="main", name="reports"), name)
    assert [getattr(home.job(job_id), name) for job_id in (before, after, own)] == [default, says, overridden]


def test_times_and_pool_of_a_queue_hold_for_jobs_submitted_afterwards(operator: Api, home: Home) -> None:
    put(operator, {})
    before = home.job(operator.submit(queue="reports").body["job_id"])
    settings = {"expire_in_seconds": 60, "keep_seconds": 5, "pool": "default"}
    operator.call("PATCH", "/queues/reports", json.dumps(settings))
    after = home.job(operator.submit(queue="reports").body["job_id"])
    assert (before.expires_at, after.expires_at) == (None, home.clock.now() + 60_000)
    assert (before.keep_seconds, after.keep_seconds) == (Queue(tenant="main", name="q").keep_seconds, 5)


@pytest.mark.parametrize(("ordering", "first"), [("strict", "high"), ("aging", "old"), ("deadline", "urgent")])
def test_the_ordering_of_a_queue_decides_who_starts_first(operator: Api, home: Home, ordering: str, first: str) -> None:
    put(operator, {"ordering": ordering, "aging_seconds": 1 if ordering == "aging" else 60})
    operator.submit(queue="reports", job_id="old", priority=3)
    home.clock.advance(10)
    operator.submit(queue="reports", job_id="high", priority=8)
    operator.submit(queue="reports", job_id="urgent", priority=3, soft_sla=format_time(home.clock.now() + 1_000))
    ran: list[str] = []
    home.drain(home.runner(work=lambda job: ran.append(job.id)))
    assert ran[0] == first


def test_a_paused_queue_starts_nothing_until_it_is_resumed(operator: Api, home: Home) -> None:
    operator.submit(job_id="j")
    paused = operator.post("/queues/default/pause", {"reason": "repairs"}).body["queue"]
    assert (paused["paused"], paused["paused_by"], paused["paused_reason"]) == (True, "olga", "repairs")
    runner = home.runner(work=lambda job: 1)
    home.drain(runner)
    assert operator.get("/jobs/j").body["job"]["status"] == "pending"
    resumed = operator.post("/queues/default/resume").body["queue"]
    assert (resumed["paused"], resumed["paused_by"], resumed["paused_reason"]) == (False, None, None)
    home.settle(runner, seconds=2)
    assert operator.get("/jobs/j").body["job"]["status"] == "completed"


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"colour": 1}, "colour"),
        ({"paused": True}, "paused"),
        ({"retry_limit": "3"}, "retry_limit"),
        ({"retry_limit": None}, "retry_limit"),
        ({"retry_limit": -1}, "retry_limit"),
        ({"timeout": 0}, "timeout"),
        ({"ordering": "random"}, "ordering"),
        ({"ordering": None}, "ordering"),
        ({"pool": "no/where"}, "pool"),
    ],
)
def test_wrong_settings_are_named_and_change_nothing(
    operator: Api, method: str, settings: dict[str, Any], field: str
) -> None:
    put(operator, {"retry_limit": 5})
    answer = put(operator, settings, method=method)
    assert answer.status == 422
    assert [each["field"] for each in answer.body["details"]["errors"]] == [field]
    assert operator.get("/queues/reports").body["queue"]["retry_limit"] == 5


def test_a_pool_that_is_not_deployed_is_refused(operator: Api, home: Home) -> None:
    """In the cloud: here any name will do."""
    assert put(operator, {"pool": "gpu"}).body["queue"]["pool"] == "gpu"
    with runtime.use(home.with_ports(pools=frozenset({"default"})).app):
        answer = put(operator, {"pool": "tpu"}, method="PATCH")
    assert (answer.status, [each["field"] for each in answer.body["details"]["errors"]]) == (422, ["pool"])
    assert operator.get("/queues/reports").body["queue"]["pool"] == "gpu"


def test_a_queue_has_a_proper_name(operator: Api) -> None:
    assert put(operator, {}, name="a b").status == 422
    assert put(operator, {}, name="-a").status == 422


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("PATCH", ""), ("POST", "/pause"), ("POST", "/resume")],
)
def test_a_queue_that_is_not_there(operator: Api, method: str, path: str) -> None:
    answer = operator.call(method, f"/queues/nowhere{path}", "{}" if method == "PATCH" else None)
    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")


def test_queues_belong_to_their_tenant(operator: Api) -> None:
    put(operator, {"retry_limit": 5})
    rival = operator.by(tenant="rival")
    assert rival.get("/queues/reports").status == 404
    assert rival.submit(queue="reports").status == 422
    assert [each["name"] for each in rival.get("/queues").body["queues"]] == ["default"]


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("GET", "/queues", "read"),
        ("GET", "/queues/default", "read"),
        ("PUT", "/queues/default", "operate"),
        ("PATCH", "/queues/default", "operate"),
        ("POST", "/queues/default/pause", "operate"),
        ("POST", "/queues/default/resume", "operate"),
        ("GET", "/stats", "read"),
    ],
)
def test_each_route_needs_its_scope(api: Api, method: str, path: str, scope: str) -> None:
    caller = api.by(scopes="read submit" if scope == "operate" else "submit")
    answer = caller.call(method, path, "{}" if method in {"PUT", "PATCH"} else None)
    assert (answer.status, answer.body["details"]) == (403, {"scope": scope})


def test_stats_count_jobs_by_state(api: Api, home: Home) -> None:
    for name in ("a", "b", "c"):
        api.submit(job_id=name)
    api.post("/jobs/c/cancel")
    home.pump()
    answer = api.get("/stats")
    assert answer.status == 200
    assert answer.body["stats"] == {
        "pending": 2,
        "running": 0,
        "completed": 0,
        "skipped": 0,
        "expired": 0,
        "cancelled": 1,
        "failed": 0,
        "total": 3,
        "states": {
            "CREATED": 2,
            "RETRY": 0,
            "ACTIVE": 0,
            "COMPLETED": 0,
            "SKIPPED": 0,
            "EXPIRED": 0,
            "CANCELLED": 1,
            "FAILED": 0,
        },
    }
    assert api.by(tenant="rival").get("/stats").body["stats"]["total"] == 0
