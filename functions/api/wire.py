"""Between the bytes of HTTP and Python's values: bodies, times, size limits, headers."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NoReturn

from tidegate.domain.errors import InvalidInput, MalformedJson, PayloadTooLarge
from tidegate.domain.iam import PREFIX
from tidegate.domain.job import Json, Ms
from tidegate.domain.spec import MAX_PAYLOAD_BYTES

JSON_TYPE = "application/json"
MAX_ANSWER_BYTES = 6_000_000
"""AWS Lambda answers at most 6 MB, in which the body is a JSON text within JSON."""
_SURELY_SMALL = MAX_ANSWER_BYTES // 6
"""Characters that fit however they are escaped: no character becomes more than six bytes."""
_FRAME_BYTES = 1_000
"""What an answer has around the values that it carries."""
TOO_LARGE = "the value is too large for an answer: run this job on a worker with AWS credentials"

_to_json = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_MS = 253_402_300_799_999
"""The end of the year 9999, the last that RFC 3339 can write."""
_TIMES = 1_000
"""An answer tells most of its times more than once."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
TIME_RULE = "must be an RFC 3339 time with an offset, such as 2026-01-31T12:00:00Z, from 1970 to 9999"


def readable(event: Mapping[str, Any]) -> dict[str, Any]:
    """The event with its body as text and declared as JSON, whatever content type it came with; its path a route's.

    Raises PayloadTooLarge over `MAX_PAYLOAD_BYTES`, MalformedJson for a body that is not UTF-8 text.
    """
    body = event.get("body") or ""
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
        text = raw.decode()
    except ValueError as error:
        raise MalformedJson("the body is not UTF-8 text") from error
    if len(raw) > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"the body may have at most {MAX_PAYLOAD_BYTES} bytes", size=len(raw))
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    whole = {"headers": {**headers, "content-type": JSON_TYPE}, "body": text, "isBase64Encoded": False}
    return {**event, **whole, "rawPath": _path_of(event)}


def _path_of(event: Mapping[str, Any]) -> str:
    """The path without the prefix that API Gateway knows signed requests by."""
    path = str(event.get("rawPath") or "/")
    authorizer = (event.get("requestContext") or {}).get("authorizer") or {}
    return path.removeprefix(PREFIX) or "/" if "iam" in authorizer else path


def load(text: str) -> Json:
    """The JSON object in a body. Raises MalformedJson, InvalidInput for JSON that is none or cannot be stored."""
    try:
        value = json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise InvalidInput.field("body", "is nested too deep") from None
    except ValueError as error:
        raise MalformedJson(f"the body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput.field("body", "must be a JSON object")
    if "\\ud" in text.lower():
        _refuse_lone_surrogates(value)
    return value


def dump(value: Json) -> str:
    """`value` as compact JSON text."""
    return _to_json(value)


def fits(text: str) -> bool:
    """Whether an answer with this body is within what Lambda may return."""
    return len(text) <= _SURELY_SMALL or len(json.dumps(text, ensure_ascii=False).encode()) <= MAX_ANSWER_BYTES


def first_that_fit(views: Iterable[Json]) -> tuple[list[Json], bool]:
    """The first of these that one answer can carry, and whether they are all.

    Raises PayloadTooLarge when not even the first one can be answered.
    """
    found: list[Json] = []
    left = MAX_ANSWER_BYTES - _FRAME_BYTES
    for view in views:
        left -= len(json.dumps(dump(view), ensure_ascii=False).encode())
        if left < 0:
            if not found:
                raise PayloadTooLarge(TOO_LARGE)
            return found, False
        found.append(view)
    return found, True


def parse_time(value: object) -> Ms:
    """Milliseconds since 1970 of an RFC 3339 time; a finer fraction is cut. Raises InvalidInput.

    A time without an offset is refused: nobody can say which moment it means.
    """
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            ms = (datetime.fromisoformat(value.upper()) - _EPOCH) // timedelta(milliseconds=1)
        except ValueError:
            ms = -1
        if 0 <= ms <= _LATEST_MS:
            return ms
    raise InvalidInput(TIME_RULE)


@lru_cache(_TIMES)
def format_time(at: Ms | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    if at is None:
        return None
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def _refuse(constant: str) -> NoReturn:
    raise MalformedJson(f"the body is not valid JSON: {constant} is no JSON number")


def _refuse_lone_surrogates(value: Json) -> None:
    try:
        dump(value).encode()
    except UnicodeEncodeError as error:
        raise InvalidInput.field("body", "must not have half a surrogate pair in a text") from error
    except RecursionError:
        raise InvalidInput.field("body", "is nested too deep") from None
