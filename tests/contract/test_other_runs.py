"""A node that waits for a node of another run, through the deployed functions: API, worker, change feed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from benchmarks.cloud.runs import live
from benchmarks.cloud.stage import Stage

from support.aws import Cloud


@pytest.fixture(autouse=True)
def own_executors() -> None:
    """The stage's handlers are loaded once, and stay registered."""


@pytest.fixture(scope="module")
def stage(aws: Cloud) -> Stage:
    return Stage(aws)


def submitted(stage: Stage, *nodes: Mapping[str, Any]) -> str:
    return str(stage.post("/dags", {"name": "d", "failure_policy": "continue", "nodes": nodes})["dag_id"])


def nodes_of(stage: Stage, dag_id: str) -> Mapping[str, Any]:
    return {node["id"]: node for node in stage.get(f"/dags/{dag_id}")["dag"]["nodes"]}


def test_it_is_released_by_the_end_of_that_node_and_sees_its_result(stage: Stage) -> None:
    """While the other run goes on: its last node has not run when all of the second has."""
    first = submitted(
        stage, {"id": "a", "name": "noop"}, {"id": "b", "name": "noop", "depends_on": ["a"], "priority": 0}
    )
    met = {"path": f"$['{first}:a'].result", "op": "==", "value": 1}
    second = submitted(
        stage,
        {"id": "y", "name": "noop", "depends_on": [f"{first}:a"], "when": met, "priority": 10},
        {"id": "z", "name": "noop", "depends_on": ["y"], "priority": 10},
    )
    with stage.counting() as counted:
        stage.work()
    assert (nodes_of(stage, first)["a"]["state"], nodes_of(stage, second)["y"]["state"]) == ("COMPLETED", "CREATED")
    for _ in range(2):
        changes = counted.tally.changes
        with stage.counting() as counted:
            stage.record(changes)
            stage.work()
    stage.record(counted.tally.changes)
    assert {node["state"] for node in nodes_of(stage, second).values()} == {"COMPLETED"}
    assert stage.get(f"/dags/{second}")["dag"]["state"] == "COMPLETED"
    assert stage.get(f"/dags/{first}/graph")["graph"]["nodes"]


def test_it_is_skipped_with_the_reason_when_that_node_fails(stage: Stage) -> None:
    first = submitted(stage, {"id": "a", "name": "nobody", "retry_limit": 0})
    second = submitted(stage, {"id": "x", "name": "noop"}, {"id": "y", "name": "noop", "depends_on": [f"{first}:a"]})
    with pytest.raises(AssertionError, match="FAILED"):
        live(stage, second)
    found = nodes_of(stage, second)
    assert (found["x"]["state"], found["y"]["state"]) == ("COMPLETED", "SKIPPED")
    why = stage.get(f"/jobs/{found['y']['job_id']}/why")
    assert f"{first}:a" in str(why)


def test_a_node_that_is_not_there_is_refused_by_its_place(stage: Stage) -> None:
    first = submitted(stage, {"id": "a", "name": "noop"})
    nowhere = "0197f2a4-0000-7000-8000-000000000000"
    for name, rule in ((f"{first}:b", "has no node 'b'"), (f"{nowhere}:a", "there is no run")):
        with pytest.raises(AssertionError, match=f"nodes.0.depends_on.*{rule}"):
            submitted(stage, {"id": "y", "name": "noop", "depends_on": [name]})
