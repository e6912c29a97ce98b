"""JSON Schemas at work. The library is imported when first needed: 20 ms that other submissions never pay.

jsonschema-rs is used because its patterns are matched by an automaton, in linear time: no pattern that a
tenant stores can hold up the API. What it would fetch from elsewhere is refused before (`domain/schema.py`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from tidegate.domain.definition import Definition
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

_COMPILED = 512
_SHOWN = 20
_PATTERN_BYTES = 1_000_000
"""What a compiled pattern may take up in memory."""


def compile_schema(schema: Json) -> Any:
    """A validator for a schema that `check_schema` has let in. Raises InvalidInput with the place of the fault."""
    import jsonschema_rs

    try:
        return jsonschema_rs.Draft202012Validator(
            schema,
            pattern_options=jsonschema_rs.RegexOptions(size_limit=_PATTERN_BYTES),
            offline=True,
            validate_formats=True,
        )
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as error:
        path = ".".join(["schema", *map(str, getattr(error, "instance_path", []))])
        if path.rpartition(".")[2] == "pattern" or "regex" in str(error).partition("\n")[0]:
            rule = "must be a pattern without look-around and back-references, and of moderate size"
        else:
            rule = str(getattr(error, "message", error)).partition("\n")[0]
        raise InvalidInput.field(path, rule) from error


def check_data(definition: Definition, data: Json) -> None:
    """Refuse data that does not fit; the error names each field that is at fault, 20 at most. Raises InvalidInput."""
    validator = _validator(definition.tenant, definition.name, definition.version, _Kept(definition.schema))
    found: list[dict[str, str]] = []
    for fault in validator.iter_errors(data):
        found += ({"field": field, "rule": rule} for field, rule in _faults(fault))
        if len(found) >= _SHOWN:
            break
    if found:
        message = "; ".join(f"{each['field']}: {each['rule']}" for each in found[:3])
        raise InvalidInput(message, errors=found[:_SHOWN], definition=definition.reference)


class _Kept:
    """A schema beside the key of a cache, without being part of it: a version's schema never changes."""

    def __init__(self, schema: Json) -> None:
        self.schema = schema

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Kept)

    def __hash__(self) -> int:
        return 0


@lru_cache(_COMPILED)
def _validator(_tenant: str, _name: str, _version: int, kept: _Kept) -> Any:
    return compile_schema(kept.schema)


def _faults(fault: Any) -> Iterator[tuple[str, str]]:
    """Path and rule of each field that a fault of the library is about; values are never quoted."""
    path = ["data", *map(str, fault.instance_path)]
    kind = fault.kind
    if kind.name == "required":
        yield ".".join([*path, kind.property]), "is required"
    elif kind.name in {"additionalProperties", "unevaluatedProperties"}:
        yield from ((".".join([*path, name]), "is not a known field") for name in kind.unexpected)
    else:
        yield ".".join(path), _rule(kind)


def _rule(kind: Any) -> str:
    said = kind.as_dict()
    match kind.name:
        case "type":
            types = [_TYPES.get(each, each) for each in kind.types]
            return f"must be {' or '.join(types)}"
        case "enum":
            return f"must be one of {_short(said['options'])}"
        case "const":
            return f"must be {_short(said['expected_value'])}"
        case "pattern":
            return f"must match {kind.pattern}"
        case "format":
            return f"must be a valid {said['format']}"
        case name if name in _LIMITS:
            limit = said.get("limit", said.get("multiple_of"))
            return _LIMITS[name].format(limit)
    return _OTHERS.get(kind.name, f"must satisfy '{kind.name}'")


_TYPES = {"array": "array", "integer": "integer", "object": "object", "null": "null"}
_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} items",
    "maxItems": "must have at most {} items",
    "minProperties": "must have at least {} fields",
    "maxProperties": "must have at most {} fields",
    "multipleOf": "must be a multiple of {}",
}
_OTHERS = {
    "uniqueItems": "must not have an item twice",
    "contains": "must have an item of the kind asked for",
    "anyOf": "must fit one of the kinds allowed",
    "oneOf": "must fit exactly one of the kinds allowed",
    "not": "must not be of the kind excluded",
    "falseSchema": "must not be given",
    "propertyNames": "must have field names of the kind asked for",
}


def _short(value: Json) -> str:
    import json

    text = ", ".join(json.dumps(each, ensure_ascii=False) for each in (value if isinstance(value, list) else [value]))
    return text if len(text) <= 200 else text[:200] + "…"
