"""Runs of DAGs in histories: who submits them, and what must hold of them at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tidegate.adapters.sqlite.dags import SqliteDags
from tidegate.adapters.sqlite.registry import SqliteFigures
from tidegate.domain.dag.run import BROKEN, OPEN_RUNS, node_job_id, outcome_of
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.job import Ms
from tidegate.ports import JobKey
from tidegate.service import looks, release, runs
from tidegate.service.record_changes import run_series

from .cast import CALLER, Cast
from .clients import Api, operator

Step = Callable[[], Mapping[str, Any]]


def come_in(cast: Cast, step: Step, within: Ms) -> None:
    """A few runs are submitted; without an answer the same request is repeated, or not."""
    for remembered in (release._graphs, looks._open, looks._reached):
        remembered.clear()  # type: ignore[attr-defined]
    api = Api(cast)
    for _ in range(1 + int(cast.world.rng.random() * 2)):
        spec = _spec(cast, step)
        cast.watch.book.specs[spec.dag_id or ""] = spec
        tries = 1 + int(cast.world.rng.random() * 6)
        cast.visit(_submission(cast, api, spec, tries), within)


def runs_are_watched(cast: Cast) -> bool:
    """Whether somebody still watches over a run."""
    return bool(cast.watch.book.specs) and bool(SqliteDags(cast.store.database).watched(None, 1))


def faults_at_the_end(cast: Cast) -> Iterator[str]:
    """What is wrong with the runs of a history that has come to rest."""
    dags, figures = SqliteDags(cast.store.database), SqliteFigures(cast.store.database)
    jobs = cast.watch.jobs()
    for dag_id, spec in cast.watch.book.specs.items():
        run = dags.get(CALLER.tenant, dag_id)
        if run is None:
            continue  # its request never came through
        nodes = [jobs[key] for node in spec.nodes if (key := _key(dag_id, node.id)) in jobs]
        states = Counter(job.state.value for job in nodes)
        counted = {state: n for state, n in figures.read(CALLER.tenant, run_series(dag_id)).items() if n}
        if counted != dict(states):
            yield f"run {dag_id}: counted {counted}, recounted {dict(states)}"
        if run.state in OPEN_RUNS:
            yield f"run {dag_id} is still {run.state}"
        elif len(nodes) == len(spec.nodes):
            outcome = outcome_of(run, {**states, BROKEN: sum(job.broken for job in nodes)})
            if run.state is not outcome:
                yield f"run {dag_id} is {run.state} where {outcome} is due: {dict(states)}"


def _key(dag_id: str, node: str) -> JobKey:
    return JobKey(CALLER.tenant, node_job_id(dag_id, node))


def _submission(cast: Cast, api: Api, spec: DagSpec, tries: int) -> Callable[[], None]:
    def submit() -> None:
        if operator(cast, api, lambda ports: runs.submit_dag(ports, CALLER, spec, {}), tries):
            cast.watch.answered |= {_key(spec.dag_id or "", node.id) for node in spec.nodes}

    return submit


def _spec(cast: Cast, step: Step) -> DagSpec:
    """A random graph of a few nodes with all kinds of joins."""
    world, rng = cast.world, cast.world.rng
    nodes: list[NodeSpec] = []
    for number in range(2 + int(rng.random() * 6)):
        parents = tuple(f"n{each}" for each in range(number) if world.chance(0.4))[:4]
        join = list(Join)[int(rng.random() * len(Join))] if parents else Join.ALL_ACTIVE
        nodes.append(
            NodeSpec(
                id=f"n{number}",
                job={"name": "work", "data": {"plan": [step(), {"does": "work", "ms": 100}]}, "retry_limit": 2},
                depends_on=parents,
                join=join,
                join_count=1 + int(rng.random() * len(parents)) if join is Join.N_OF else None,
                cleanup=bool(parents) and join is Join.ALL_DONE and world.chance(0.5),
            )
        )
    policy = FailurePolicy.CONTINUE if world.chance(0.7) else FailurePolicy.FAIL_FAST
    return DagSpec(name="run", nodes=tuple(nodes), failure_policy=policy, dag_id=_next_id(cast))


def _next_id(cast: Cast) -> str:
    """A UUIDv7 of the time in the history."""
    stamp = f"{cast.world.now:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7000-8000-{len(cast.watch.book.specs):012x}"
