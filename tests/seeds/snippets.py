"""Python snippets of the documents that Tidegate was made from, run as they stand but for their imports."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent
from typing import Any


def run(snippet: str, names: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Run a snippet where `names` are known; answers all names that there are afterwards."""
    space: dict[str, Any] = {"__name__": "snippet", **(names or {}), **more}
    exec(compile(dedent(snippet), "<snippet>", "exec"), space)
    return space


class Enough(Exception):
    """Raised out of a loop that a snippet never ends by itself."""
