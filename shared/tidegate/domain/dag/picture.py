"""A run's graph as text that other programs draw: Mermaid and DOT."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.domain.job import State

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


def mermaid(states: Mapping[str, State], edges: Sequence[tuple[str, str]]) -> str:
    """A Mermaid flowchart of nodes in the colours of their states."""
    names = {node: f"n{number}" for number, node in enumerate(states)}
    lines = ["flowchart LR"]
    lines += [f'    {names[node]}["{node}<br/>{state}"]:::{state}' for node, state in states.items()]
    lines += [f"    {names[parent]} --> {names[child]}" for parent, child in edges]
    lines += [f"    classDef {state} fill:{COLOURS[state]}" for state in sorted(set(states.values()))]
    return "\n".join(lines) + "\n"


def dot(states: Mapping[str, State], edges: Sequence[tuple[str, str]]) -> str:
    """The same for Graphviz. Node ids have no character that would need escaping."""
    lines = ["digraph run {", "    rankdir=LR; node [shape=box, style=filled];"]
    lines += [f'    "{node}" [fillcolor="{COLOURS[state]}", tooltip="{state}"];' for node, state in states.items()]
    lines += [f'    "{parent}" -> "{child}";' for parent, child in edges]
    return "\n".join([*lines, "}"]) + "\n"
