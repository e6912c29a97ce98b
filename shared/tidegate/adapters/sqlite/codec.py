"""Jobs as rows and back. A column is named like the field it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from typing import Any

from tidegate.domain.job import ErrorType, Failure, HardMiss, Job, Progress, Sla, State, UniquePolicy

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


_CODECS: Mapping[str, tuple[Encode, Decode]] = {
    "state": (str, State),
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
    "error_type": (_same, lambda text: None if text is None else ErrorType(text)),
    "retry_backoff": (int, bool),
    "retry_jitter": (int, bool),
    "cancel_requested": (int, bool),
    "blocked": (int, bool),
    "broken": (int, bool),
    "on_hard_miss": (str, HardMiss),
    "sla": (int, Sla),
    "policy": (_same, lambda text: None if text is None else UniquePolicy(text)),
    "counted": (int, bool),
}

FIELDS = tuple(each.name for each in fields(Job))
COLUMNS = ", ".join(FIELDS)
_DECODERS = tuple((index, _CODECS[name][1]) for index, name in enumerate(FIELDS) if name in _CODECS)
_ENCODERS = tuple((name, _CODECS[name][0] if name in _CODECS else _same) for name in FIELDS)


def row_of(job: Job) -> list[Any]:
    """The columns of a job, in the order of `COLUMNS`."""
    return [encode(getattr(job, name)) for name, encode in _ENCODERS]


def job_of(row: tuple[Any, ...]) -> Job:
    """The job in a row that was selected with `COLUMNS`."""
    values = list(row)
    for index, decode in _DECODERS:
        values[index] = decode(values[index])
    return Job(**dict(zip(FIELDS, values, strict=True)))


def encoded(name: str, value: Any) -> Any:
    """The column value of one field."""
    return _CODECS[name][0](value) if name in _CODECS else value
