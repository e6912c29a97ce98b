"""`/dags`: a run comes in whole, is looked at, stopped and resumed; faults are told all at once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from gateway import Api

from home import Home

DIAMOND = [
    {"id": "split", "name": "work", "data": {"n": 1}},
    {"id": "left", "name": "work", "depends_on": ["split"]},
    {"id": "right", "name": "work", "depends_on": ["split"], "priority": "high"},
    {"id": "merge", "name": "work", "depends_on": ["left", "right"]},
]


def submit(api: Api, nodes: list[dict[str, Any]] | None = None, **fields: Any) -> dict[str, Any]:
    answer = api.post("/dags", {"name": "diamond", "nodes": nodes or DIAMOND, **fields})
    assert answer.status == 201, answer.body
    return dict(answer.body)


def finish(home: Home) -> None:
    runner = home.runner(work=lambda job: {"done": job.id})
    while home.drain(runner) + home.changes():
        continue


def test_a_run_is_answered_with_its_figures(api: Api, home: Home) -> None:
    made = submit(api, tags=["nightly"], metadata={"team": "docs"})
    assert (made["success"], made["dag"]["state"], made["dag"]["tags"]) == (True, "ACTIVE", ["nightly"])
    assert made["dag"]["keep_until"] is None
    finish(home)
    dag = api.get(f"/dags/{made['dag_id']}").body["dag"]
    assert dag["state"] == "COMPLETED"
    kept = datetime.fromisoformat(dag["keep_until"]) - datetime.fromisoformat(dag["completed_at"])
    assert kept == timedelta(days=7)
    assert dag["progress"] == {"total_jobs": 4, "completed": 4, "active": 0, "failed": 0, "progress_pct": 100.0}
    assert [(node["id"], node["state"], node["depends_on"]) for node in dag["nodes"]] == [
        ("split", "COMPLETED", []),
        ("left", "COMPLETED", ["split"]),
        ("right", "COMPLETED", ["split"]),
        ("merge", "COMPLETED", ["left", "right"]),
    ]


def test_jobs_know_their_run(api: Api) -> None:
    made = submit(api)
    jobs = api.get("/jobs", query=f"dag_id={made['dag_id']}").body["jobs"]
    assert {job["node"] for job in jobs} == {"split", "left", "right", "merge"}
    assert {job["dag_id"] for job in jobs} == {made["dag_id"]}


def test_the_next_job_progress_and_list(api: Api) -> None:
    made = submit(api)
    assert api.get(f"/dags/{made['dag_id']}/next").body["job"]["node"] == "split"
    assert api.get(f"/dags/{made['dag_id']}/progress").body["progress"]["progress_pct"] == 0.0
    other = submit(api)
    listed = api.get("/dags").body
    assert [dag["id"] for dag in listed["dags"]] == [other["dag_id"], made["dag_id"]]
    first = api.get("/dags", query="limit=1&state=ACTIVE").body
    rest = api.get("/dags", query=f"limit=1&cursor={first['next_cursor']}").body
    assert [dag["id"] for dag in rest["dags"]] == [made["dag_id"]]


def test_the_picture(api: Api) -> None:
    made = submit(api)
    graph = api.get(f"/dags/{made['dag_id']}/graph").body["graph"]
    assert graph["edges"] == [["split", "left"], ["split", "right"], ["left", "merge"], ["right", "merge"]]
    assert graph["critical_path"] == []
    text = api.get(f"/dags/{made['dag_id']}/graph", query="format=mermaid").body["graph"]
    assert text.startswith("flowchart LR")
    assert '"split" -> "left"' in api.get(f"/dags/{made['dag_id']}/graph", query="format=dot").body["graph"]


def test_cancel_and_resume(api: Api, home: Home) -> None:
    made = submit(api)
    cancelled = api.post(f"/dags/{made['dag_id']}/cancel", {"reason": "enough"})
    assert cancelled.status == 200
    finish(home)
    dag = api.get(f"/dags/{made['dag_id']}").body["dag"]
    assert (dag["state"], dag["reason"]) == ("CANCELLED", "enough")
    assert api.post(f"/dags/{made['dag_id']}/resume").status == 200
    finish(home)
    assert api.get(f"/dags/{made['dag_id']}").body["dag"]["state"] == "COMPLETED"
    assert api.post(f"/dags/{made['dag_id']}/resume").status == 409


def test_all_faults_of_all_nodes_are_told(api: Api) -> None:
    nodes = [
        {"id": "a", "name": "work", "priority": 11},
        {"id": "b", "name": "work", "unknown": 1},
        {"id": "c", "name": "work", "when": {"path": "a", "op": "exists"}},
        {"name": "work"},
    ]
    answer = api.post("/dags", {"name": "d", "nodes": nodes})
    assert answer.status == 422
    fields = {error["field"] for error in answer.body["details"]["errors"]}
    assert fields == {"nodes.0.priority", "nodes.1.unknown", "nodes.2.when.path", "nodes.3.id"}


def test_what_is_wrong_with_the_run_does_not_hide_what_is_wrong_with_its_nodes(api: Api) -> None:
    """Fields of the wrong kind, unknown ones, and the nodes' own faults, queues and cycles in one answer."""
    nodes = [
        {"id": "a", "name": "work", "priority": 11},
        {"id": "b", "name": "work", "depends_on": ["c", "nowhere"]},
        {"id": "c", "name": "work", "depends_on": ["b"]},
        {"id": "d", "name": "work", "queue": "nowhere"},
        {"id": "e", "definition": "none@1"},
        {"id": "e", "name": "work", "depends_on": ["e"]},
        5,
    ]
    of_nodes = ["0.priority", "1.depends_on", "3.queue", "4.definition", "4.id", "5.id", "5.depends_on", "6.node"]
    for path in ("/dags", "/dags/validate"):
        answer = api.post(path, {"name": 5, "tags": "x", "nope": 1, "hard_sla": "soon", "nodes": nodes})
        assert answer.status == 422
        told = {error["field"]: error["rule"] for error in answer.body["details"]["errors"]}
        assert set(told) == {"name", "tags", "nope", "hard_sla", "nodes", *(f"nodes.{each}" for each in of_nodes)}
        assert told["name"] == "must be a string"
        assert told["nodes"] == "depend on one another in a cycle: b → c → b"
    answer = api.post("/dags", {"name": 5, "nodes": "none"})
    assert [error["field"] for error in answer.body["details"]["errors"]] == ["name", "nodes"]


def test_a_node_may_ask_for_nothing_that_is_tidegates_own(api: Api) -> None:
    nodes = [
        {"id": "a", "name": "tidegate.webhook"},
        {"id": "b", "name": "work", "queue": "tidegate-webhooks"},
        {"id": "c", "name": "work", "webhook": {"url": "https://10.0.0.1/x"}},
    ]
    answer = api.post("/dags", {"name": "r", "nodes": nodes})
    assert answer.status == 422
    for field in ("nodes.0.name", "nodes.1.queue", "nodes.2.webhook.url"):
        assert field in answer.text
    assert api.get("/dags").body["dags"] == []


def test_a_cycle_is_refused_and_named(api: Api) -> None:
    nodes = [{"id": "a", "name": "work", "depends_on": ["b"]}, {"id": "b", "name": "work", "depends_on": ["a"]}]
    answer = api.post("/dags", {"name": "d", "nodes": nodes})
    assert answer.status == 422
    assert "a → b → a" in answer.body["message"] or "b → a → b" in answer.body["message"]
    assert api.get("/dags").body["dags"] == []


@pytest.mark.parametrize(
    ("path", "method"),
    [("", "GET"), ("/progress", "GET"), ("/next", "GET"), ("/graph", "GET"), ("/cancel", "POST"), ("/resume", "POST")],
)
def test_an_unknown_run_is_not_found(api: Api, path: str, method: str) -> None:
    target = f"/dags/0197f2a4-0000-7000-8000-000000000000{path}"
    assert (api.get(target) if method == "GET" else api.post(target)).status == 404


def test_the_same_id_is_the_same_run(api: Api) -> None:
    dag_id = "0197f2a4-0000-7000-8000-000000000000"
    assert submit(api, dag_id=dag_id)["dag_id"] == dag_id
    assert api.post("/dags", {"name": "diamond", "nodes": DIAMOND, "dag_id": dag_id}).status == 200
    assert api.post("/dags", {"name": "other", "nodes": DIAMOND, "dag_id": dag_id}).status == 409
    assert api.post("/dags", {"name": "d", "nodes": DIAMOND, "dag_id": "mine"}).status == 422


def test_an_idempotency_key_is_one_run_of_one_user(api: Api) -> None:
    body = {"name": "diamond", "nodes": DIAMOND}
    first, again = (api.post("/dags", body, Idempotency_Key="nightly") for _ in range(2))
    assert (first.status, again.status, again.body["dag_id"]) == (201, 200, first.body["dag_id"])
    assert api.post("/dags", {**body, "name": "other"}, Idempotency_Key="nightly").status == 409
    assert api.by(user="bob").post("/dags", body, Idempotency_Key="nightly").status == 201
    assert api.post("/dags", body, Idempotency_Key="k" * 256).status == 422
    own = "0197f2a4-0000-7000-8000-000000000000"
    assert api.post("/dags", {**body, "dag_id": own}, Idempotency_Key="nightly").body["dag_id"] == own


def test_a_key_of_a_run_that_was_refused_is_free(api: Api) -> None:
    bad = {"name": "diamond", "nodes": [{"id": "a", "name": "work", "queue": "nowhere"}]}
    assert api.post("/dags", bad, Idempotency_Key="k").status == 422
    assert api.post("/dags", {"name": "diamond", "nodes": DIAMOND}, Idempotency_Key="k").status == 201


def test_words_graph_and_jobs_are_judged_in_one_error(api: Api) -> None:
    nodes = [
        {"id": "a", "name": "work", "priority": 11, "depends_on": ["b"]},
        {"id": "b", "name": "work", "depends_on": ["a", "nowhere"], "queue": "nowhere"},
    ]
    for path in ("/dags", "/dags/validate"):
        answer = api.post(path, {"name": "", "nodes": nodes, "dag_id": "mine", "tags": [""]})
        assert answer.status == 422
        told = [(error["field"], error["rule"]) for error in answer.body["details"]["errors"]]
        assert [field for field, _ in told] == [
            "dag_id", "name", "tags", "nodes.0.priority", "nodes.1.depends_on", "nodes", "nodes.1.queue",
        ]  # fmt: skip
        assert "a → b → a" in dict(told)["nodes"] or "b → a → b" in dict(told)["nodes"]
    assert api.get("/dags").body["dags"] == []


def test_a_run_is_checked_without_being_submitted(api: Api) -> None:
    answer = api.post("/dags/validate", {"name": "diamond", "nodes": DIAMOND})
    assert (answer.status, answer.body["dag"]) == (200, {"nodes": 4, "edges": 4, "depth": 3})
    assert api.get("/dags").body["dags"] == []
    assert api.get("/jobs").body["jobs"] == []


def test_a_run_that_branches(api: Api, home: Home) -> None:
    nodes: list[dict[str, Any]] = [
        {"id": "split", "name": "work"},
        {"id": "route", "depends_on": ["split"], "switch": {"on": "$.split.state", "cases": {"COMPLETED": "left"}}},
        {
            "id": "fork",
            "depends_on": ["split"],
            "branch": {"cases": [{"when": {"path": "$.split.result.none", "op": "exists"}, "to": ["right"]}]},
        },
        {"id": "left", "name": "work"},
        {"id": "right", "name": "work"},
    ]
    made = submit(api, nodes)
    finish(home)
    dag = api.get(f"/dags/{made['dag_id']}").body["dag"]
    assert {node["id"]: node["state"] for node in dag["nodes"]} == {
        "split": "COMPLETED", "route": "COMPLETED", "fork": "COMPLETED", "left": "COMPLETED", "right": "SKIPPED",
    }  # fmt: skip
    assert dag["nodes"][4]["depends_on"] == ["fork"]
    assert dag["nodes"][4]["reason"] == "not taken by fork: no case holds: $.split.result.none is not there"


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ({"switch": {"on": "$.a.result", "cases": {"x": "nowhere"}}}, "switch"),
        ({"switch": {"on": "$.b.result", "cases": {"x": "a"}}}, "switch"),
        ({"switch": {"on": "result", "cases": {"x": "a"}}}, "switch.on"),
        ({"switch": {"on": "$.a", "cases": {}}}, "switch.cases"),
        ({"switch": {"on": "$.a", "cases": {"x": []}}}, "switch.cases.x"),
        ({"switch": {"on": "$.a", "cases": {"x": "a"}, "default": 1}}, "switch.default"),
        ({"switch": {"on": "$.a", "cases": {"x": "a"}, "else": 1}}, "switch"),
        ({"switch": {"on": "$.a", "cases": {"x": "a"}}, "name": "work"}, "name"),
        ({"switch": {"on": "$.a", "cases": {"x": "a"}}, "branch": {}}, "switch"),
        ({"branch": {"cases": []}}, "branch.cases"),
        ({"branch": {"cases": [{"to": "a"}]}}, "branch.cases.0.when"),
        ({"branch": {"cases": [{"when": {"path": "$.a", "op": "~"}, "to": "a"}]}}, "branch.cases.0.when.op"),
        ({"branch": {"cases": [{"when": {"path": "$.a", "op": "exists"}}]}}, "branch.cases.0.to"),
        ({"branch": {"cases": [{"when": {"path": "$.a", "op": "exists"}, "to": "a"}], "match": "x"}}, "branch.match"),
        ({"name": "tidegate.choose", "data": {}}, "name"),
    ],
)
def test_what_is_wrong_with_a_choice_is_told_by_its_place(api: Api, node: dict[str, Any], field: str) -> None:
    nodes = [{"id": "a", "name": "work"}, {"id": "b", "depends_on": ["a"], **node}]
    answer = api.post("/dags", {"name": "d", "nodes": nodes})
    assert answer.status == 422
    assert f"nodes.1.{field}" in [error["field"] for error in answer.body["details"]["errors"]]


def test_a_choice_that_leads_back_is_a_cycle(api: Api) -> None:
    switch = {"on": "$.a.result", "cases": {"again": "a"}}
    nodes = [{"id": "a", "name": "work"}, {"id": "b", "depends_on": ["a"], "switch": switch}]
    assert "in a cycle" in api.post("/dags", {"name": "d", "nodes": nodes}).body["message"]


def test_a_picture_of_a_run_that_waits_for_another(api: Api, home: Home) -> None:
    first = submit(api)["dag_id"]
    made = submit(api, [{"id": "a", "name": "work", "depends_on": [f"{first}:merge"]}])["dag_id"]
    finish(home)
    graph = api.get(f"/dags/{made}/graph").body["graph"]
    assert (graph["edges"], graph["critical_path"]) == ([], ["a"])
    assert api.get(f"/dags/{made}").body["dag"]["nodes"][0]["depends_on"] == [f"{first}:merge"]


def test_deadlines_of_a_run_are_kept_and_told(api: Api, home: Home) -> None:
    made = submit(api, soft_sla="2033-05-18T08:00:10Z", hard_sla="2033-05-18T08:00:20Z")
    assert made["dag"]["soft_sla"] == "2033-05-18T08:00:10.000Z"
    home.clock.advance(10)
    home.tick()
    late = api.get(f"/dags/{made['dag_id']}").body["dag"]
    assert (late["state"], late["warned_at"], late["resumed"]) == ("ACTIVE", "2033-05-18T08:00:10.000Z", 0)
    home.clock.advance(10)
    home.tick()
    expired = api.get(f"/dags/{made['dag_id']}").body["dag"]
    assert (expired["state"], expired["reason"]) == ("EXPIRED", "its hard deadline passed")
    assert api.post(f"/dags/{made['dag_id']}/resume").body["dag"]["resumed"] == 1


def test_a_hard_deadline_before_the_soft_one_is_refused(api: Api) -> None:
    sla = {"soft_sla": "2033-05-18T08:00:20Z", "hard_sla": "2033-05-18T08:00:10Z"}
    answer = api.post("/dags", {"name": "d", "nodes": DIAMOND, **sla})
    assert (answer.status, answer.body["details"]["errors"][0]["field"]) == (422, "hard_sla")
