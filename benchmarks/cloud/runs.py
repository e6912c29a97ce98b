"""What runs of DAGs ask of AWS beyond what their jobs do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .stage import Stage
from .watch import Tally

WIDE = 30
"""Jobs of a wide run between its first and its last: twice as many edges."""
TRANSITIONS = 3
"""Of the state machine, for a run that ends before its deadlines: Release, Await, Close."""


def diamond() -> Mapping[str, Any]:
    """A run of four jobs and four edges."""
    return _run([("split", ()), ("left", ("split",)), ("right", ("split",)), ("merge", ("left", "right"))])


def fan(width: int) -> Mapping[str, Any]:
    """A run that fans out from one job to so many, and in to another."""
    middle = tuple(f"m{number}" for number in range(width))
    return _run([("first", ()), *((each, ("first",)) for each in middle), ("last", middle)])


def wide() -> Mapping[str, Any]:
    """A fan of `WIDE` jobs."""
    return fan(WIDE)


def live(stage: Stage, dag_id: str) -> Tally:
    """Work and change feed until a run has ended; answers what the change feed asked for."""
    feed = Tally()
    while True:
        with stage.counting() as counted:
            served = stage.work()
        changes = counted.tally.changes
        while any(table == "tidegate-jobs" for table, *_ in changes):
            with stage.counting() as recorded:
                stage.record(changes)
            feed.add(recorded.tally)
            changes = recorded.tally.changes
        if not served:
            break
        stage.let_heads_age()
    state = stage.get(f"/dags/{dag_id}")["dag"]["state"]
    assert state == "COMPLETED", state
    return feed


def _run(nodes: list[tuple[str, tuple[str, ...]]]) -> Mapping[str, Any]:
    made = [{"id": node, "name": "noop", "depends_on": list(parents)} for node, parents in nodes]
    return {"name": "bench", "nodes": made}
