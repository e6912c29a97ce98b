"""Jobs as rows and back. A column is named like the field it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields, make_dataclass
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar

from tidegate.domain.job import ErrorType, Failure, HardMiss, Job, Progress, Sla, State, UniquePolicy

E = TypeVar("E", bound=Enum)
Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]
_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_from_json = json.JSONDecoder().decode


def compact(value: Any) -> str:
    """JSON text without spaces."""
    return _to_json(value)


def _failures(text: str) -> tuple[Failure, ...]:
    return tuple(Failure(**{**each, "error_type": ErrorType(each["error_type"])}) for each in _from_json(text))


def _value_of(members: type[E]) -> Encode:
    """The value of a member of an enumeration, as a plain text or number: sqlite3 asks much longer about others."""
    return {member: member.value for member in members}.__getitem__


def _member(members: type[E]) -> Decode:
    """The member of an enumeration with this value. A look-up costs a third of a call of the class."""
    return {member.value: member for member in members}.__getitem__


def _enum(members: type[E]) -> tuple[Encode, Decode]:
    return _value_of(members), _member(members)


_JSON: tuple[Encode, Decode] = (compact, _from_json)
_BOOL: tuple[Encode, Decode] = (int, bool)
_TEXTS: tuple[Encode, Decode] = (lambda texts: compact(texts) if texts else None, lambda text: tuple(_from_json(text)))
_CODECS: Mapping[str, tuple[Encode, Decode]] = {
    "state": _enum(State),
    "data": _JSON,
    "result": _JSON,
    "webhook": _JSON,
    "tags": _TEXTS,
    "dependencies": _TEXTS,
    "metadata": (lambda pairs: compact(dict(pairs)) if pairs else None, _from_json),
    "progress": (lambda progress: compact(asdict(progress)), lambda text: Progress(**_from_json(text))),
    "failures": (lambda failures: compact([asdict(each) for each in failures]) if failures else None, _failures),
    "error_type": _enum(ErrorType),
    "retry_backoff": _BOOL,
    "retry_jitter": _BOOL,
    "cancel_requested": _BOOL,
    "blocked": _BOOL,
    "broken": _BOOL,
    "on_hard_miss": _enum(HardMiss),
    "sla": _enum(Sla),
    "policy": _enum(UniquePolicy),
    "counted": _BOOL,
}
"""For the fields whose column holds something else: how a value gets there and back. NULL stands for None."""
_EMPTY: Mapping[str, Callable[[], Any]] = {"tags": tuple, "dependencies": tuple, "failures": tuple, "metadata": dict}
"""What NULL stands for elsewhere."""

FIELDS = tuple(each.name for each in fields(Job))
COLUMNS = ", ".join(FIELDS)
_DECODERS = tuple((index, _CODECS[name][1]) for index, name in enumerate(FIELDS) if name in _CODECS)
_EMPTIES = tuple((index, _EMPTY[name]) for index, name in enumerate(FIELDS) if name in _EMPTY)


@cache
def encoders(names: tuple[str, ...]) -> Sequence[tuple[int, Encode]]:
    """Those of these fields whose column holds something else than they do, by their place, and what makes it."""
    return [(index, _CODECS[name][0]) for index, name in enumerate(names) if name in _CODECS]


_ENCODERS = encoders(FIELDS)
_VALUES = attrgetter(*FIELDS)
_Draft: Any = make_dataclass("_Draft", FIELDS, slots=True)
"""A job that is being filled in: its slots are those of `Job`, and it may become one."""


def row_of(job: Job) -> list[Any]:
    """The columns of a job, in the order of `COLUMNS`."""
    row = list(_VALUES(job))
    for index, encode in _ENCODERS:
        if row[index] is not None:
            row[index] = encode(row[index])
    return row


def job_of(row: Sequence[Any]) -> Job:
    """The job in a row that was selected with `COLUMNS`.

    A frozen dataclass sets each of its fields through `object`, by name: sixty of them take ten times as long as a
    draft that has the same slots, and then becomes a job.
    """
    values = list(row)
    for index, decode in _DECODERS:
        if values[index] is not None:
            values[index] = decode(values[index])
    for index, empty in _EMPTIES:
        if values[index] is None:
            values[index] = empty()
    draft = _Draft(*values)
    draft.__class__ = Job
    job: Job = draft
    return job
