"""Random runs end as a small model says.

Graphs, joins, conditions, choices, fan-outs, runs within runs, nodes of another run, failures, turns of work.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tidegate_functions.api.dag_models import DagRequest, asked_of

from home import ADMIN, Home
from tidegate.domain.dag.joins import End, Pass, decide
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join
from tidegate.execution.context import JobContext, PermanentError
from tidegate.service.runs import cancel_run, get_run, run_progress, submit_dag

MAX_NODES, MAX_WITHIN, MAX_DEPTH = 7, 3, 2
OTHER = "@:"
"""Begins the names of nodes of another run, whose id is known only when it was submitted."""


@dataclass(frozen=True)
class Begin:
    """What a node waits for, how it joins, and whose `n` must be above a number, or whose list it takes."""

    parents: tuple[str, ...] = ()
    join: Join = Join.ALL_ACTIVE
    count: int | None = None
    looks_at: str = ""
    above: int | None = None


@dataclass(frozen=True)
class Node:
    """A node as people write it: names are those of the run that it is written in."""

    id: str
    kind: str = "job"
    begin: Begin = Begin()
    cases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inner: tuple[Node, ...] = ()

    def asked(self, prefix: str) -> dict[str, Any]:
        """The node in a request."""
        begin = self.begin
        made: dict[str, Any] = {"id": self.id, "depends_on": list(begin.parents), "join": begin.join.value}
        made |= {} if begin.count is None else {"join_count": begin.count}
        path = f"$['{begin.looks_at}'].result"
        if begin.above is not None:
            made["when"] = {"path": f"{path}.n", "op": ">", "value": begin.above}
        if self.kind == "switch":
            cases = {text: list(to) for text, to in self.cases.items() if text}
            return {**made, "switch": {"on": f"{path}.n", "cases": cases, "default": list(self.cases[""])}}
        if self.kind == "run":
            return {**made, "dag": {"nodes": [each.asked(f"{prefix}{self.id}/") for each in self.inner]}}
        job = {"name": "work", "data": {"node": prefix + self.id}, "retry_limit": 0}
        extras: dict[str, dict[str, Any]] = {"fan": {"for_each": f"{path}.items"}, "cleanup": {"cleanup": True}}
        return {**made, **job, **extras.get(self.kind, {})}


@dataclass
class Plan:
    """A run, perhaps another one before it, and what the handlers do: each answers its `n` and a list, or raises."""

    nodes: tuple[Node, ...]
    other: tuple[Node, ...]
    broken: set[str]
    results: dict[str, Any]
    order: list[str] = field(default_factory=list)
    spec: DagSpec | None = None

    def work(self, job: JobContext) -> Any:
        self.order.append(f"{job.data['node']}{job.data.get('index', '')}")
        if job.data["node"] in self.broken:
            raise PermanentError("broken")
        return self.results[job.data["node"]]

    def submit(self, home: Home, policy: FailurePolicy) -> Run:
        """Submit both runs; answers the one that may wait for the other."""
        before = self._submit(home, self.other, OTHER, "", FailurePolicy.CONTINUE).id if self.other else ""
        return self._submit(home, self.nodes, "", before, policy)

    def _submit(self, home: Home, nodes: Sequence[Node], prefix: str, before: str, policy: FailurePolicy) -> Run:
        body = {"name": "random", "failure_policy": policy.value, "nodes": [each.asked(prefix) for each in nodes]}
        told = _named(body, before)
        asked = asked_of(DagRequest.model_validate(told))
        assert not asked.faults, asked.faults
        self.spec = asked.spec
        return submit_dag(home.ports, ADMIN, asked.spec, asked.conditions)[0].run


def _named(value: Any, before: str) -> Any:
    """A request with the other run's id in the names of its nodes; what handlers are told stays."""
    if isinstance(value, list):
        return [_named(each, before) for each in value]
    if isinstance(value, dict):
        return {name: part if name == "data" else _named(part, before) for name, part in value.items()}
    return value.replace(OTHER, f"{before}:") if isinstance(value, str) and before else value


@dataclass
class Model:
    """How each node ends, by its full name: decided in order from how those before it ended and what they came to."""

    plan: Plan
    ends: dict[str, End] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)

    def run(self, nodes: Sequence[Node], prefix: str, around: Begin, takers: Sequence[str]) -> None:
        """A run, or one within it: what begins it begins as `around` says, where one of the `takers` takes it."""
        for node in nodes:
            name, own = prefix + node.id, [prefix + each.id for each in nodes if node.id in _targets(each)]
            begin, choosers = _full(node.begin, prefix), own
            if not node.begin.parents:
                begin, choosers = around, own or list(takers)
            if node.kind != "run":
                self._decide(node, name, begin, choosers)
                continue
            self.run(node.inner, f"{name}/", begin, choosers)
            lasting = tuple(f"{name}/{each.id}" for each in _lasting(node.inner))
            self._decide(node, name, Begin(lasting), own)

    def _decide(self, node: Node, name: str, begin: Begin, choosers: Sequence[str]) -> None:
        parents = dict.fromkeys((*begin.parents, *choosers))
        join = Join.ALL_DONE if node.kind == "cleanup" else begin.join
        decision = decide(join, begin.count, {parent: self.ends[parent] for parent in parents})
        if isinstance(decision, Pass):
            self.states[name], self.ends[name] = "SKIPPED", End.BROKEN if decision.broken else End.PASSED
        elif (choosers and not any(self._takes(each, name) for each in choosers)) or self._is_unmet(begin):
            self.states[name], self.ends[name] = "SKIPPED", End.PASSED
        elif self._fails(node, name, begin):
            self.states[name], self.ends[name] = "FAILED", End.BROKEN
        else:
            self.states[name], self.ends[name] = "COMPLETED", End.DONE
            self.results[name] = self._result(node, name, begin)

    def _takes(self, chooser: str, name: str) -> bool:
        """Whether the node was chosen, or a run that it begins."""
        names = [name[: place or None] for place in (0, *(n for n, letter in enumerate(name) if letter == "/"))]
        return any(each in self.results.get(chooser, ()) for each in names)

    def _is_unmet(self, begin: Begin) -> bool:
        found = self.results.get(begin.looks_at)
        return begin.above is not None and (found is None or found["n"] <= begin.above)

    def _fails(self, node: Node, name: str, begin: Begin) -> bool:
        if node.kind != "fan":
            return node.kind not in ("switch", "run") and name in self.plan.broken
        entries = (self.results.get(begin.looks_at) or {}).get("items")
        return entries is None or (bool(entries) and name in self.plan.broken)

    def _result(self, node: Node, name: str, begin: Begin) -> Any:
        if node.kind != "switch":
            return self.plan.results.get(name)
        found = self.results.get(begin.looks_at)
        taken = node.cases.get("" if found is None else str(found["n"]), node.cases[""])
        return [name.removesuffix(node.id) + each for each in taken]


def _full(begin: Begin, prefix: str) -> Begin:
    names = [each if each.startswith(OTHER) else prefix + each for each in (*begin.parents, begin.looks_at)]
    return replace(begin, parents=tuple(names[:-1]), looks_at=names[-1])


def _targets(node: Node) -> frozenset[str]:
    return frozenset(name for to in node.cases.values() for name in to)


def _lasting(nodes: Sequence[Node]) -> Iterator[Node]:
    """The nodes of a run within a run that no other waits for; clean-up only where there is nothing else."""
    before = {parent for node in nodes for parent in node.begin.parents}
    last = [node for node in nodes if node.id not in before and node.kind != "switch"]
    return iter([node for node in last if node.kind != "cleanup"] or last)


def expected(plan: Plan) -> tuple[dict[str, str], RunState]:
    """The states of all nodes of the run, and its own."""
    model = Model(plan)
    model.run(plan.other, OTHER, Begin(), ())
    model.run(plan.nodes, "", Begin(), ())
    own = {name: state for name, state in model.states.items() if not name.startswith(OTHER)}
    return own, RunState.FAILED if any(model.ends[name] is End.BROKEN for name in own) else RunState.COMPLETED


Draw = Callable[..., Any]


def _nodes(draw: Draw, most: int, depth: int, others: Sequence[str] = ()) -> tuple[Node, ...]:
    size = draw(st.integers(1, most))
    nodes: list[Node] = []
    for n in range(size):
        known = [node.id for node in nodes]
        parents = draw(st.lists(st.sampled_from([*known, *others]), max_size=4, unique=True)) if known or others else []
        nodes.append(_node(draw, n, size, parents, {node.id for node in nodes if node.kind in NOT_PLAIN}, depth))
    return tuple(nodes)


NOT_PLAIN = ("fan", "switch", "run")
"""Kinds whose results have no `n`."""


def _node(draw: Draw, n: int, size: int, parents: Sequence[str], not_plain: set[str], depth: int) -> Node:
    plain = [each for each in parents if each not in not_plain]
    kinds = ["job", "job", *(["run"] if depth < MAX_DEPTH else []), *(["cleanup"] if parents else [])]
    kinds += ["when", "fan", *(["switch"] if n + 1 < size else [])] if plain else []
    kind = draw(st.sampled_from(kinds))
    join = draw(st.sampled_from(Join)) if parents and kind != "cleanup" else Join.ALL_ACTIVE
    count = draw(st.integers(1, len(parents))) if join is Join.N_OF else None
    looks_at = draw(st.sampled_from(plain)) if kind in ("when", "fan", "switch") else ""
    above = draw(st.integers(0, 3)) if kind == "when" else None
    begin = Begin(tuple(parents), join, count, looks_at, above)
    if kind == "run":
        if plain and draw(st.booleans()):
            begin = replace(begin, looks_at=draw(st.sampled_from(plain)), above=draw(st.integers(0, 3)))
        return Node(f"n{n}", kind, begin, inner=_nodes(draw, MAX_WITHIN, depth + 1))
    if kind == "switch":
        to = st.lists(st.integers(n + 1, size - 1).map("n{}".format), min_size=1, max_size=2, unique=True)
        return Node(f"n{n}", kind, begin, {text: tuple(draw(to)) for text in ("1", "2", "")})
    return Node(f"n{n}", "job" if kind == "when" else kind, begin)


@st.composite
def plans(draw: Draw) -> Plan:
    other = _nodes(draw, 3, MAX_DEPTH) if draw(st.booleans()) else ()
    plain = [f"{OTHER}{node.id}" for node in other if node.kind not in NOT_PLAIN]
    nodes = _nodes(draw, MAX_NODES, 0, plain)
    names = [*_names(nodes, ""), *_names(other, OTHER)]
    answers = st.fixed_dictionaries({"n": st.integers(0, 4)}, optional={"items": st.lists(st.just(1), max_size=3)})
    broken = draw(st.sets(st.sampled_from(names), max_size=3))
    return Plan(nodes, other, broken, {name: draw(answers) for name in names})


def _names(nodes: Sequence[Node], prefix: str) -> Iterator[str]:
    for node in nodes:
        yield prefix + node.id
        yield from _names(node.inner, f"{prefix}{node.id}/")


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
    for node in plan.spec.nodes if plan.spec else ():
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
    assert (states, get_run(home.ports, ADMIN, run.id).run.state) == expected(plan)


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
    for node in plan.spec.nodes if plan.spec else ():
        if node.cleanup and node.when is None and not node.taken_by:
            assert states[node.id] == ("FAILED" if node.id in plan.broken else "COMPLETED")
