"""Random runs end as a small model says: graphs, joins, conditions, choices, fan-outs, failures, turns of work."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from home import ADMIN, Home
from tidegate.domain.dag.branches import choice_in, routed
from tidegate.domain.dag.conditions import holds, parse_condition
from tidegate.domain.dag.joins import End, Pass, decide
from tidegate.domain.dag.run import CHOOSE, Run, RunState
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.dag.validate import order_of
from tidegate.execution.context import JobContext, PermanentError
from tidegate.service.runs import cancel_run, get_run, run_progress, submit_dag

MAX_NODES = 9


@dataclass
class Plan:
    """A run, and what its handlers do: each answers its `n` and a list, or raises."""

    nodes: tuple[NodeSpec, ...]
    conditions: dict[str, Any]
    broken: set[str]
    results: dict[str, Any]
    order: list[str] = field(default_factory=list)

    def work(self, job: JobContext) -> Any:
        self.order.append(f"{job.data['node']}{job.data.get('index', '')}")
        if job.data["node"] in self.broken:
            raise PermanentError("broken")
        return self.results[job.data["node"]]

    def submit(self, home: Home, policy: FailurePolicy) -> Run:
        spec = DagSpec(name="random", nodes=self.nodes, failure_policy=policy)
        return submit_dag(home.ports, ADMIN, spec, self.conditions)[0].run


def expected(plan: Plan) -> dict[str, str]:
    """The model: nodes in order, each decided from how its parents ended and what they came to."""
    by_id = {each.id: each for each in plan.nodes}
    ends: dict[str, End] = {}
    states: dict[str, str] = {}
    seen: dict[str, Any] = {}
    for name in order_of(plan.nodes):
        node = by_id[name]
        join = Join.ALL_DONE if node.cleanup else node.join
        decision = decide(join, node.join_count, {parent: ends[parent] for parent in node.depends_on})
        result = None
        if isinstance(decision, Pass):
            states[name], ends[name] = "SKIPPED", End.BROKEN if decision.broken else End.PASSED
        elif (node.taken_by and not any(name in _taken(seen[each]) for each in node.taken_by)) or (
            node.when is not None and not holds(node.when, seen)
        ):
            states[name], ends[name] = "SKIPPED", End.PASSED
        elif _fails(plan, node, seen):
            states[name], ends[name] = "FAILED", End.BROKEN
        else:
            states[name], ends[name], result = "COMPLETED", End.DONE, _result(plan, node, seen)
        seen[name] = {"state": states[name], "result": result}
    return states


def _taken(chooser: Any) -> Any:
    return chooser["result"]["taken"] if chooser["result"] else ()


def _fails(plan: Plan, node: NodeSpec, seen: dict[str, Any]) -> bool:
    if node.choice is not None:
        return False
    if node.for_each is None:
        return node.id in plan.broken
    entries = (seen[str(node.for_each[0])]["result"] or {}).get("items") if node.for_each else None
    return entries is None or (bool(entries) and node.id in plan.broken)


def _result(plan: Plan, node: NodeSpec, seen: dict[str, Any]) -> Any:
    if node.choice is not None and node.job is not None:
        return choice_in(node.job["data"]).choose({parent: seen[parent] for parent in node.depends_on})
    return {"gathered": True} if node.for_each is not None else plan.results[node.id]


@st.composite
def plans(draw: Callable[..., Any]) -> Plan:
    size = draw(st.integers(1, MAX_NODES))
    fans: set[int] = set()
    nodes, conditions = [], {}
    for n in range(size):
        parents = sorted(draw(st.sets(st.integers(0, n - 1), max_size=4))) if n else []
        kind = draw(st.sampled_from(["job", "job", "when", "switch", "fan", "cleanup"])) if parents else "job"
        plain = [p for p in parents if p not in fans]
        kind = kind if plain or kind == "cleanup" else "job"
        join = draw(st.sampled_from(Join)) if parents and kind != "cleanup" else Join.ALL_ACTIVE
        count = draw(st.integers(1, len(parents))) if join is Join.N_OF else None
        node = NodeSpec(
            id=f"n{n}",
            job={"name": "work", "data": {"node": f"n{n}"}, "retry_limit": 0},
            depends_on=tuple(f"n{p}" for p in parents),
            join=join,
            join_count=count,
            cleanup=kind == "cleanup",
        )
        if kind == "when":
            when = {"path": f"$.n{draw(st.sampled_from(plain))}.result.n", "op": ">", "value": draw(st.integers(0, 3))}
            conditions[node.id] = when
            node = replace(node, when=parse_condition(when))
        if kind == "fan":
            node = replace(node, for_each=(f"n{draw(st.sampled_from(plain))}", "result", "items"))
        if kind == "switch" and n + 1 < size:
            fans.add(n)
            targets = st.lists(st.integers(n + 1, size - 1).map("n{}".format), min_size=1, max_size=2, unique=True)
            on = f"$.n{draw(st.sampled_from(plain))}.result.n"
            data = {"switch": {"on": on, "cases": {"1": draw(targets), "2": draw(targets)}, "default": draw(targets)}}
            node = replace(node, job={"name": CHOOSE, "data": data, "retry_limit": 0}, choice=choice_in(data))
        if kind == "fan":
            fans.add(n)
        nodes.append(node)
    names = [node.id for node in nodes]
    answers = st.fixed_dictionaries({"n": st.integers(0, 4)}, optional={"items": st.lists(st.just(1), max_size=3)})
    broken = draw(st.sets(st.sampled_from(names), max_size=3))
    return Plan(routed(nodes), conditions, broken, {name: draw(answers) for name in names})


def in_any_order(home: Home, plan: Plan, rng: random.Random, steps: int) -> None:
    runner = home.runner(work=plan.work)
    for _ in range(steps):
        home.changes() if rng.random() < 0.4 else home.serve_one(runner)


def quiet(home: Home, plan: Plan) -> None:
    runner = home.runner(work=plan.work)
    while home.drain(runner) + home.changes():
        continue


def check_what_always_holds(home: Home, plan: Plan, run: Run) -> dict[str, str]:
    """Each job once, after what it waited for; figures as a recount; every job ended. Answers the nodes' states."""
    view = get_run(home.ports, ADMIN, run.id)
    assert run_progress(home.ports, ADMIN, run.id).progress == view.progress
    states = {job.node or "": job.state.value for job in view.jobs}
    assert set(states.values()) <= {"COMPLETED", "FAILED", "SKIPPED", "CANCELLED"}
    assert view.run.state not in {RunState.CREATED, RunState.ACTIVE}
    assert max(Counter(plan.order).values(), default=1) == 1
    position = {name: number for number, name in enumerate(plan.order)}
    for node in plan.nodes:
        if node.join in {Join.ALL_ACTIVE, Join.ALL_SUCCESS, Join.ALL_DONE} and node.id in position:
            assert all(position[each] < position[node.id] for each in node.depends_on if each in position)
    return {name: state for name, state in states.items() if "[" not in name}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans(), st.integers(0, 2**32))
def test_random_runs_end_as_the_model_says(home: Home, plan: Plan, seed: int) -> None:
    """Whatever the order in which workers and change feed take turns."""
    run = plan.submit(home, FailurePolicy.CONTINUE)
    in_any_order(home, plan, random.Random(seed), 30)
    quiet(home, plan)
    states = check_what_always_holds(home, plan, run)
    assert states == expected(plan)
    ended = get_run(home.ports, ADMIN, run.id).run.state
    assert ended is (RunState.FAILED if "FAILED" in states.values() else RunState.COMPLETED)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plans(), st.integers(0, 2**32), st.integers(0, 30))
def test_random_runs_that_are_stopped_leave_nothing_open(home: Home, plan: Plan, seed: int, steps: int) -> None:
    """By their first failure, or by someone; clean-up nodes run all the same."""
    run = plan.submit(home, FailurePolicy.FAIL_FAST)
    in_any_order(home, plan, random.Random(seed), steps)
    if get_run(home.ports, ADMIN, run.id).run.state is RunState.ACTIVE:
        cancel_run(home.ports, ADMIN, run.id)
    quiet(home, plan)
    states = check_what_always_holds(home, plan, run)
    for node in plan.nodes:
        if node.cleanup and node.when is None and not node.taken_by:
            assert states[node.id] == ("FAILED" if node.id in plan.broken else "COMPLETED")
