"""The gate that a run puts before its nodes: the nodes that they wait for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import Join
from tidegate.domain.job import Job, Json, State
from tidegate.domain.words import listed

from .gate import NAMED, Gate, GateName


@dataclass(frozen=True, slots=True)
class Parent:
    """A node that another one waits for; `state` None where its job is not stored."""

    node: str
    job_id: str
    state: State | None

    def __str__(self) -> str:
        return f"{self.node} ({self.state or 'not stored'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is before a node in its run. Where many parents are open, only the first of them were looked at."""

    dag_id: str
    node: str
    run_state: RunState
    stopping: RunState | None = None
    join: Join = Join.ALL_ACTIVE
    join_count: int | None = None
    total: int = 0
    """Parents that the node has."""
    seen: int = 0
    """Parents that were looked at."""
    open: tuple[Parent, ...] = ()
    """Those of them that have not ended."""
    broke: tuple[Parent, ...] = ()
    """Those of them that failed, or were skipped because of a failure."""
    entries: int | None = None
    """Jobs that the node was fanned out into."""
    entries_open: int = 0


def upstream(job: Job, before: Before | None) -> Gate:
    """Whether the job waits for other nodes of its run, and for which; None where its run is gone."""
    if before is None:
        facts: dict[str, Json] = {"dag_id": job.dag_id, "node": job.node}
        return Gate(GateName.UPSTREAM, job.blocked, "it waits for a run that is not there any more", facts)
    facts = {
        "dag_id": before.dag_id,
        "node": before.node,
        "run_state": before.run_state.value,
        "join": before.join.value,
        "join_count": before.join_count,
        "parents": before.total,
        "open": len(before.open),
        "exact": before.seen == before.total,
        "waits_for": parents_view(before.open),
    }
    if before.entries is not None:
        facts |= {"entries": before.entries, "entries_open": before.entries_open}
    message = _upstream_message(before) if job.blocked else "nothing before it in its run holds it"
    return Gate(GateName.UPSTREAM, job.blocked, message, facts)


def parents_view(parents: Sequence[Parent]) -> list[dict[str, Json]]:
    """Some parents as facts."""
    return [
        {"node": each.node, "job_id": each.job_id, "state": None if each.state is None else each.state.value}
        for each in parents[:NAMED]
    ]


def _upstream_message(before: Before) -> str:
    if before.run_state is RunState.CREATED:
        return "its run is still being stored"
    if before.stopping is not None:
        return f"its run is being stopped and will be {before.stopping}"
    if before.open:
        names = [str(each) for each in before.open[:NAMED]]
        waits = f"it waits for {_nodes(len(before.open))} {listed(names, len(before.open))} of its run"
        if before.join in (Join.ANY, Join.N_OF):
            return f"{waits}, {before.join_count or 1} of which must complete"
        return waits if before.seen == before.total else f"{waits} and perhaps for more of its {before.total}"
    if before.entries is not None and before.entries_open:
        return f"it waits for {before.entries_open:,} of the {before.entries:,} jobs that it was fanned out into"
    return "all before it in its run have ended, and it is let go within moments"


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"
