"""The routes of /schedules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import Answer, Api
from tidegate_functions.api.answers import schedules

from home import Home

ID = "0194bc2e-1c00-7000-8000-0000000000aa"


def create(api: Api, **fields: Any) -> Answer:
    body = {"name": "nightly", "expression": "0 2 * * *", "job": {"name": "work"}, **fields}
    return api.post("/schedules", {name: value for name, value in body.items() if value is not ...})


def patch(api: Api, changes: Any, ref: str = "nightly") -> Answer:
    return api.call("PATCH", f"/schedules/{ref}", json.dumps(changes))


def told(answer: Answer, operation: str, status: int = 200) -> Any:
    """The body of an answer that has its documented shape."""
    assert answer.status == status, answer.text
    schedules.ANSWERS[operation][status].model_validate_json(answer.text)
    return answer.body


def test_a_schedule_is_made_and_tells_when_it_runs(api: Api) -> None:
    body = told(create(api, timezone="America/New_York"), "create_schedule", 201)
    assert body["message"] == "Schedule created"
    assert body["schedule_id"] == body["schedule"]["id"]
    assert body["next_run"] == "2033-05-19T06:00:00.000Z"
    assert body["next_runs"][:2] == [
        {"utc": "2033-05-19T06:00:00.000Z", "local": "2033-05-19T02:00:00-04:00"},
        {"utc": "2033-05-20T06:00:00.000Z", "local": "2033-05-20T02:00:00-04:00"},
    ]
    assert len(body["next_runs"]) == 5
    for ref in ("nightly", body["schedule_id"]):
        assert told(api.get(f"/schedules/{ref}"), "get_schedule")["schedule"] == body["schedule"]


def test_everything_said_is_kept(api: Api) -> None:
    job = {
        "name": "train", "data": {"x": [1]}, "queue": "default", "priority": 8, "tags": ["a"], "metadata": {"k": "v"},
        "expire_in_seconds": 60.0, "soft_sla_seconds": 1.0, "hard_sla_seconds": 2.0, "timeout": 3.0, "retry_limit": 0,
        "retry_delay": 4.0, "retry_backoff": False, "retry_delay_max": 5.0, "retry_jitter": True,
    }  # fmt: skip
    fields = {
        "expression": "every 1h30m", "timezone": "Asia/Gaza", "enabled": False, "jitter_seconds": 6.5,
        "starts_at": "2033-06-01T00:00:00.000Z", "ends_at": "2034-06-01T00:00:00.000Z", "misfire": "run_all",
        "misfire_window_seconds": 7.0, "overlap": "queue_one",
    }  # fmt: skip
    view = told(create(api, job=job, schedule_id=ID, **fields), "create_schedule", 201)["schedule"]
    assert view["job"] == job
    assert {name: view[name] for name in fields} == fields
    assert (view["id"], view["owner"], view["job_type"], view["priority"]) == (ID, "ada", "train", 8)
    assert (view["next_run"], view["created_at"]) == (None, "2033-05-18T08:00:00.000Z")


@pytest.mark.parametrize(
    "body",
    [
        {"job": ..., "job_type": "work", "config": {"x": 1}, "expression": ..., "schedule_expr": "0 2 * * *"},
        {"job": {"job_type": "work", "config": {"x": 1}}},
        {"job": {"agent": "work", "data": {"x": 1}}},
        {"job": {"data": {"agent": "work", "x": 1}}},
        {
            "job": {"name": "work", "data": {"x": 1}},
            "job_type": "work",
            "config": {"x": 1},
            "schedule_expr": "0 2 * * *",
        },
    ],
)
def test_the_words_of_the_documents_mean_the_same(api: Api, body: dict[str, Any]) -> None:
    view = told(create(api, priority="low", **body), "create_schedule", 201)["schedule"]
    assert (view["job_type"], view["job"]["data"]["x"], view["priority"]) == ("work", 1, 0)
    assert view["expression"] == "0 2 * * *"


@pytest.mark.parametrize(
    ("said", "expression", "next_run"),
    [
        ({"expression": "@daily"}, "@daily", "2033-05-19T00:00:00.000Z"),
        ({"expression": "every 90s"}, "every 90s", "2033-05-18T08:01:30.000Z"),
        ({"every": "1d"}, "every 1d", "2033-05-19T08:00:00.000Z"),
        ({"at": "2033-05-18T12:00:00+02:00"}, "at 2033-05-18T10:00:00.000Z", "2033-05-18T10:00:00.000Z"),
        ({"expression": "at 2033-05-18T10:00:00Z"}, "at 2033-05-18T10:00:00Z", "2033-05-18T10:00:00.000Z"),
    ],
)
def test_intervals_and_single_times(api: Api, said: dict[str, str], expression: str, next_run: str) -> None:
    body = told(create(api, **{"expression": ..., **said}), "create_schedule", 201)
    assert (body["schedule"]["expression"], body["next_run"]) == (expression, next_run)


@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("expression", {"expression": "0 0 31 2 *"}),
        ("expression", {"expression": "0 0 2 * * *"}),
        ("expression", {"expression": ...}),
        ("expression", {"expression": "at 2033-05-18T07:00:00Z"}),
        ("expression", {"expression": "0 0 * * 1#2"}),
        ("expression and every", {"every": "5m"}),
        ("at", {"at": "noon", "expression": ...}),
        ("timezone", {"timezone": "Mars/Olympus"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("job", {"job": ...}),
        ("job.name", {"job": {}}),
        ("job.start_after", {"job": {"name": "w", "start_after": "2033-06-01T00:00:00Z"}}),
        ("job.job_id", {"job": {"name": "w", "job_id": "x"}}),
        ("job.queue", {"job": {"name": "w", "queue": "nowhere"}}),
        ("job.data", {"job": {"name": "w", "data": "x" * 70_000}}),
        ("priority", {"priority": 11}),
        ("misfire", {"misfire": "never"}),
        ("overlap", {"overlap": "some"}),
        ("jitter_seconds", {"jitter_seconds": 3601}),
        ("name", {"name": "a b"}),
        ("schedule_id", {"schedule_id": "mine"}),
        ("tenant", {"tenant": "zeta"}),
        ("owner", {"owner": "bob"}),
        ("next_run", {"next_run": "2033-06-01T00:00:00Z"}),
    ],
)
def test_what_breaks_a_rule_is_named(api: Api, field: str, body: dict[str, Any]) -> None:
    answer = create(api, **body)
    assert answer.status == 422, answer.text
    assert field in {each["field"] for each in answer.body["details"]["errors"]}
    assert api.get("/schedules").body["schedules"] == []


def test_names_are_taken_once_and_ids_repeat(api: Api) -> None:
    first = create(api, schedule_id=ID)
    again = told(create(api, schedule_id=ID), "create_schedule", 200)
    assert again["schedule"] == first.body["schedule"]
    assert create(api).status == 409
    assert create(api, name="other", schedule_id=ID).status == 409
    assert create(api.by(tenant="zeta")).status == 201


def test_schedules_are_listed_by_name_in_pages(api: Api, operator: Api) -> None:
    for name, enabled in (("c", True), ("a", False), ("b", True)):
        create(api, name=name, enabled=enabled)
    page = told(api.get("/schedules", "limit=2"), "list_schedules")
    assert ([each["name"] for each in page["schedules"]], page["next_cursor"]) == (["a", "b"], "b")
    rest = told(api.get("/schedules", "limit=2&cursor=b"), "list_schedules")
    assert ([each["name"] for each in rest["schedules"]], rest["next_cursor"]) == (["c"], None)
    enabled_only = told(api.get("/schedules", "enabled_only=true"), "list_schedules")
    assert [each["name"] for each in enabled_only["schedules"]] == ["b", "c"]
    assert told(operator.get("/schedules"), "list_schedules")["schedules"] == [*page["schedules"], *rest["schedules"]]
    assert told(api.by(user="bob").get("/schedules"), "list_schedules")["schedules"] == []
    for query in ("limit=0", "limit=201", "enabled_only=perhaps", "state=ACTIVE"):
        assert api.get("/schedules", query).status == 422


def test_a_change_leaves_the_rest(api: Api) -> None:
    before = create(api, job={"name": "work", "data": 1, "priority": 3}, overlap="skip").body["schedule"]
    changed = told(patch(api, {"expression": "0 3 * * *", "timezone": "Europe/Berlin"}), "patch_schedule")["schedule"]
    different = {"expression": "0 3 * * *", "timezone": "Europe/Berlin", "next_run": "2033-05-19T01:00:00.000Z"}
    assert changed == {**before, **different}
    assert told(patch(api, {"priority": "high"}), "patch_schedule")["schedule"]["job"] == {
        **before["job"],
        "priority": 8,
    }
    assert told(patch(api, {"config": None}), "patch_schedule")["schedule"]["job"]["data"] is None
    assert told(patch(api, {"job": {"name": "other"}}), "patch_schedule")["schedule"]["priority"] == 5
    assert told(patch(api, {"ends_at": None, "starts_at": None}), "patch_schedule")["schedule"]["ends_at"] is None
    for wrong in ({"expression": "0 0 30 2 *"}, {"name": "other"}, {"enabled": True}, {"job": {"name": ""}}, {"x": 1}):
        assert patch(api, wrong).status == 422, wrong


def test_disabling_enabling_deleting(api: Api) -> None:
    create(api)
    off = told(api.post("/schedules/nightly/disable", {"reason": "disks"}), "disable_schedule")["schedule"]
    assert (off["enabled"], off["next_run"], off["paused_by"], off["paused_reason"]) == (False, None, "ada", "disks")
    on = told(api.post("/schedules/nightly/enable"), "enable_schedule")["schedule"]
    assert (on["enabled"], on["next_run"], on["paused_by"]) == (True, "2033-05-19T02:00:00.000Z", None)
    told(api.call("DELETE", "/schedules/nightly"), "delete_schedule")
    assert api.get("/schedules/nightly").status == 404
    assert api.call("DELETE", "/schedules/nightly").status == 404


def test_triggering_makes_a_job_that_names_its_schedule(api: Api, home: Home) -> None:
    schedule_id = create(api).body["schedule_id"]
    body = told(api.post("/schedules/nightly/trigger"), "trigger_schedule", 201)
    assert body["job"]["metadata"] == {"schedule": "nightly", "schedule_id": schedule_id}
    assert api.get("/jobs", "metadata.schedule=nightly").body["jobs"][0]["id"] == body["job_id"]
    named = [api.post("/schedules/nightly/trigger", {"job_id": "mine"}).body["job_id"] for _ in range(2)]
    assert named == ["mine", "mine"]
    assert home.job("mine").name == "work"


def test_next_and_history(api: Api, home: Home) -> None:
    create(api, expression="every 10m")
    body = told(api.get("/schedules/nightly/next", "n=2"), "next_runs")
    assert [each["utc"] for each in body["next_runs"]] == ["2033-05-18T08:10:00.000Z", "2033-05-18T08:20:00.000Z"]
    assert told(api.get("/schedules/nightly/history"), "schedule_history")["runs"] == []
    home.clock.advance(600)
    home.tick()
    (run,) = told(api.get("/schedules/nightly/history"), "schedule_history")["runs"]
    assert (run["scheduled_for"], run["fate"], run["job"]["status"]) == ("2033-05-18T08:10:00.000Z", "fired", "pending")
    assert api.get(f"/jobs/{run['job']['id']}").body["job"]["start_after"] == "2033-05-18T08:10:00.000Z"
    api.post("/schedules/nightly/disable")
    body = told(api.get("/schedules/nightly/next"), "next_runs")
    assert (body["next_run"], len(body["next_runs"])) == (None, 5)
    for query in ("n=0", "n=101", "n=x", "m=1"):
        assert api.get("/schedules/nightly/next", query).status == 422


def test_backfill(api: Api) -> None:
    create(api)
    asked = {"from": "2033-05-01T00:00:00Z", "until": "2033-05-10T00:00:00Z", "per_minute": 4}
    body = told(api.post("/schedules/nightly/backfill", asked), "backfill_schedule", 202)
    assert (body["runs"], body["message"]) == (9, "9 past runs are being made")
    assert api.get("/jobs").body["total_count"] == 4
    view = api.get("/schedules/nightly").body["schedule"]["backfill"]
    assert view == {
        "next": "2033-05-05T02:00:00.000Z",
        "until": "2033-05-09T02:00:00.000Z",
        "per_minute": 4,
        "made": 4,
        "requested_by": "ada",
    }
    assert api.post("/schedules/nightly/backfill", asked).status == 409
    for wrong in ({}, {**asked, "per_minute": 0}, {**asked, "from": "2033-05-19T00:00:00Z"}, {**asked, "from_": 1}):
        assert api.post("/schedules/nightly/backfill", wrong).status in (409, 422), wrong


def test_all_schedules_are_paused_by_operators(api: Api, operator: Api, home: Home) -> None:
    create(api, expression="every 10m")
    assert api.post("/schedules/pause").status == 403
    assert api.post("/schedules/resume").status == 403
    hold = told(operator.post("/schedules/pause", {"reason": "new disks"}), "pause_schedules")["hold"]
    assert hold == {"by": "olga", "at": "2033-05-18T08:00:00.000Z", "reason": "new disks"}
    assert told(api.get("/schedules"), "list_schedules")["hold"] == hold
    home.clock.advance(600)
    home.tick()
    assert api.get("/jobs").body["jobs"] == []
    assert told(operator.post("/schedules/resume"), "resume_schedules")["hold"] is None
    home.clock.advance(600)
    home.tick()
    assert len(api.get("/jobs").body["jobs"]) == 1


ROUTES = [
    ("GET", "/schedules/nightly", None),
    ("PATCH", "/schedules/nightly", {"priority": 1}),
    ("DELETE", "/schedules/nightly", None),
    ("POST", "/schedules/nightly/enable", None),
    ("POST", "/schedules/nightly/disable", None),
    ("POST", "/schedules/nightly/trigger", None),
    ("POST", "/schedules/nightly/backfill", {"from": "2033-05-01T00:00:00Z", "until": "2033-05-02T00:00:00Z"}),
    ("GET", "/schedules/nightly/next", None),
    ("GET", "/schedules/nightly/history", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_nobody_touches_a_schedule_that_is_not_theirs(api: Api, method: str, path: str, body: Any) -> None:
    create(api)
    text = None if body is None else json.dumps(body)
    for other in (api.by(user="bob"), api.by(tenant="zeta", scopes="admin")):
        assert other.call(method, path, text).status == 404
    assert api.by(scopes="work").call(method, path, text).status == 403
    assert api.call(method, path, text, authorizer=None).status == 401
    assert api.by(user="olga", scopes="read submit operate").call(method, path, text).status < 300


def test_asking_again_under_an_id_shows_nobody_anothers_schedule(api: Api) -> None:
    schedule_id = "0194bc2e-1c00-7000-8000-0000000000aa"
    assert create(api, schedule_id=schedule_id).status == 201
    assert create(api, schedule_id=schedule_id).status == 200
    assert create(api.by(user="bob"), schedule_id=schedule_id).status == 409
