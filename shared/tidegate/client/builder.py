"""Runs written in Python.

with Dag("invoices") as dag:
    pages = dag.job("split", {"document": "a.pdf"})
    texts = dag.map("extract", over=pages["pages"])
    label = dag.job("classify", after=texts)
    dag.job("book", id="invoice", when=label["label"].equals("invoice"))
client.submit_dag(dag)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

Condition = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ref:
    """A place in a node's result, known when the node has ended."""

    node: str
    path: str

    def __getitem__(self, step: str | int) -> Ref:
        """A place further in."""
        return Ref(self.node, self.path + (f"[{step}]" if isinstance(step, int) else f"['{step}']"))

    def equals(self, value: Json) -> Condition:
        """True when the value there is this one."""
        return self.test("==", value)

    def differs(self, value: Json) -> Condition:
        """True when the value there is another one, or when there is none."""
        return self.test("!=", value)

    def one_of(self, values: Iterable[Json]) -> Condition:
        """True when the value there is among these."""
        return self.test("in", list(values))

    def exists(self) -> Condition:
        """True when there is a value."""
        return {"path": self.path, "op": "exists"}

    def is_empty(self) -> Condition:
        """True when there is none, or an empty one."""
        return {"path": self.path, "op": "is_empty"}

    def test(self, op: str, value: Json) -> Condition:
        """Any comparison: == != > < >= <= in not_in contains matches."""
        return {"path": self.path, "op": op, "value": value}


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a run that is being written."""

    id: str

    def __getitem__(self, step: str | int) -> Ref:
        """A place in its result."""
        return Ref(self.id, f"$['{self.id}'].result")[step]

    @property
    def result(self) -> Ref:
        """Its whole result."""
        return Ref(self.id, f"$['{self.id}'].result")


Targets = str | Node | Iterable[str | Node]
"""Nodes that a branch or a switch leads to."""


class Dag:
    """A run, node by node. `fields` are those of `POST /dags` (failure_policy, tags, soft_sla, …)."""

    def __init__(self, name: str, **fields: Any) -> None:
        self._fields = {"name": name, **fields}
        self._nodes: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        """Nothing to give back: the `with` only shows what belongs to the run."""

    def job(
        self,
        name: str,
        data: Json = None,
        *,
        id: str | None = None,  # noqa: A002 - the name of the field
        after: Node | Iterable[Node] = (),
        when: Condition | None = None,
        **fields: Any,
    ) -> Node:
        """Add a node that runs the executor `name` after the nodes `after` and those that `when` looks at.

        `id` is the node's name in the run, else the executor's; `fields` are those of a job, `join`,
        `join_count` and `cleanup`. Raises InvalidInput for an id that another node has.
        """
        node = Node(id or name)
        if node.id in self._nodes:
            raise InvalidInput.field("id", f"'{node.id}' is another node of this run")
        parents = [after] if isinstance(after, Node) else list(after)
        depends_on = dict.fromkeys([*(parent.id for parent in parents), *_nodes_in(when)])
        given = {"data": data, "when": when, "depends_on": list(depends_on), **fields}
        body = {"id": node.id, "name": name, **{key: value for key, value in given.items() if value not in (None, [])}}
        self._nodes[node.id] = body
        return node

    def map(self, name: str, over: Ref, data: Json = None, **fields: Any) -> Node:
        """Add a node that runs once for each entry of a list in an upstream result; see `job` for `fields`.

        Each run finds its entry as `item` and its number as `index` in its data; the node's result is the list
        of theirs, in order.
        """
        after = fields.pop("after", ())
        parents = [after] if isinstance(after, Node) else list(after)
        return self.job(name, data, after=[*parents, Node(over.node)], for_each=over.path, **fields)

    def run(
        self,
        id: str,  # noqa: A002 - the name of the field
        dag: Dag | str,
        data: Mapping[str, Any] | None = None,
        *,
        after: Node | Iterable[Node] = (),
        when: Condition | None = None,
        **fields: Any,
    ) -> Node:
        """Add a run within the run: one written here, or a definition by its name or `name@version`.

        Its nodes get `data` where they do not say otherwise; its result has the results of the nodes that end it.
        """
        inner = {"definition": dag} if isinstance(dag, str) else {"nodes": dag.body()["nodes"]}
        given = {**inner, **({} if data is None else {"data": dict(data)})}
        node = self.job(id, id=id, after=after, when=when, dag=given, **fields)
        del self._nodes[node.id]["name"]
        return node

    def branch(
        self,
        id: str,  # noqa: A002 - the name of the field
        cases: Iterable[tuple[Condition, Targets]],
        *,
        default: Targets = (),
        match: str = "first",
        after: Node | Iterable[Node] = (),
        **fields: Any,
    ) -> Node:
        """Add a node that leads to the nodes of the first case that holds, of `all` that do, or to the `default`.

        Nodes may be named before they are added. Each waits for the branch, and is skipped when it is not taken.
        """
        given = list(cases)
        looked_at = {node: None for when, _ in given for node in _nodes_in(when)}
        listed = [{"when": dict(when), "to": _ids(to)} for when, to in given]
        asked = {"cases": listed, "default": _ids(default), "match": match}
        return self._choosing(id, "branch", asked, looked_at, after, fields)

    def switch(
        self,
        id: str,  # noqa: A002 - the name of the field
        on: Ref,
        cases: Mapping[str, Targets],
        *,
        default: Targets = (),
        after: Node | Iterable[Node] = (),
        **fields: Any,
    ) -> Node:
        """Add a node that leads to the nodes of the text at `on`, or to the `default`; see `branch`."""
        asked = {"on": on.path, "cases": {text: _ids(to) for text, to in cases.items()}, "default": _ids(default)}
        return self._choosing(id, "switch", asked, {on.node: None}, after, fields)

    def _choosing(
        self,
        node_id: str,
        word: str,
        asked: Mapping[str, Any],
        looked_at: Mapping[str, None],
        after: Node | Iterable[Node],
        fields: Mapping[str, Any],
    ) -> Node:
        parents = [after] if isinstance(after, Node) else list(after)
        looked_at_nodes = [Node(each) for each in looked_at]
        node = self.job(node_id, id=node_id, after=[*parents, *looked_at_nodes], **{word: asked}, **fields)
        del self._nodes[node.id]["name"]
        return node

    def body(self) -> dict[str, Any]:
        """The body of `POST /dags`."""
        return {**self._fields, "nodes": list(self._nodes.values())}


def _ids(targets: Targets) -> list[str]:
    named = [targets] if isinstance(targets, str | Node) else targets
    return [each.id if isinstance(each, Node) else each for each in named]


def _nodes_in(condition: Condition | None) -> list[str]:
    if condition is None:
        return []
    if "path" in condition:
        return [str(condition["path"]).split("'")[1]] if "['" in str(condition["path"]) else []
    parts = condition.get("all") or condition.get("any") or [condition.get("not")]
    return [node for part in parts if part for node in _nodes_in(part)]
