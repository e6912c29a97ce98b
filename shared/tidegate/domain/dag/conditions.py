"""Conditions on upstream results: data, never code.

    {"path": "$.classify.result.label", "op": "==", "value": "invoice"}
    {"all": [ … ]}   {"any": [ … ]}   {"not": … }

A path starts at the object of all upstream nodes, each with `state` and `result`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

from .patterns import Pattern

MAX_PARTS = 100
MAX_DEPTH = 10
MAX_TOLD = 60
_STEP = re.compile(r"\.(?P<name>[A-Za-z_][A-Za-z0-9_-]*)|\[(?P<index>-?\d{1,9})\]|\['(?P<quoted>[^'\\]{1,256})'\]")

Steps = tuple[str | int, ...]


class _Missing:
    """Where a path leads when there is nothing."""


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison of what a path leads to."""

    path: Steps
    op: str
    value: Json = None


@dataclass(frozen=True, slots=True)
class Group:
    """`all`, `any` or `not` of other conditions."""

    kind: str
    parts: tuple[Condition, ...]


Condition = Test | Group


def parse_condition(value: Json, place: str = "when") -> Condition:
    """The condition in a request. Raises InvalidInput naming the place of what is wrong."""
    budget = [MAX_PARTS]
    return _parse(value, place, MAX_DEPTH, budget)


def holds(condition: Condition, upstream: Mapping[str, Json]) -> bool:
    """Whether the condition is true of the upstream nodes.

    A path that leads nowhere makes every comparison false but `!=`, `not_in` and `is_empty`.
    """
    if isinstance(condition, Group):
        parts = (holds(part, upstream) for part in condition.parts)
        if condition.kind == "not":
            return not next(parts)
        return all(parts) if condition.kind == "all" else any(parts)
    return OPERATORS[condition.op](found_at(condition.path, upstream), condition.value)


def found_at(path: Steps, document: Json) -> Any:
    """What the path leads to in a document; `MISSING` when nothing is there."""
    here = document
    for step in path:
        here = _step(here, step)
        if here is MISSING:
            return MISSING
    return here


def _step(here: Json, step: str | int) -> Any:
    if isinstance(step, int):
        return here[step] if isinstance(here, list) and -len(here) <= step < len(here) else MISSING
    return here[step] if isinstance(here, Mapping) and step in here else MISSING


def evidence(condition: Condition, upstream: Mapping[str, Json]) -> str:
    """What a condition found at the paths that it looks at, for people."""
    return ", ".join(dict.fromkeys(told(path, found_at(path, upstream)) for path in _paths_in(condition)))


def told(path: Steps, found: Any) -> str:
    """What a path led to, in words: at most `MAX_TOLD` characters of the value."""
    where = path_text(path)
    if found is MISSING:
        return f"{where} is not there"
    text = json.dumps(found, ensure_ascii=False)
    return f"{where} is {text if len(text) <= MAX_TOLD else text[: MAX_TOLD - 1] + '…'}"


def path_text(path: Steps) -> str:
    """A path as it is written."""
    return "$" + "".join(f"[{step}]" if isinstance(step, int) else _named(step) for step in path)


def _named(step: str) -> str:
    return f".{step}" if _STEP.fullmatch(f".{step}") else f"['{step}']"


def _paths_in(condition: Condition) -> Iterator[Steps]:
    if isinstance(condition, Group):
        for part in condition.parts:
            yield from _paths_in(part)
    else:
        yield condition.path


def nodes_in(condition: Condition) -> set[str]:
    """The upstream nodes that the condition looks at."""
    if isinstance(condition, Group):
        return set().union(*(nodes_in(part) for part in condition.parts))
    return {str(condition.path[0])}


def parse_path(text: Json, place: str) -> Steps:
    """The steps of `$.name[0]['other name']`. Raises InvalidInput."""
    rule = "must be a path such as $.node.result.name[0]"
    if not isinstance(text, str) or not text.startswith("$") or len(text) > 1_000:
        raise InvalidInput.field(place, rule)
    steps: list[str | int] = []
    position = 1
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise InvalidInput.field(place, rule)
        steps.append(int(match["index"]) if match["index"] else match["name"] or match["quoted"])
        position = match.end()
    if not steps or not isinstance(steps[0], str):
        raise InvalidInput.field(place, rule)
    return tuple(steps)


def _parse(value: Json, place: str, depth: int, budget: list[int]) -> Condition:
    budget[0] -= 1
    if depth == 0 or budget[0] < 0:
        raise InvalidInput.field(place, f"at most {MAX_PARTS} conditions, nested at most {MAX_DEPTH} deep")
    if not isinstance(value, Mapping):
        raise InvalidInput.field(place, "must be an object")
    for kind in ("all", "any", "not"):
        if set(value) == {kind}:
            return _parse_group(kind, value[kind], f"{place}.{kind}", depth, budget)
    return _parse_test(value, place)


def _parse_group(kind: str, value: Json, place: str, depth: int, budget: list[int]) -> Group:
    parts = [value] if kind == "not" else value
    if not isinstance(parts, list) or not parts:
        raise InvalidInput.field(place, "must be a list of at least one condition")
    return Group(kind, tuple(_parse(part, f"{place}.{n}", depth - 1, budget) for n, part in enumerate(parts)))


def _parse_test(value: Mapping[str, Json], place: str) -> Test:
    unknown = set(value) - {"path", "op", "value"}
    if unknown or "path" not in value or "op" not in value:
        raise InvalidInput.field(place, "must have path and op, and value where the operator needs one, or be a group")
    path, op = parse_path(value["path"], f"{place}.path"), value["op"]
    if op not in OPERATORS:
        raise InvalidInput.field(f"{place}.op", f"must be one of {' '.join(OPERATORS)}")
    if (op in _UNARY) != ("value" not in value):
        raise InvalidInput.field(f"{place}.value", "is not for this operator" if op in _UNARY else "is missing")
    if op in {"in", "not_in"} and not isinstance(value["value"], list):
        raise InvalidInput.field(f"{place}.value", "must be a list")
    if op == "matches":
        return Test(path, op, Pattern(value["value"], f"{place}.value"))
    return Test(path, op, value.get("value"))


def _equal(found: Any, value: Json) -> bool:
    """JSON equality: 1 and 1.0 are equal, true and 1 are not."""
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    return found is not MISSING and bool(found == value)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Json], bool]:
    """A comparison of two numbers or two texts; anything else is not in order, so false."""

    def ordered(found: Any, value: Json) -> bool:
        numbers = _is_number(found) and _is_number(value)
        return (numbers or (isinstance(found, str) and isinstance(value, str))) and compare(found, value)

    return ordered


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _contains(found: Any, value: Json) -> bool:
    if isinstance(found, str):
        return isinstance(value, str) and value in found
    if isinstance(found, Mapping):
        return value in found
    return isinstance(found, list) and any(_equal(each, value) for each in found)


def _among(found: Any, values: Sequence[Json]) -> bool:
    return any(_equal(found, value) for value in values)


def _is_empty(found: Any, _: Json) -> bool:
    return found is MISSING or found is None or (isinstance(found, str | list | Mapping) and not found)


OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": _equal,
    "!=": lambda found, value: not _equal(found, value),
    ">": _ordered(lambda a, b: bool(a > b)),
    "<": _ordered(lambda a, b: bool(a < b)),
    ">=": _ordered(lambda a, b: bool(a >= b)),
    "<=": _ordered(lambda a, b: bool(a <= b)),
    "in": _among,
    "not_in": lambda found, values: not _among(found, values),
    "contains": _contains,
    "matches": lambda found, pattern: isinstance(found, str) and pattern.matches(found),
    "exists": lambda found, _: found is not MISSING,
    "is_empty": _is_empty,
}
_UNARY = frozenset({"exists", "is_empty"})
