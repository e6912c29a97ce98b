"""Random runs of DAGs as people ask for them: joins, conditions, switches, lists, runs in runs, other runs' nodes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tidegate_functions.api.dag_models import Asked, DagRequest, asked_of

from tidegate.domain.dag.spec import Join

from .world import World

Step = Callable[[], Mapping[str, Any]]
Other = tuple[str, Sequence[str]]
"""The id of another run, and the names of its nodes."""


def asked_for(world: World, step: Step, dag_id: str, others: Sequence[Other]) -> Asked:
    """A run of a few nodes, some of which may wait for nodes of `others`."""
    size = 2 + int(world.rng.random() * 6)
    nodes = [_node(world, step, number, size, others) for number in range(size)]
    for number, node in enumerate(nodes):
        _let_wait(world, node, nodes[:number], others)
    policy = "continue" if world.chance(0.7) else "fail_fast"
    body = {"name": "run", "nodes": nodes, "failure_policy": policy, "dag_id": dag_id}
    asked = asked_of(DagRequest.model_validate(body))
    assert not asked.faults, asked.faults
    return asked


def _node(world: World, step: Step, number: int, size: int, others: Sequence[Other]) -> dict[str, Any]:
    """A node of some kind, before it is said what it waits for."""
    draw = world.rng.random()
    if number and number + 1 < size and draw < 0.15:
        cases = {text: _later(world, number, size) for text in ("0", "1")}
        return {"id": f"n{number}", "switch": {"cases": cases, "default": _later(world, number, size)}}
    if draw < 0.27:
        within = [_job(world, step, "a"), {**_job(world, step, "b"), "depends_on": ["a"]}]
        return {"id": f"n{number}", "dag": {"nodes": within}}
    return _job(world, step, f"n{number}")


def _job(world: World, step: Step, node: str) -> dict[str, Any]:
    answer: dict[str, Any] = {"n": int(world.rng.random() * 3)}
    if world.chance(0.85):
        answer["items"] = list(range(int(world.rng.random() * 4)))
    plan = [{**step(), "answer": answer}, {"does": "work", "ms": 100, "answer": answer}]
    return {"id": node, "name": "work", "data": {"plan": plan}, "retry_limit": 2}


def _later(world: World, number: int, size: int) -> list[str]:
    return [f"n{number + 1 + int(world.rng.random() * (size - number - 1))}"]


def _let_wait(world: World, node: dict[str, Any], before: Sequence[dict[str, Any]], others: Sequence[Other]) -> None:
    """Say what a node waits for, how it joins, and what it looks at."""
    parents = [each["id"] for each in before if world.chance(0.4)][:4]
    if "switch" in node:
        parents = parents or [before[-1]["id"]]
        node["switch"]["on"] = f"$.{parents[0]}.result.n"
    inner = tuple(parents)
    if others and world.chance(0.3):
        dag_id, names = others[int(world.rng.random() * len(others))]
        parents.append(f"{dag_id}:{names[int(world.rng.random() * len(names))]}")
    if not parents:
        return
    node["depends_on"] = parents
    node["join"] = list(Join)[int(world.rng.random() * len(Join))].value
    if node["join"] == Join.N_OF:
        node["join_count"] = 1 + int(world.rng.random() * len(parents))
    if "switch" in node:
        return
    draw = world.rng.random()
    if node["join"] == Join.ALL_DONE and "dag" not in node and draw < 0.5:
        node["cleanup"] = True
    elif inner and draw < 0.3:
        node["when"] = {"path": f"$.{inner[0]}.result.n", "op": ">", "value": 0}
    elif inner and "dag" not in node and draw < 0.6:
        node["for_each"] = f"$.{inner[0]}.result.items"
