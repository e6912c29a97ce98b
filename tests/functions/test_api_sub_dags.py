"""Runs within runs: their nodes stand in their place, and what comes after them finds their results."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import Api

from home import Home
from tidegate import Dag, JobContext
from tidegate.domain.dag.run import node_job_id

REVIEW: dict[str, Any] = {
    "data": {"depth": 2},
    "nodes": [
        {"id": "read", "name": "work", "data": {"what": "text"}},
        {"id": "pages", "name": "work", "depends_on": ["read"], "for_each": "$.read.result.items"},
        {"id": "route", "depends_on": ["read"], "switch": {"on": "$.read.result.kind", "cases": {"x": "judge"}}},
        {"id": "judge", "name": "work", "depends_on": ["pages"]},
        {"id": "other", "name": "work", "depends_on": ["read"], "when": {"path": "$.read.result.none", "op": "exists"}},
    ],
}
NODES: list[dict[str, Any]] = [
    {"id": "split", "name": "work"},
    {"id": "review", "depends_on": ["split"], "dag": REVIEW, "priority": "high"},
    {
        "id": "merge",
        "name": "work",
        "depends_on": ["review"],
        "when": {"path": "$.review.result.judge", "op": "exists"},
    },
]


def submit(api: Api, nodes: list[dict[str, Any]], **fields: Any) -> str:
    answer = api.post("/dags", {"name": "d", "nodes": nodes, **fields})
    assert answer.status == 201, answer.body
    return str(answer.body["dag_id"])


def finish(home: Home) -> dict[str, Any]:
    """What each node found before it, by the names that it knows."""
    found: dict[str, Any] = {}

    def work(job: JobContext) -> Any:
        found[job.record.node or ""] = sorted(job.upstream)
        return {"items": [1, 2], "kind": "x"}

    runner = home.runner(work=work)
    while home.drain(runner) + home.changes():
        continue
    return found


def states(api: Api, dag_id: str) -> dict[str, str]:
    return {node["id"]: node["state"] for node in api.get(f"/dags/{dag_id}").body["dag"]["nodes"]}


def faults(api: Api, nodes: list[Any]) -> list[str]:
    answer = api.post("/dags", {"name": "d", "nodes": nodes})
    assert answer.status == 422, answer.body
    return [error["field"] for error in answer.body["details"]["errors"]]


def test_a_run_within_a_run(api: Api, home: Home) -> None:
    dag_id = submit(api, NODES)
    found = finish(home)
    assert states(api, dag_id) == {
        "split": "COMPLETED", "review/read": "COMPLETED",
        "review/pages[0]": "COMPLETED", "review/pages[1]": "COMPLETED",
        "review/pages": "COMPLETED", "review/route": "COMPLETED", "review/judge": "COMPLETED",
        "review/other": "SKIPPED", "review": "COMPLETED", "merge": "COMPLETED",
    }  # fmt: skip
    assert found["review/read"] == ["split"]
    assert found["review/pages[0]"] == ["read"]
    assert found["review/judge"] == ["pages", "route"]
    assert found["merge"] == ["review"]
    assert home.job(node_job_id(dag_id, "review")).result == {"judge": {"items": [1, 2], "kind": "x"}}
    assert home.job(node_job_id(dag_id, "review/read")).data == {"depth": 2, "what": "text"}


def test_a_run_that_is_not_taken_is_skipped_whole(api: Api, home: Home) -> None:
    unmet = {"path": "$.split.result.none", "op": "exists"}
    nodes = [NODES[0], {**NODES[1], "when": unmet}, {"id": "last", "name": "work", "depends_on": ["split", "review"]}]
    dag_id = submit(api, nodes)
    finish(home)
    seen = states(api, dag_id)
    assert {state for node, state in seen.items() if node.startswith("review")} == {"SKIPPED"}
    assert seen["last"] == "COMPLETED"


@pytest.mark.parametrize("kind", ["x", "y"])
def test_a_switch_leads_to_a_run_or_past_it(api: Api, home: Home, kind: str) -> None:
    """Whoever chooses the run chooses what begins it; a choice within is one of its own."""
    inner = {"id": "read", "name": "work"}
    outer = {"nodes": [{"id": "in", "dag": {"nodes": [inner]}}, *REVIEW["nodes"]]}
    switch = {"on": "$.split.result.kind", "cases": {kind: "review"}, "default": "past"}
    nodes: list[dict[str, Any]] = [
        {"id": "split", "name": "work"},
        {"id": "route", "depends_on": ["split"], "switch": switch},
        {"id": "review", "dag": outer},
        {"id": "past", "name": "work"},
    ]
    dag_id = submit(api, nodes)
    finish(home)
    seen = states(api, dag_id)
    if kind == "x":
        assert seen.pop("past") == seen.pop("review/other") == "SKIPPED"
        assert set(seen.values()) == {"COMPLETED"}
        ended = {"items": [1, 2], "kind": "x"}
        assert home.job(node_job_id(dag_id, "review")).result == {"in": {"read": ended}, "judge": ended}
    else:
        assert {node for node, state in seen.items() if state == "COMPLETED"} == {"split", "route", "past"}
        reason = home.job(node_job_id(dag_id, "review/in/read")).reason
        assert reason == 'not taken by route: $.split.result.kind is "x"'


def test_a_run_that_is_not_taken_within_one_that_is_does_not_run(api: Api, home: Home) -> None:
    """The choice nearest to a node decides, also where what it does not take begins a run."""
    inner = [
        {"id": "look", "name": "work"},
        {"id": "fork", "depends_on": ["look"], "switch": {"on": "$.look.result.kind", "cases": {"y": ["deep"]}}},
        {"id": "deep", "dag": {"nodes": [{"id": "x", "name": "work"}]}},
    ]
    dag_id = submit(
        api,
        [
            {"id": "first", "name": "work"},
            {"id": "route", "depends_on": ["first"], "switch": {"on": "$.first.result.kind", "cases": {"x": ["in"]}}},
            {"id": "in", "dag": {"nodes": inner}},
        ],
    )
    finish(home)
    seen = states(api, dag_id)
    assert [seen[f"in/{node}"] for node in ("look", "fork", "deep/x", "deep")] == [*["COMPLETED"] * 2, *["SKIPPED"] * 2]
    assert "in/fork" in str(home.job(node_job_id(dag_id, "in/deep/x")).reason)


def test_runs_nest_and_come_from_definitions(api: Api, home: Home) -> None:
    operator = api.by(scopes="submit read operate")
    put = operator.call("PUT", "/definitions/inner", json.dumps({"dag": {"nodes": [{"id": "a", "name": "work"}]}}))
    assert put.status == 201
    outer = {"nodes": [{"id": "b", "dag": {"definition": "inner@1", "data": {"x": 1}}}]}
    assert operator.call("PUT", "/definitions/outer", json.dumps({"dag": outer})).status == 201
    dag_id = submit(api, [{"id": "c", "dag": {"definition": "outer", "data": {"y": 2}}}])
    finish(home)
    assert states(api, dag_id) == dict.fromkeys(["c/b/a", "c/b", "c"], "COMPLETED")
    assert home.job(node_job_id(dag_id, "c/b/a")).data == {"x": 1, "y": 2}
    assert home.job(node_job_id(dag_id, "c")).result == {"b": {"a": {"items": [1, 2], "kind": "x"}}}
    assert faults(api, [{"id": "c", "dag": {"definition": "nowhere"}}]) == ["nodes.0.dag.definition"]


@pytest.mark.parametrize(
    ("node", "field"),
    [
        ({"id": "a", "dag": {"nodes": [{"id": "b", "name": "work", "priority": 11}]}}, "nodes.0.dag.nodes.0.priority"),
        ({"id": "a", "dag": {"nodes": [{"id": "b", "name": "w", "queue": "no"}]}}, "nodes.0.dag.nodes.0.queue"),
        (
            {"id": "a", "dag": {"nodes": [{"id": "b", "name": "w", "depends_on": ["c"]}]}},
            "nodes.0.dag.nodes.0.depends_on",
        ),
        ({"id": "a", "dag": {"nodes": [{"id": "b/c", "name": "w"}]}}, "nodes.0.dag.nodes.0.id"),
        ({"id": "a/b", "name": "work"}, "nodes.0.id"),
        ({"id": "a", "dag": {"nodes": []}}, "nodes.0.dag.nodes"),
        ({"id": "a", "dag": {"nodes": [{"id": "b", "name": "w"}], "name": "x"}}, "nodes.0.dag"),
        ({"id": "a", "name": "work", "dag": {"nodes": [{"id": "b", "name": "w"}]}}, "nodes.0.name"),
        ({"id": "a", "for_each": "$.x.y", "dag": {"nodes": [{"id": "b", "name": "w"}]}}, "nodes.0.for_each"),
    ],
)
def test_what_is_wrong_within_is_told_by_its_place(api: Api, node: dict[str, Any], field: str) -> None:
    assert field in faults(api, [node])


def test_of_a_run_within_that_is_wrong_only_what_is_wrong_is_told(api: Api) -> None:
    assert faults(api, [{"id": "a", "dag": {"nodes": []}}]) == ["nodes.0.dag.nodes"]


def test_a_cycle_through_a_run_within_is_found(api: Api) -> None:
    inner = {"nodes": [{"id": "x", "name": "work"}]}
    nodes = [{"id": "a", "depends_on": ["b"], "dag": inner}, {"id": "b", "name": "work", "depends_on": ["a"]}]
    assert "a/x" in api.post("/dags", {"name": "d", "nodes": nodes}).body["message"]


def test_in_python(api: Api, home: Home) -> None:
    with Dag("inner") as inner:
        read = inner.job("work", id="read")
        inner.job("work", id="judge", after=read)
    with Dag("outer") as dag:
        first = dag.job("work", id="first")
        review = dag.run("review", inner, {"x": 1}, after=first)
        dag.job("work", id="last", when=review["judge"]["kind"].equals("x"))
    dag_id = submit(api, dag.body()["nodes"])
    finish(home)
    assert set(states(api, dag_id).values()) == {"COMPLETED"}
    assert dag.run("named", "inner@1").id == "named"
    assert dag.body()["nodes"][-1] == {"id": "named", "dag": {"definition": "inner@1"}}
