"""Which JSON Schemas a definition may have: those whose use is bounded, whatever data comes.

A schema is taken for the tree that it is once every `$ref` is replaced by what it refers to. That tree must
be finite and small, so that checking never takes more than its size times the data's: a reference to itself,
or a few that each name two others, would make the work grow without bound. Patterns are matched in linear
time by the library that checks; their length is bounded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import InvalidInput
from .job import Json
from .spec import dump_json

MAX_SCHEMA_BYTES = 64_000
MAX_NODES = 2_000
"""Subschemas in the tree, those behind references counted each time they are used."""
MAX_PATTERN = 256
DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ONE = frozenset(
    {
        *("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then"),
        *("unevaluatedItems", "unevaluatedProperties"),
    }
)
_MANY = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
_NAMED = frozenset({"$defs", "dependentSchemas", "patternProperties", "properties"})
_PLAIN = frozenset(
    {
        *("$comment", "$ref", "$schema", "const", "default", "dependentRequired", "deprecated", "description", "enum"),
        *("examples", "exclusiveMaximum", "exclusiveMinimum", "format", "maxContains", "maxItems", "maxLength"),
        *("maxProperties", "maximum", "minContains", "minItems", "minLength", "minProperties", "minimum"),
        *("multipleOf", "pattern", "readOnly", "required", "title", "type", "uniqueItems", "writeOnly"),
    }
)
_ELSEWHERE = frozenset(["$anchor", "$dynamicAnchor", "$dynamicRef", "$id", "$recursiveRef", "$vocabulary"])


def check_schema(schema: Json) -> None:
    """Refuse a schema that is not bounded, or that uses a keyword this one does not know. Raises InvalidInput.

    Whether its keywords have values of the right kind is the library's to say.
    """
    if not isinstance(schema, dict):
        raise InvalidInput.field("schema", "must be a JSON object")
    if len(dump_json("schema", schema).encode()) > MAX_SCHEMA_BYTES:
        raise InvalidInput.field("schema", f"must have at most {MAX_SCHEMA_BYTES} bytes of JSON")
    if schema.get("$schema", DIALECT).rstrip("#") != DIALECT:
        raise InvalidInput.field("schema.$schema", f"must be {DIALECT}, or absent")
    _Walk(schema).size(schema, "schema")


class _Walk:
    """Counts the nodes of a schema's tree, each referred part once."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._sizes: dict[str, int] = {}
        self._open: set[str] = set()

    def size(self, schema: Any, path: str) -> int:
        """How many subschemas the tree of `schema` has. Raises InvalidInput where it is not bounded."""
        if isinstance(schema, bool):
            return 1
        if not isinstance(schema, dict):
            raise InvalidInput.field(path, "must be a JSON object, true or false")
        _check_keywords(schema, path)
        total = 1 + sum(self.size(part, where) for where, part in _parts(schema, path))
        if "$ref" in schema:
            total += self._size_behind(schema["$ref"], f"{path}.$ref")
        if total > MAX_NODES:
            raise InvalidInput.field(path, f"has more than {MAX_NODES} subschemas, counting each use of a $ref")
        return total

    def _size_behind(self, reference: Any, path: str) -> int:
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise InvalidInput.field(path, "must point into this schema, such as #/$defs/page")
        if reference in self._open:
            raise InvalidInput.field(path, "must not lead back to itself")
        if reference not in self._sizes:
            self._open.add(reference)
            self._sizes[reference] = self.size(self._at(reference, path), "schema." + reference[2:].replace("/", "."))
            self._open.discard(reference)
        return self._sizes[reference]

    def _at(self, reference: str, path: str) -> Any:
        found: Any = self._root
        if reference == "#":
            raise InvalidInput.field(path, "must not lead back to itself")
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if "%" in name:
                raise InvalidInput.field(path, "must be written without percent signs")
            if isinstance(found, dict) and name in found:
                found = found[name]
            elif isinstance(found, list) and re.fullmatch("0|[1-9][0-9]{0,5}", name) and int(name) < len(found):
                found = found[int(name)]
            else:
                raise InvalidInput.field(path, f"points to nothing: {reference}")
        return found


def _parts(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for keyword, value in schema.items():
        where = f"{path}.{keyword}"
        if keyword in _ONE:
            yield where, value
        elif keyword in _MANY and isinstance(value, list):
            yield from ((f"{where}.{index}", each) for index, each in enumerate(value))
        elif keyword in _NAMED and isinstance(value, dict):
            yield from ((f"{where}.{name}", each) for name, each in value.items())


def _check_keywords(schema: Mapping[str, Any], path: str) -> None:
    for keyword, value in schema.items():
        where = f"{path}.{keyword}"
        if keyword in _ELSEWHERE:
            raise InvalidInput.field(where, "is not supported: a schema must stand on its own")
        if keyword not in _ONE | _MANY | _NAMED | _PLAIN and not keyword.startswith("x-"):
            raise InvalidInput.field(where, "is not a known keyword")
        patterns = [value] if keyword == "pattern" else value if keyword == "patternProperties" else ()
        if isinstance(patterns, list | dict) and any(isinstance(p, str) and len(p) > MAX_PATTERN for p in patterns):
            raise InvalidInput.field(where, f"must have at most {MAX_PATTERN} characters")
