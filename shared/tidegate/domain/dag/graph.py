"""A run's graph as it is stored: who waits for whom, and how."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tidegate.domain.job import Json

from .conditions import Condition, Steps, nodes_in, parse_condition
from .spec import DagSpec, Join
from .validate import children_of


@dataclass(frozen=True, slots=True)
class Vertex:
    """One node of the graph."""

    depends_on: tuple[str, ...]
    join: Join
    join_count: int | None
    when: Condition | None
    for_each: Steps | None
    taken_by: tuple[str, ...]
    cleanup: bool

    @property
    def looks_at(self) -> frozenset[str]:
        """The parents that have to have ended before it can be said whether the node starts."""
        conditions = nodes_in(self.when) if self.when is not None else frozenset()
        listed = {str(step) for step in (self.for_each or ())[:1]}
        return frozenset({*conditions, *listed, *self.taken_by})


class Graph:
    """The graph of one run; never changes once the run is stored."""

    def __init__(self, stored: Mapping[str, Any]) -> None:
        self.stored = stored

    @classmethod
    def of(cls, spec: DagSpec, conditions: Mapping[str, Json]) -> Graph:
        """The graph of a valid spec; `conditions` are the `when`s of its nodes as they were sent."""
        nodes = {
            node.id: {
                "depends_on": list(node.depends_on),
                "join": node.join.value,
                "join_count": node.join_count,
                "when": conditions.get(node.id),
                "for_each": None if node.for_each is None else list(node.for_each),
                "taken_by": list(node.taken_by),
                "cleanup": node.cleanup,
            }
            for node in spec.nodes
        }
        children = {node_id: list(found) for node_id, found in children_of(spec.nodes).items() if found}
        return cls({"nodes": nodes, "children": children})

    @classmethod
    def load(cls, content: bytes) -> Graph:
        """The graph in a blob."""
        return cls(json.loads(content))

    def dump(self) -> bytes:
        """The blob of the graph."""
        return json.dumps(self.stored, separators=(",", ":")).encode()

    @cached_property
    def _vertices(self) -> dict[str, Vertex]:
        return {}

    def vertex(self, node: str) -> Vertex:
        """A node, parsed when first asked for."""
        found = self._vertices.get(node)
        if found is None:
            stored = self.stored["nodes"][node]
            found = self._vertices[node] = Vertex(
                depends_on=tuple(stored["depends_on"]),
                join=Join(stored["join"]),
                join_count=stored["join_count"],
                when=None if stored["when"] is None else parse_condition(stored["when"]),
                for_each=None if stored["for_each"] is None else tuple(stored["for_each"]),
                taken_by=tuple(stored["taken_by"]),
                cleanup=stored["cleanup"],
            )
        return found

    def __len__(self) -> int:
        return len(self.stored["nodes"])

    def children(self, node: str) -> tuple[str, ...]:
        """The nodes that depend on a node."""
        return tuple(self.stored["children"].get(node, ()))

    def nodes(self) -> Iterator[str]:
        """All node ids, in the order they were sent."""
        return iter(self.stored["nodes"])

    def roots(self) -> list[str]:
        """The nodes that depend on nothing, or on nodes of other runs alone."""
        nodes = self.stored["nodes"]
        return [node for node, stored in nodes.items() if not any(each in nodes for each in stored["depends_on"])]

    def edges(self) -> list[tuple[str, str]]:
        """Its edges, parent first; those from other runs are left out."""
        nodes = self.stored["nodes"]
        return [(each, node) for node, stored in nodes.items() for each in stored["depends_on"] if each in nodes]

    @cached_property
    def outside(self) -> dict[str, list[str]]:
        """The nodes of other runs that some node depends on, each with those that do."""
        found: dict[str, list[str]] = {}
        nodes = self.stored["nodes"]
        for node, stored in nodes.items():
            for name in stored["depends_on"]:
                if name not in nodes:
                    found.setdefault(name, []).append(node)
        return found
