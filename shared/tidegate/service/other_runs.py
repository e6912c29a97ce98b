"""Nodes that wait for a node of another run.

The other run was there before, and what it waits for never changes: no circle can come about. It notes who waits
for it; whoever releases its nodes looks at theirs too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tidegate.domain.caller import Caller
from tidegate.domain.dag.faults import Fault
from tidegate.domain.dag.graph import Graph
from tidegate.domain.dag.run import OPEN_RUNS, Run, kept_until
from tidegate.domain.dag.spec import DagSpec, outside
from tidegate.domain.errors import NotFound, Unavailable
from tidegate.domain.job import Ms
from tidegate.ports import Ports

MAX_WAITERS = 100
_TRIES = 5


def visible_run(ports: Ports, caller: Caller, dag_id: str) -> Run:
    """A run that the caller may see. Raises NotFound."""
    run = ports.dags.get(caller.tenant, dag_id)
    if run is None or is_outlived(run, ports.now()) or (run.owner != caller.user and not caller.sees_all_users()):
        raise NotFound(f"there is no run '{dag_id}'", dag_id=dag_id)
    return run


def is_outlived(run: Run, now: Ms) -> bool:
    """Whether the time to keep a run has passed: it is as good as deleted."""
    until = kept_until(run)
    return until is not None and until <= now


def faults_of_others(ports: Ports, caller: Caller, spec: DagSpec) -> Iterator[Fault]:
    """What is wrong with the nodes of other runs that a run would wait for."""
    known: dict[str, Graph | str] = {}
    for index, node in enumerate(spec.nodes):
        for dag_id, other in filter(None, map(outside, node.depends_on)):
            if dag_id not in known:
                known[dag_id] = _graph_or_rule(ports, caller, dag_id)
            found = known[dag_id]
            if isinstance(found, str):
                yield Fault(f"{node.place or f'nodes.{index}'}.depends_on", found)
            elif other not in found.nodes():
                yield Fault(f"{node.place or f'nodes.{index}'}.depends_on", f"the run '{dag_id}' has no node '{other}'")


def wait_for_others(ports: Ports, run: Run, graph: Graph) -> None:
    """Let the runs that this one waits for know of it: they tell it of their nodes, and are kept until it has ended.

    Raises Unavailable.
    """
    for dag_id in {found[0] for name in graph.outside if (found := outside(name)) is not None}:
        _note(ports, run, dag_id)


def _note(ports: Ports, run: Run, dag_id: str) -> None:
    for _ in range(_TRIES):
        other = ports.dags.get(run.tenant, dag_id)
        if other is None or run.id in other.waiters:
            return
        waiters = (*other.waiters, run.id)[-MAX_WAITERS:]
        if ports.dags.put_if_unchanged(replace(other, waiters=waiters), other):
            return
    raise Unavailable(f"run '{dag_id}' keeps changing")


def _graph_or_rule(ports: Ports, caller: Caller, dag_id: str) -> Graph | str:
    try:
        run = visible_run(ports, caller, dag_id)
        if run.state in OPEN_RUNS and len(run.waiters) >= MAX_WAITERS:
            return f"{MAX_WAITERS} runs wait for the run '{dag_id}' already"
        return Graph.load(ports.blobs.get(run.graph_ref))
    except NotFound:
        return f"there is no run '{dag_id}'"
