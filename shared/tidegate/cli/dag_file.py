"""Runs in files: JSON, or YAML by version 1.2, in which `on` and `12:30` are texts; no key may come twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from tidegate.domain.errors import InvalidInput

from .inputs import parse_json, read_text

if TYPE_CHECKING:
    from collections.abc import Hashable


def read_dag(name: str) -> dict[str, Any]:
    """The body of `POST /dags` in a file: JSON where its name ends so, else YAML; `-` is stdin. Raises InvalidInput."""
    text = read_text("FILE", name)
    body = parse_json(name, text) if name.endswith(".json") else _parsed(name, text)
    if not isinstance(body, dict):
        raise InvalidInput.field(name, "must be an object with name and nodes")
    return body


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML's safe loader with the core schema of version 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping in which no key comes twice. Raises ConstructorError."""
        seen: set[str] = set()
        for place, _ in node.value:
            if not isinstance(place, yaml.ScalarNode):
                continue
            if place.value in seen:
                problem = f"the key '{place.value}' comes twice"
                raise yaml.constructor.ConstructorError(None, None, problem, place.start_mark)
            seen.add(place.value)
        return dict(super().construct_mapping(node, deep))


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+0123456789."),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


def _parsed(name: str, text: str) -> Any:
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidInput.field(name, f"must be YAML or JSON: {' '.join(str(error).split())}") from error
