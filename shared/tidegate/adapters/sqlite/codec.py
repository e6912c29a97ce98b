"""Jobs as rows and back. A column is named like the field it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from enum import Enum
from operator import attrgetter
from typing import Any, TypeVar

from tidegate.domain.job import ErrorType, Failure, HardMiss, Job, Progress, Sla, State, UniquePolicy

E = TypeVar("E", bound=Enum)
Encode = Callable[[Any], Any]
Decode = Callable[[Any], Any]


def compact(value: Any) -> str:
    """JSON text without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _same(value: Any) -> Any:
    return value


def _json_or_null(value: Any) -> str | None:
    return None if value is None else compact(value)


def _load_or_none(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _failures(text: str | None) -> tuple[Failure, ...]:
    if text is None:
        return ()
    return tuple(Failure(**{**each, "error_type": ErrorType(each["error_type"])}) for each in json.loads(text))


def _member(members: type[E]) -> Callable[[Any], E | None]:
    """The member of an enumeration with this value; None for None. A look-up costs a third of a call of the class."""
    found: dict[Any, E | None] = {member.value: member for member in members}
    found[None] = None
    return found.__getitem__


_CODECS: Mapping[str, tuple[Encode, Decode]] = {
    "state": (str, _member(State)),
    "data": (_json_or_null, _load_or_none),
    "result": (_json_or_null, _load_or_none),
    "webhook": (_json_or_null, _load_or_none),
    "tags": (lambda tags: compact(tags) if tags else None, lambda text: tuple(json.loads(text)) if text else ()),
    "dependencies": (lambda ids: compact(ids) if ids else None, lambda text: tuple(json.loads(text)) if text else ()),
    "metadata": (lambda pairs: compact(dict(pairs)) if pairs else None, lambda text: json.loads(text) if text else {}),
    "progress": (
        lambda progress: None if progress is None else compact(asdict(progress)),
        lambda text: None if text is None else Progress(**json.loads(text)),
    ),
    "failures": (lambda failures: compact([asdict(each) for each in failures]) if failures else None, _failures),
    "error_type": (_same, _member(ErrorType)),
    "retry_backoff": (int, bool),
    "retry_jitter": (int, bool),
    "cancel_requested": (int, bool),
    "blocked": (int, bool),
    "broken": (int, bool),
    "on_hard_miss": (str, _member(HardMiss)),
    "sla": (int, _member(Sla)),
    "policy": (_same, _member(UniquePolicy)),
    "counted": (int, bool),
}

FIELDS = tuple(each.name for each in fields(Job))
COLUMNS = ", ".join(FIELDS)
_DECODERS = tuple((index, _CODECS[name][1]) for index, name in enumerate(FIELDS) if name in _CODECS)
_ENCODERS = tuple((index, _CODECS[name][0]) for index, name in enumerate(FIELDS) if name in _CODECS)
_VALUES = attrgetter(*FIELDS)


def row_of(job: Job) -> list[Any]:
    """The columns of a job, in the order of `COLUMNS`."""
    row = list(_VALUES(job))
    for index, encode in _ENCODERS:
        row[index] = encode(row[index])
    return row


def job_of(row: tuple[Any, ...]) -> Job:
    """The job in a row that was selected with `COLUMNS`."""
    values = list(row)
    for index, decode in _DECODERS:
        values[index] = decode(values[index])
    return Job(**dict(zip(FIELDS, values, strict=True)))


def encoded(name: str, value: Any) -> Any:
    """The column value of one field."""
    return _CODECS[name][0](value) if name in _CODECS else value
