"""Nodes that are runs of their own: their nodes take their place, each named below them.

A node `review` with a `dag` of `read` and `judge` becomes `review/read`, `review/judge`, and `review` itself, which
waits for what nothing in it waits for and puts the results together. What the node waits for, those wait for that
wait for nothing in it. All of it is done with the request's words, before they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.domain.dag.conditions import parse_path, path_text
from tidegate.domain.dag.faults import Fault, refuse_all
from tidegate.domain.dag.run import COLLECT
from tidegate.domain.dag.spec import MAX_NODES, outside
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json
from tidegate.ports import Ports
from tidegate.service.definitions import dag_definition

MAX_DEPTH = 5
_ENTRY = ("depends_on", "join", "join_count", "when")
"""What a node says of its beginning: in its place it holds for the nodes that begin it."""
_NOT_FOR_RUNS = ("name", "job_type", "agent", "data", "definition", "for_each", "branch", "switch", "cleanup")


class Flat(NamedTuple):
    """A node as it would be written without runs in runs, and where it stands in the request."""

    place: str
    node: Any
    collects: bool = False
    """Whether it stands for the end of a run in this run."""


def flattened(nodes: Sequence[Any]) -> tuple[list[Flat], list[Fault]]:
    """All nodes of a request, those of runs within it in the place of these, and what is wrong with such runs."""
    found: list[Flat] = []
    faults: list[Fault] = []
    for index, node in enumerate(nodes):
        _expand(node, f"nodes.{index}", 0, found, faults)
        if len(found) > MAX_NODES:
            break
    return found, faults


def with_definitions(ports: Ports, tenant: str, nodes: Sequence[Any]) -> list[Any]:
    """The nodes of a request, with what runs within it take from definitions filled in. Raises one InvalidInput."""
    faults: list[Fault] = []
    found = [_defined(ports, tenant, node, f"nodes.{index}", 0, faults) for index, node in enumerate(nodes)]
    refuse_all(faults)
    return found


def _defined(ports: Ports, tenant: str, node: Any, place: str, depth: int, faults: list[Fault]) -> Any:
    inner = node.get("dag") if isinstance(node, Mapping) else None
    if not isinstance(inner, Mapping) or depth > MAX_DEPTH:
        return node
    if isinstance(inner.get("definition"), str) and not inner.get("nodes"):
        try:
            definition, data = dag_definition(ports, tenant, inner["definition"], inner.get("data") or {})
        except InvalidInput as error:
            faults += Fault.all_in(error, f"{place}.dag")
            return node
        rest = {name: value for name, value in inner.items() if name not in ("definition", "data")}
        inner = {**rest, "nodes": definition.dag["nodes"], "data": dict(data)}
    if isinstance(inner.get("nodes"), list):
        nested = enumerate(inner["nodes"])
        each = [_defined(ports, tenant, raw, f"{place}.dag.nodes.{n}", depth + 1, faults) for n, raw in nested]
        inner = {**inner, "nodes": each}
    return {**node, "dag": inner}


def _expand(node: Any, place: str, depth: int, found: list[Flat], faults: list[Fault]) -> None:
    if depth == 0:
        faults += _slash(place, node)
    if not isinstance(node, Mapping) or node.get("dag") is None:
        found.append(Flat(place, node))
        return
    wrong = list(_faults(node, place, depth))
    if wrong:
        faults += wrong
        left = {name: value for name, value in node.items() if name not in ("dag", *_NOT_FOR_RUNS)}
        found.append(Flat(place, {**left, "name": COLLECT}, collects=True))
        return
    inner = node["dag"]
    prefix = f"{_id_of(node)}/"
    for index, raw in enumerate(inner["nodes"]):
        here = f"{place}.dag.nodes.{index}"
        faults += _slash(here, raw)
        _expand(_placed(raw, prefix, node, inner.get("data")), here, depth + 1, found, faults)
    own = {name: value for name, value in node.items() if name not in (*_ENTRY, "dag")}
    found.append(Flat(place, {**own, "name": COLLECT, "depends_on": _ends(inner["nodes"], prefix)}, collects=True))


def _slash(place: str, node: Any) -> list[Fault]:
    rule = "must not contain '/', which parts the names of runs in runs"
    return [Fault(f"{place}.id", rule)] if "/" in _id_of(node) else []


def _faults(node: Mapping[str, Any], place: str, depth: int) -> Iterator[Fault]:
    inner = node["dag"]
    if depth >= MAX_DEPTH:
        yield Fault(f"{place}.dag", f"runs may be nested {MAX_DEPTH} deep")
    elif not isinstance(inner, Mapping) or set(inner) - {"nodes", "data"}:
        yield Fault(f"{place}.dag", "must be an object with nodes and data, or definition and data")
    elif not isinstance(inner.get("nodes"), list) or not inner["nodes"]:
        yield Fault(f"{place}.dag.nodes", "must be a list of at least one node")
    elif not isinstance(inner.get("data", {}), Mapping):
        yield Fault(f"{place}.dag.data", "must be a JSON object")
    for name in _NOT_FOR_RUNS:
        if node.get(name) is not None:
            yield Fault(f"{place}.{name}", "belongs to nodes that run something of their own: this one is a run")


def _placed(raw: Any, prefix: str, owner: Mapping[str, Any], data: Json) -> Any:
    """A node of a run as it stands in the run around it."""
    if not isinstance(raw, Mapping):
        return raw
    node = {**raw, "id": prefix + _id_of(raw)} if isinstance(raw.get("id"), str) else dict(raw)
    for name, rename in _RENAMED.items():
        if node.get(name) is not None:
            node[name] = rename(node[name], prefix)
    if not raw.get("depends_on"):
        node |= {name: owner[name] for name in _ENTRY if owner.get(name) is not None}
    runs_something = all(node.get(name) is None for name in ("branch", "switch", "dag"))
    if data and runs_something and isinstance(node.get("data", {}), Mapping):
        node["data"] = {**data, **node.get("data", {})}
    if data and isinstance(node.get("dag"), Mapping) and isinstance(node["dag"].get("data", {}), Mapping):
        node["dag"] = {**node["dag"], "data": {**data, **node["dag"].get("data", {})}}
    return node


def _ends(nodes: Sequence[Any], prefix: str) -> list[str]:
    """The nodes that no other of the run waits for; clean-up nodes only where there is nothing else."""
    known = [node for node in nodes if isinstance(node, Mapping)]
    before = {name for node in known for name in _list(node.get("depends_on"))}
    ends = [node for node in known if _id_of(node) not in before and not _leads_on(node)]
    lasting = [node for node in ends if not node.get("cleanup")]
    return [prefix + _id_of(node) for node in lasting or ends]


def _leads_on(node: Mapping[str, Any]) -> bool:
    return node.get("branch") is not None or node.get("switch") is not None


def _id_of(node: Any) -> str:
    named = node.get("id") if isinstance(node, Mapping) else None
    return named if isinstance(named, str) else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, str) else []


def _name(value: Any, prefix: str) -> Any:
    return prefix + value if isinstance(value, str) and outside(value) is None else value


def _names(value: Any, prefix: str) -> Any:
    return [_name(each, prefix) for each in value] if isinstance(value, list) else _name(value, prefix)


def _path(value: Any, prefix: str) -> Any:
    try:
        first, *rest = parse_path(value, "path")
    except InvalidInput:
        return value
    return path_text((_name(first, prefix), *rest))


def _condition(value: Any, prefix: str) -> Any:
    if isinstance(value, list):
        return [_condition(each, prefix) for each in value]
    if not isinstance(value, Mapping):
        return value
    if "path" in value:
        return {**value, "path": _path(value["path"], prefix)}
    return {name: _condition(part, prefix) for name, part in value.items()}


def _branch(value: Any, prefix: str) -> Any:
    if not isinstance(value, Mapping):
        return value
    cases = [
        {**case, "when": _condition(case.get("when"), prefix), "to": _names(case.get("to"), prefix)}
        if isinstance(case, Mapping)
        else case
        for case in _list(value.get("cases"))
    ]
    return {**value, "cases": cases, "default": _names(value.get("default", []), prefix)}


def _switch(value: Any, prefix: str) -> Any:
    if not isinstance(value, Mapping) or not isinstance(value.get("cases"), Mapping):
        return value
    cases = {text: _names(to, prefix) for text, to in value["cases"].items()}
    return {
        **value,
        "on": _path(value.get("on"), prefix),
        "cases": cases,
        "default": _names(value.get("default", []), prefix),
    }


_RENAMED = {
    "depends_on": _names,
    "when": _condition,
    "for_each": _path,
    "branch": _branch,
    "switch": _switch,
}
"""What in a node names other nodes."""
