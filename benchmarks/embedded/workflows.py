"""Whole runs of DAGs, in the shapes of real workflows: how long they take, every node once and in its order."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from benchmarks.report import Table
from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.local.background import pump_all
from tidegate.ports import Delivery
from tidegate.runtime import App
from tidegate.service.runs import get_run, submit_dag

_CALLER = Caller("main", "bench", frozenset({Scope.ADMIN}))
_AT_ONCE = 200
"""Jobs served before the change feed has its turn: about a tenth of a second of a server's work."""

Parents = Mapping[int, tuple[int, ...]]


def measure(folder: Path, nodes: int) -> Table:
    """Seconds for a run of so many nodes in each shape, on one thread. Raises RuntimeError for one that went wrong."""
    table = Table(
        f"Embedded: runs of {nodes:,} nodes to their end, one thread for worker and change feed",
        ("shape", "nodes", "edges", "submit, s", "run, s", "nodes per s"),
    )
    for name, shape in SHAPES.items():
        parents = shape(nodes)
        app = runtime.embedded(folder / name.replace(" ", "-"))
        try:
            submitted, ran = _seconds(app, parents)
        finally:
            app.ports.close()
        edges = sum(map(len, parents.values()))
        table.add(name, f"{len(parents):,}", f"{edges:,}", submitted, ran, round(len(parents) / ran))
    table.notes.append("In each, every node was seen to run once, and after all that it depends on.")
    return table


def layered(nodes: int) -> Parents:
    """Layers of a hundred; each node needs two of the layer before, those of the second layer four."""
    chance, width = random.Random(1), 100
    found: dict[int, tuple[int, ...]] = {}
    for node in range(nodes):
        first = (node // width - 1) * width
        wanted = 4 if first == 0 else 2
        found[node] = tuple(chance.sample(range(first, first + width), wanted)) if first >= 0 else ()
    return found


def wide(nodes: int) -> Parents:
    """One node, then all others but one at once, then one that needs them all."""
    last = nodes - 1
    return {0: (), **dict.fromkeys(range(1, last), (0,)), last: tuple(range(1, last))}


def diamonds(nodes: int) -> Parents:
    """A chain of diamonds: one, two beside each other, one, …"""
    links: dict[int, tuple[int, ...]] = {0: ()}
    for first in range(0, nodes - 3, 3):
        links |= {first + 1: (first,), first + 2: (first,), first + 3: (first + 1, first + 2)}
    return links


SHAPES: Mapping[str, Callable[[int], Parents]] = {
    "layers": layered,
    "fan-out and fan-in": wide,
    "a chain of diamonds": diamonds,
}


def _seconds(app: App, parents: Parents) -> tuple[float, float]:
    nodes = tuple(
        NodeSpec(id=f"n{node}", job={"name": "note", "data": node}, depends_on=tuple(f"n{each}" for each in before))
        for node, before in parents.items()
    )
    started = time.perf_counter()
    run, _ = submit_dag(app.ports, _CALLER, DagSpec(name="workflow", nodes=nodes), {})
    accepted = time.perf_counter()
    order = _ran(app)
    ended = time.perf_counter()
    _check(app, run.run.id, parents, order)
    return accepted - started, ended - accepted


def _ran(app: App) -> list[int]:
    """Serve tickets and hand over changes until there are none; answers the nodes in the order in which they ran."""
    order: list[int] = []

    def note(job: JobContext) -> None:
        order.append(job.data)

    runner = Runner(app.ports, {"note": Executor("note", note)}, worker_id="bench", lease_seconds=30)
    while True:
        served = 0
        for delivery in _deliveries(app):
            runner.serve(delivery, _acknowledge(app, delivery))
            served += 1
        if not pump_all(app) and not served:
            return order


def _deliveries(app: App) -> Iterator[Delivery]:
    for _ in range(_AT_ONCE):
        if not (found := app.ports.tickets.receive("default", 1, 0)):
            return
        yield from found


def _acknowledge(app: App, delivery: Delivery) -> Callable[[Verdict], None]:
    def acknowledge(verdict: Verdict) -> None:
        if isinstance(verdict, Again):
            app.ports.tickets.again(delivery, verdict.seconds)
        else:
            app.ports.tickets.finish([delivery])

    return acknowledge


def _check(app: App, dag_id: str, parents: Parents, order: list[int]) -> None:
    place = {node: number for number, node in enumerate(order)}
    if len(order) != len(place) or set(place) != set(parents):
        raise RuntimeError(f"{len(parents)} nodes, {len(order)} attempts of {len(place)} of them")
    early = [node for node, before in parents.items() if any(place[each] > place[node] for each in before)]
    state = get_run(app.ports, _CALLER, dag_id).run.state
    if early or state is not RunState.COMPLETED:
        raise RuntimeError(f"the run is {state}, and {len(early)} nodes ran before what they depend on")
