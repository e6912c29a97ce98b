"""Whole runs of DAGs, in the shapes of real workflows: how long they take, every node once and in its order."""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import Table
from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.local.background import pump_changes
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
        ("shape", "nodes", "edges", "submit, s", "run, s", "nodes per s", "CPU µs a node: worker", "change feed",
         "nodes per s of CPU"),
    )  # fmt: skip
    for name, shape in SHAPES.items():
        parents = shape(nodes)
        used = _run_of(folder / name.replace(" ", "-"), parents)
        edges, count = sum(map(len, parents.values())), len(parents)
        table.add(
            name, f"{count:,}", f"{edges:,}", used.submit, used.run, round(count / used.run),
            used.worker / count * 1e6, used.feed / count * 1e6, round(count / (used.worker + used.feed)),
        )  # fmt: skip
    table.notes.append("In each, every node was seen to run once, and after all that it depends on.")
    return table


def memory(folder: Path, nodes: int) -> Table:
    """The most memory that a process had in it which let runs go to their end, one after the other."""
    table = Table("Embedded: memory of the process that takes in, runs and feeds", ("runs", "nodes in all", "most, MB"))
    for runs, each in ((1, max(1, nodes // 10)), (1, nodes), (3, nodes)):
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawned) as process:
            table.add(
                runs, f"{runs * each:,}", process.submit(_most_memory, folder / f"{runs}-{each}", runs, each).result()
            )
    table.notes.append("Layers, one run after the other, each line in a process of its own.")
    return table


@dataclass(slots=True)
class Used:
    """Seconds that a run took to be taken in and to its end; and processor time of worker and change feed."""

    submit: float = 0.0
    run: float = 0.0
    worker: float = 0.0
    feed: float = 0.0


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


def _run_of(folder: Path, parents: Parents) -> Used:
    app = runtime.embedded(folder)
    try:
        return _used(app, parents)
    finally:
        app.ports.close()


def _most_memory(folder: Path, runs: int, nodes: int) -> int:
    app = runtime.embedded(folder)
    for _ in range(runs):
        _used(app, layered(nodes))
    app.ports.close()
    status = Path("/proc/self/status").read_text()  # what getrusage tells of a child begins with its parent's
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _used(app: App, parents: Parents) -> Used:
    nodes = tuple(
        NodeSpec(id=f"n{node}", job={"name": "note", "data": node}, depends_on=tuple(f"n{each}" for each in before))
        for node, before in parents.items()
    )
    used, started = Used(), time.perf_counter()
    run, _ = submit_dag(app.ports, _CALLER, DagSpec(name="workflow", nodes=nodes), {})
    accepted = time.perf_counter()
    order = _ran(app, used)
    used.submit, used.run = accepted - started, time.perf_counter() - accepted
    _check(app, run.run.id, parents, order)
    return used


def _ran(app: App, used: Used) -> list[int]:
    """Serve tickets and hand over changes until there are none; answers the nodes in the order in which they ran."""
    order: list[int] = []

    def note(job: JobContext) -> None:
        order.append(job.data)

    runner = Runner(app.ports, {"note": Executor("note", note)}, worker_id="bench", lease_seconds=30)
    while True:
        started, served = time.process_time(), 0
        for delivery in _deliveries(app):
            runner.serve(delivery, _acknowledge(app, delivery))
            served += 1
        feeding = time.process_time()
        found = _fed(app)
        used.worker += feeding - started
        used.feed += time.process_time() - feeding
        if not found and not served:
            return order


def _fed(app: App) -> bool:
    """Hand over a batch of changes, as a server does in its turn; answers whether there was one."""
    if app.feed is None or not app.feed.read(1):
        return False
    with runtime.use(app):
        pump_changes(app.ports, app.feed)
    return True


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
