"""What is wrong with a run, all of it at once, before anything is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from tidegate.domain.spec import MAX_TASK_TOKEN

from .conditions import nodes_in
from .faults import Fault, refuse_all
from .spec import MAX_EDGES, MAX_NODES, NODE_ID_RULE, DagSpec, Join, NodeSpec, is_node_id, outside


def check_dag(spec: DagSpec, before: Sequence[Fault] = (), after: Sequence[Fault] = ()) -> None:
    """Raises one InvalidInput naming every fault of the run, each with its place.

    `before` and `after` are faults that were found elsewhere. Where a field is known to be wrong, what else would be
    said of it here is left out.
    """
    known = {fault.place for fault in before}
    found = [Fault(*each) for each in _faults(spec)]
    refuse_all([*before, *(fault for fault in found if fault.place not in known), *after])


def order_of(nodes: Sequence[NodeSpec]) -> tuple[str, ...]:
    """Node ids so that each comes after all that it depends on; what is in a cycle, or behind one, is left out."""
    known = {node.id for node in nodes}
    waiting = {node.id: len(known.intersection(node.depends_on)) for node in nodes}
    children = children_of(nodes)
    ready = [node.id for node in nodes if not waiting[node.id]]
    for node_id in ready:
        for child in children[node_id]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    return tuple(ready)


def extent_of(nodes: Sequence[NodeSpec]) -> Mapping[str, int]:
    """How large a graph without cycles is: `nodes`, `edges`, and `depth`, the number of nodes in its longest chain."""
    parents = {node.id: node.depends_on for node in nodes}
    depths: dict[str, int] = {}
    for node_id in order_of(nodes):
        depths[node_id] = 1 + max((depths[parent] for parent in parents[node_id] if parent in parents), default=0)
    return {"nodes": len(nodes), "edges": sum(map(len, parents.values())), "depth": max(depths.values())}


def children_of(nodes: Sequence[NodeSpec]) -> Mapping[str, tuple[str, ...]]:
    """Which nodes depend on each node, in the order of the nodes."""
    found: dict[str, list[str]] = {node.id: [] for node in nodes}
    for node in nodes:
        for parent in dict.fromkeys(node.depends_on):
            if parent in found:
                found[parent].append(node.id)
    return {node_id: tuple(children) for node_id, children in found.items()}


def cycle_in(nodes: Sequence[NodeSpec]) -> tuple[str, ...] | None:
    """The ids of one cycle, the first one again at the end; None if there is none.

    What is left after taking away, again and again, every node without parents has only nodes with a parent
    that is left: walking from parent to parent must come round.
    """
    sorted_ids = set(order_of(nodes))
    parents = {node.id: node.depends_on for node in nodes if node.id not in sorted_ids}
    if not parents:
        return None
    walk: dict[str, None] = {}
    here = next(iter(parents))
    while here not in walk:
        walk[here] = None
        here = next(parent for parent in parents[here] if parent in parents)
    path = list(walk)
    loop = [*path[path.index(here) :], here]
    return tuple(reversed(loop))


def _faults(spec: DagSpec) -> Iterator[tuple[str, str]]:
    if not 1 <= len(spec.nodes) <= MAX_NODES:
        yield "nodes", f"must be 1 to {MAX_NODES}, not {len(spec.nodes)}"
        return
    edges = sum(len(node.depends_on) for node in spec.nodes)
    if edges > MAX_EDGES:
        yield "nodes", f"may have at most {MAX_EDGES} dependencies together, not {edges}"
        return
    known = Counter(node.id for node in spec.nodes)
    for index, node in enumerate(spec.nodes):
        yield from _node_faults(node.place or f"nodes.{index}", node, known)
    if spec.soft_sla is not None and spec.hard_sla is not None and spec.hard_sla < spec.soft_sla:
        yield "hard_sla", "must not be before soft_sla"
    if spec.task_token is not None and not 0 < len(spec.task_token) <= MAX_TASK_TOKEN:
        yield "task_token", f"must have 1 to {MAX_TASK_TOKEN} characters"
    if cycle := cycle_in(_told_apart(spec.nodes)):
        yield "nodes", f"depend on one another in a cycle: {' → '.join(cycle)}"


def _told_apart(nodes: Sequence[NodeSpec]) -> Sequence[NodeSpec]:
    """The nodes, the first of each name, without those that they wait for to be themselves: that is told already."""
    return [
        replace(node, depends_on=tuple(each for each in node.depends_on if each != node.id))
        if node.id in node.depends_on
        else node
        for node in {node.id: node for node in reversed(nodes)}.values()
    ][::-1]


def _node_faults(place: str, node: NodeSpec, known: Counter[str]) -> Iterator[tuple[str, str]]:
    if not is_node_id(node.id) and (node.id or node.job is not None):  # of one that could not be read that is told
        yield f"{place}.id", NODE_ID_RULE
    if known[node.id] > 1:
        yield f"{place}.id", f"'{node.id}' names {known[node.id]} nodes"
    if len(set(node.depends_on)) != len(node.depends_on):
        yield f"{place}.depends_on", "names a node twice"
    for parent in dict.fromkeys(node.depends_on):
        if parent == node.id:
            yield f"{place}.depends_on", f"'{node.id}' depends on itself"
        elif parent not in known and outside(parent) is None:
            yield f"{place}.depends_on", f"there is no node '{parent}'"
    yield from _join_faults(place, node)
    yield from _reference_faults(place, node, known)


def _reference_faults(place: str, node: NodeSpec, known: Counter[str]) -> Iterator[tuple[str, str]]:
    """Conditions look at what the node depends on; what it chooses is there."""
    looked_at = {
        "when": nodes_in(node.when) if node.when is not None else set(),
        "for_each": {str(step) for step in (node.for_each or ())[:1]},
    }
    if node.choice is not None:
        looked_at[node.choice.word] = set(node.choice.looks_at)
        for target in node.choice.targets:
            if target not in known:
                yield f"{place}.{node.choice.word}", f"there is no node '{target}'"
    for field, names in looked_at.items():
        for named in sorted(names - set(node.depends_on)):
            yield f"{place}.{field}", f"'{named}' is not among the nodes it depends on"


def _join_faults(place: str, node: NodeSpec) -> Iterator[tuple[str, str]]:
    parents = len(node.depends_on)
    if node.join is Join.N_OF:
        if node.join_count is None or not 1 <= node.join_count <= parents:
            yield f"{place}.join_count", f"must be from 1 to {parents}, the number of nodes it depends on"
    elif node.join_count is not None:
        yield f"{place}.join_count", f"belongs to the join {Join.N_OF}"
    if node.join is not Join.ALL_ACTIVE and not parents:
        yield f"{place}.join", "needs depends_on"
