"""A run's graph as text that other programs draw: Mermaid and DOT."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tidegate.domain.job import Job, Ms, State

from .critical import Span, critical_path
from .run import node_of_item

COLOURS: Mapping[State, str] = {
    State.CREATED: "#e5e7eb",
    State.RETRY: "#fde68a",
    State.ACTIVE: "#93c5fd",
    State.COMPLETED: "#86efac",
    State.SKIPPED: "#f3f4f6",
    State.EXPIRED: "#fdba74",
    State.CANCELLED: "#d1d5db",
    State.FAILED: "#fca5a5",
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A run as it is drawn: its jobs, those of entries before that of their node, and its edges, parent first."""

    jobs: Sequence[Job]
    edges: Sequence[tuple[str, str]]
    critical_path: tuple[str, ...]

    @classmethod
    def of(cls, jobs: Sequence[Job], edges: Sequence[tuple[str, str]], now: Ms) -> Picture:
        """The picture of jobs as they stand now."""
        spans: dict[str, Span] = {}
        first_entry: dict[str, Ms] = {}
        for job in jobs:
            name = job.node or ""
            owner = node_of_item(name)
            if owner is None:
                spans[name] = Span.of(job, first_entry.get(name))
            elif job.started_at is not None:
                first_entry[owner] = min(job.started_at, first_entry.get(owner, job.started_at))
        return cls(jobs, edges, critical_path(spans, edges, now))

    @property
    def states(self) -> Mapping[str, State]:
        """How each node stands; entries are part of their node."""
        return {job.node or "": job.state for job in self.jobs if node_of_item(job.node or "") is None}

    @property
    def entries(self) -> Mapping[str, int]:
        """How many entries each fanned-out node has."""
        return Counter(owner for job in self.jobs if (owner := node_of_item(job.node or "")) is not None)

    @property
    def critical_edges(self) -> frozenset[tuple[str, str]]:
        """The edges along the critical path."""
        return frozenset(pairwise(self.critical_path))


def mermaid(picture: Picture) -> str:
    """A Mermaid flowchart of nodes in the colours of their states; thick arrows lead along the critical path."""
    states, entries, critical = picture.states, picture.entries, picture.critical_edges
    names = {node: f"n{number}" for number, node in enumerate(states)}
    lines = ["flowchart LR"]
    lines += [f'    {names[node]}["{_label(node, entries)}<br/>{state}"]:::{state}' for node, state in states.items()]
    lines += [f"    {names[a]} {'==>' if (a, b) in critical else '-->'} {names[b]}" for a, b in picture.edges]
    lines += [f"    classDef {state} fill:{COLOURS[state]}" for state in sorted(set(states.values()))]
    return "\n".join(lines) + "\n"


def dot(picture: Picture) -> str:
    """The same for Graphviz. Node ids have no character that would need escaping."""
    entries, critical = picture.entries, picture.critical_edges
    lines = ["digraph run {", "    rankdir=LR; node [shape=box, style=filled];"]
    lines += [
        f'    "{node}" [label="{_label(node, entries)}", fillcolor="{COLOURS[state]}", tooltip="{state}"];'
        for node, state in picture.states.items()
    ]
    lines += [f'    "{a}" -> "{b}"{" [penwidth=3]" if (a, b) in critical else ""};' for a, b in picture.edges]
    return "\n".join([*lines, "}"]) + "\n"


def _label(node: str, entries: Mapping[str, int]) -> str:
    return f"{node} ×{entries[node]}" if node in entries else node
