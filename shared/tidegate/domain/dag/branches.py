"""Nodes that choose which of the nodes behind them run.

A branch looks at conditions, a switch at one value:

    {"cases": [{"when": { … }, "to": ["invoice"]}, …], "default": ["other"], "match": "first"}
    {"on": "$.classify.result.label", "cases": {"invoice": ["invoice"], "letter": ["letter"]}, "default": []}

Every node that is named waits for the one that chooses, and is skipped when none that names it takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

from .conditions import (
    MISSING,
    Condition,
    Steps,
    evidence,
    found_at,
    holds,
    nodes_in,
    parse_condition,
    parse_path,
    told,
)
from .spec import NodeSpec

MAX_CASES = 100


class Match(StrEnum):
    """Which of the cases of a branch that hold are taken."""

    FIRST = "first"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class Branch:
    """Cases in their order, each a condition and the nodes that it leads to."""

    cases: tuple[tuple[Condition, tuple[str, ...]], ...]
    default: tuple[str, ...]
    match: Match
    word: str = "branch"

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that it may lead to."""
        return tuple(dict.fromkeys([*(node for _, to in self.cases for node in to), *self.default]))

    @property
    def looks_at(self) -> frozenset[str]:
        """The upstream nodes that its cases look at."""
        return frozenset(node for condition, _ in self.cases for node in nodes_in(condition))

    def choose(self, upstream: Mapping[str, Json]) -> dict[str, Json]:
        """The branch's result: the nodes that are `taken`, and `because` of what."""
        held = [number for number, (condition, _) in enumerate(self.cases) if holds(condition, upstream)]
        chosen = held[:1] if self.match is Match.FIRST else held
        taken = list(dict.fromkeys(node for number in chosen for node in self.cases[number][1]))
        seen = [self.cases[number][0] for number in chosen] or [condition for condition, _ in self.cases]
        cases = f"case {', '.join(str(number + 1) for number in chosen)}" if chosen else "no case"
        because = f"{cases} holds: {'; '.join(dict.fromkeys(evidence(each, upstream) for each in seen[:5]))}"
        return {"taken": taken if chosen else list(self.default), "because": because}


@dataclass(frozen=True, slots=True)
class Switch:
    """One value, and the nodes that each text leads to; a number or a boolean is taken for its JSON text."""

    on: Steps
    cases: Mapping[str, tuple[str, ...]]
    default: tuple[str, ...]
    word: str = "switch"

    @property
    def targets(self) -> tuple[str, ...]:
        """All nodes that it may lead to."""
        return tuple(dict.fromkeys([*(node for to in self.cases.values() for node in to), *self.default]))

    @property
    def looks_at(self) -> frozenset[str]:
        """The upstream node that it looks at."""
        return frozenset({str(self.on[0])})

    def choose(self, upstream: Mapping[str, Json]) -> dict[str, Json]:
        """The switch's result: the nodes that are `taken`, and `because` of what."""
        found = found_at(self.on, upstream)
        text = found if isinstance(found, str) else "" if found is MISSING else json.dumps(found)
        taken = self.cases.get(text, self.default) if found is not MISSING else self.default
        return {"taken": list(taken), "because": told(self.on, found)}


def parse_branch(value: Json, place: str = "branch") -> Branch:
    """The branch in a request. Raises InvalidInput naming the place of what is wrong."""
    asked = _object(value, place, {"cases", "default", "match"})
    cases = asked.get("cases")
    if not isinstance(cases, list) or not 1 <= len(cases) <= MAX_CASES:
        raise InvalidInput.field(f"{place}.cases", f"must be a list of 1 to {MAX_CASES} cases")
    parsed = []
    for number, case in enumerate(cases):
        here = f"{place}.cases.{number}"
        fields = _object(case, here, {"when", "to"})
        parsed.append((parse_condition(fields.get("when"), f"{here}.when"), _nodes(fields.get("to"), f"{here}.to")))
    match = asked.get("match", Match.FIRST)
    if match not in list(Match):
        raise InvalidInput.field(f"{place}.match", f"must be one of {', '.join(Match)}")
    return Branch(tuple(parsed), _default(asked, place), Match(match))


def parse_switch(value: Json, place: str = "switch") -> Switch:
    """The switch in a request. Raises InvalidInput naming the place of what is wrong."""
    asked = _object(value, place, {"on", "cases", "default"})
    cases = asked.get("cases")
    if not isinstance(cases, Mapping) or not 1 <= len(cases) <= MAX_CASES:
        raise InvalidInput.field(f"{place}.cases", f"must be an object of 1 to {MAX_CASES} texts, each with its nodes")
    parsed = {text: _nodes(to, f"{place}.cases.{text[:64]}") for text, to in cases.items()}
    return Switch(parse_path(asked.get("on"), f"{place}.on"), parsed, _default(asked, place))


def choice_in(data: Json) -> Branch | Switch:
    """The branch or switch that a choosing node's job has as its data."""
    return parse_branch(data["branch"]) if "branch" in data else parse_switch(data["switch"])


def routed(nodes: Sequence[NodeSpec]) -> tuple[NodeSpec, ...]:
    """The nodes, each with those that choose it among what it depends on.

    Whoever chooses a run within the run chooses the nodes that begin it.
    """
    choosers: dict[str, list[str]] = {}
    for node in nodes:
        for target in node.choice.targets if node.choice is not None else ():
            choosers.setdefault(target, []).append(node.id)
    return tuple(_chosen_by(node, list(_choosers_of(node, choosers))) for node in nodes)


def _choosers_of(node: NodeSpec, choosers: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Those that choose the node, or a run that it begins: one that waits for something in a run does not begin it."""
    found = [*choosers.get(node.id, ())]
    for around in _runs_around(node.id):
        if any(name.startswith(f"{around}/") for name in (*node.depends_on, *found)):
            break
        found += choosers.get(around, ())
    yield from found


def _runs_around(node: str) -> Iterator[str]:
    """The names of the runs that a node is in, from the innermost."""
    while "/" in node:
        node = node.rpartition("/")[0]
        yield node


def why_not_taken(node: str, results: Mapping[str, Json]) -> str | None:
    """Why none of those that choose took a node, in words; None if one did. `results` are theirs, None for none."""
    names = {node, *_runs_around(node)}
    taken = [isinstance(each, Mapping) and not names.isdisjoint(each.get("taken", ())) for each in results.values()]
    if any(taken):
        return None
    reasons = (f"{name}: {each['because'] if each else 'it chose nothing'}" for name, each in results.items())
    return f"not taken by {'; '.join(reasons)}"


def _chosen_by(node: NodeSpec, choosers: list[str]) -> NodeSpec:
    if not choosers:
        return node
    depends_on = (*node.depends_on, *(each for each in choosers if each not in node.depends_on))
    return replace(node, depends_on=depends_on, taken_by=tuple(choosers))


def _object(value: Json, place: str, known: set[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or set(value) - known:
        raise InvalidInput.field(place, f"must be an object with {', '.join(sorted(known))} and nothing else")
    return value


def _default(asked: Mapping[str, Any], place: str) -> tuple[str, ...]:
    return _nodes(asked["default"], f"{place}.default", or_none=True) if asked.get("default") is not None else ()


def _nodes(value: Json, place: str, *, or_none: bool = False) -> tuple[str, ...]:
    found = tuple(_words(value))
    if not found and not (or_none and value == []):
        raise InvalidInput.field(place, "must be the id of a node, or a list of them")
    return found


def _words(value: Json) -> Iterator[str]:
    words = [value] if isinstance(value, str) else value
    if isinstance(words, list) and all(isinstance(word, str) for word in words):
        yield from words
