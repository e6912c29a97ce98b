"""Whole runs of DAGs as people have them: submitted over HTTP to a server, which feeds two worker processes."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.report import Table

from .http import Server
from .workflows import SHAPES, Parents

_WORKERS = 2
_LOOK_SECONDS = 0.1
_SHARE: Mapping[str, int] = {"a chain of diamonds": 10}
"""Shapes that are measured at a tenth of the size: what counts there is how long a step takes."""
_HANDLERS = """
from tidegate import executor


@executor("note")
def note(job):
    return None
"""


def measure(folder: Path, nodes: int) -> Table:
    """Seconds to the end of a run in each shape, seen from outside. Raises RuntimeError for one that failed."""
    table = Table(
        f"Embedded: the same over HTTP, one server with its change feed and {_WORKERS} worker processes",
        ("shape", "nodes", "steps", "submit, s", "run, s", "nodes per s", "ms a step", "CPU µs a node"),
    )
    handlers = folder / "handlers.py"
    handlers.write_text(_HANDLERS)
    serve = ["-m", "tidegate", "serve", "--data", str(folder / "tidegate"), "--port", "0"]
    server = Server("tidegate", [*serve, "--workers", str(_WORKERS), "--handlers", str(handlers)], folder)
    try:
        _run(server, SHAPES["layers"](100))  # until the workers have started
        for name, shape in SHAPES.items():
            parents = shape(nodes // _SHARE.get(name, 1))
            used = server.session.cpu()
            submitted, ran = _run(server, parents)
            used, count, steps = server.session.cpu() - used, len(parents), _steps(parents)
            rate, cpu = round(count / ran), used / count * 1e6
            table.add(name, f"{count:,}", f"{steps:,}", submitted, ran, rate, ran / steps * 1e3, cpu)
    finally:
        server.session.stop()
    table.notes.append("Steps: the nodes of the longest path. Processor time is that of the server and its workers.")
    return table


def _run(server: Server, parents: Parents) -> tuple[float, float]:
    nodes = [
        {"id": f"n{node}", "name": "note", "data": node, "depends_on": [f"n{each}" for each in before]}
        for node, before in parents.items()
    ]
    started = time.monotonic()
    server.post("/dags", {"name": "workflow", "nodes": nodes})
    accepted = time.monotonic()
    while (state := _state(server)) in {"CREATED", "ACTIVE"}:
        time.sleep(_LOOK_SECONDS)
    if state != "COMPLETED":
        raise RuntimeError(f"the run is {state}")
    return accepted - started, time.monotonic() - accepted


def _state(server: Server) -> str:
    (newest,) = json.loads(server.get("/dags?limit=1"))["dags"]
    return str(newest["state"])


def _steps(parents: Parents) -> int:
    depth: dict[int, int] = {}
    for node, before in parents.items():
        depth[node] = 1 + max((depth[each] for each in before), default=0)
    return max(depth.values())
