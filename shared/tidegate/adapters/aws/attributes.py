"""Dataclasses as DynamoDB items and back: an attribute is named like the field it holds.

A field's annotation decides how its value is stored; None is an absent attribute. JSON values are kept
as text, so that what was sent comes back the same (DynamoDB has no floats, and empty keys are refused).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, asdict, fields
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.job import ErrorType, Failure, HardMiss, Progress, Sla, State, UniquePolicy
from tidegate.domain.priority import Ordering

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

AttributeValue = dict[str, Any]
Item = dict[str, AttributeValue]

_SMALLEST = 1e-99
"""DynamoDB keeps no number nearer to zero than 1e-130; a smaller duration than this one is none."""


class _Codec(NamedTuple):
    type: str
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


def _number(value: float) -> str:
    return repr(value) if abs(value) >= _SMALLEST else "0"


def _dump_json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _dump_texts(values: Any) -> list[AttributeValue]:
    return [{"S": value} for value in values]


def _load_texts(values: list[AttributeValue]) -> tuple[str, ...]:
    return tuple(value["S"] for value in values)


def _dump_progress(progress: Progress) -> Item:
    return {"fraction": {"N": _number(progress.fraction)}, "message": {"S": progress.message}}


def _load_progress(item: Item) -> Progress:
    return Progress(float(item["fraction"]["N"]), item["message"]["S"])


def _dump_failures(failures: tuple[Failure, ...]) -> str:
    return _dump_json([asdict(failure) for failure in failures])


def _load_failures(text: str) -> tuple[Failure, ...]:
    return tuple(Failure(**{**each, "error_type": ErrorType(each["error_type"])}) for each in json.loads(text))


_TEXT = _Codec("S", str, str)
_WHOLE = _Codec("N", str, int)
_FLOAT = _Codec("N", _number, float)

_BY_ANNOTATION: Mapping[str, _Codec] = {
    "str": _TEXT,
    "int": _WHOLE,
    "Ms": _WHOLE,
    "float": _FLOAT,
    "bool": _Codec("BOOL", bool, bool),
    "Json": _Codec("S", _dump_json, json.loads),
    "State": _Codec("S", str, State),
    "UniquePolicy": _Codec("S", str, UniquePolicy),
    "ErrorType": _Codec("S", str, ErrorType),
    "Ordering": _Codec("S", str, Ordering),
    "HardMiss": _Codec("S", str, HardMiss),
    "Sla": _Codec("N", lambda sla: str(int(sla)), lambda number: Sla(int(number))),
    "RunState": _Codec("S", str, RunState),
    "FailurePolicy": _Codec("S", str, FailurePolicy),
    "tuple[str, ...]": _Codec("L", _dump_texts, _load_texts),
    "frozenset[str]": _Codec("L", lambda values: _dump_texts(sorted(values)), lambda av: frozenset(_load_texts(av))),
    "Mapping[str, str]": _Codec(
        "M",
        lambda pairs: {key: {"S": value} for key, value in pairs.items()},
        lambda item: {key: value["S"] for key, value in item.items()},
    ),
    "Progress": _Codec("M", _dump_progress, _load_progress),
    "tuple[Failure, ...]": _Codec("S", _dump_failures, _load_failures),
}

T = TypeVar("T", bound="DataclassInstance")


class Shape(Generic[T]):
    """How one dataclass is stored.

    Attributes that equal their field's default are left out where `sparse`: an item stays under 1 KB, which
    is one write unit. `always` names fields that are stored nevertheless.
    """

    def __init__(self, kind: type[T], *, sparse: bool, always: frozenset[str] = frozenset()) -> None:
        declared = fields(kind)
        self._kind = kind
        self._codecs = {each.name: _codec(each) for each in declared}
        self.names = tuple(self._codecs)
        self.defaults: Mapping[str, Any] = {each.name: _default(each) for each in declared if _has_default(each)}
        self._absent = {name: default for name, default in self.defaults.items() if sparse and name not in always}

    def dump(self, value: T) -> Item:
        """The attributes of `value`."""
        attributes = ((name, self.attribute(name, getattr(value, name))) for name in self._codecs)
        return {name: attribute for name, attribute in attributes if attribute is not None}

    def load(self, item: Item) -> T:
        """The value in `item`; attributes that are no fields are passed over."""
        return self._kind(
            **{name: codec.load(item[name][codec.type]) for name, codec in self._codecs.items() if name in item}
        )

    def attribute(self, name: str, value: Any) -> AttributeValue | None:
        """One field's value as stored; None where it is stored as an absent attribute."""
        if value is None or (name in self._absent and value == self._absent[name]):
            return None
        codec = self._codecs[name]
        return {codec.type: codec.dump(value)}


def _codec(each: Field[Any]) -> _Codec:
    return _BY_ANNOTATION[str(each.type).removesuffix(" | None")]


def _has_default(each: Field[Any]) -> bool:
    return each.default is not MISSING or each.default_factory is not MISSING


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()
