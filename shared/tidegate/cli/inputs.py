"""From what is typed to what the API takes. Everything here raises InvalidInput, naming the option."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

_SPAN = re.compile(r"\+?(\d+(?:\.\d+)?)([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def json_argument(option: str, text: str) -> Json:
    """JSON given as such, as FILE, as @FILE, or as `-` for stdin."""
    if text == "-":
        return parse_json(f"{option} (stdin)", sys.stdin.read())
    if text.startswith("@"):
        return parse_json(f"{option} {text}", read_text(option, text[1:]))
    try:
        return parse_json(option, text)
    except InvalidInput:
        if not _is_file(text):
            raise
    return parse_json(f"{option} {text}", read_text(option, text))


def parse_json(where: str, text: str) -> Json:
    """`text` as JSON, strictly: NaN and infinities are refused."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidInput.field(where, f"must be JSON or the name of a JSON file: {error}") from error


def read_text(option: str, name: str) -> str:
    """The text of a file, or of stdin for `-`."""
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise InvalidInput.field(option, f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error


def pairs(option: str, given: Iterable[str]) -> dict[str, str]:
    """`K=V` words as a mapping."""
    found: dict[str, str] = {}
    for word in given:
        key, sign, value = word.partition("=")
        if not sign or not key:
            raise InvalidInput.field(option, f"must be KEY=VALUE, not '{word}'")
        found[key] = value
    return found


def json_pairs(option: str, given: Iterable[str]) -> dict[str, Json]:
    """`K=V` words as a mapping; a value that is JSON (a number, true, null, …) counts as that, else as text."""
    return {key: _json_or_text(value) for key, value in pairs(option, given).items()}


def number_or_name(text: str | None) -> int | str | None:
    """A priority: digits as a number, anything else as a name for the server to know."""
    return int(text) if text is not None and re.fullmatch(r"-?\d{1,9}", text) else text


def point_in_time(option: str, text: str | None, now: datetime, *, ago: bool = False) -> datetime | None:
    """RFC 3339 (UTC unless it names a zone), or a span from `now`, or before it (`ago`): 90s, 10m, 2h, 1d."""
    if text is None:
        return None
    try:
        if span := _SPAN.fullmatch(text):
            length = timedelta(seconds=float(span[1]) * _SECONDS[span[2]])
            return now - length if ago else now + length
        moment = datetime.fromisoformat(text)
    except (ValueError, OverflowError) as error:
        rule = f"must be a time such as 2030-01-31T08:00:00Z or a span such as 10m, not '{text}'"
        raise InvalidInput.field(option, rule) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def job_lines(text: str, defaults: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any] | InvalidInput]]:
    """The jobs of a JSON-lines file with their line numbers, or what is wrong with a line; empty lines are skipped."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, _job_of(line, defaults)


def _job_of(line: str, defaults: Mapping[str, Any]) -> dict[str, Any] | InvalidInput:
    try:
        job = json.loads(line, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        return InvalidInput(f"must be JSON: {error}")
    return {**defaults, **job} if isinstance(job, dict) else InvalidInput("must be a JSON object")


def _json_or_text(text: str) -> Json:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except (OSError, ValueError):
        return False


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
