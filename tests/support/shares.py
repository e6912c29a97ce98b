"""Which tests share a process, and in which order the shares start.

What takes long to set up is set up in one process alone: the deployed stage, DynamoDB Local, the synthesised
templates. Else a file is a share. Long shares come first; those that wait for processes of their own come between
those that compute, so that neither all processors wait nor all tests wait for processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest

_LONG = ("cloud", "dynamodb-local", "templates")


def share_out(items: list[pytest.Item]) -> None:
    """Mark each test with its share, and put the shares in order."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_share_of(item)))
    items.sort(key=_share_of)
    shares = {name: list(group) for name, group in groupby(items, _share_of)}
    waiting = [name for name in shares if name.startswith("tests/e2e/")]
    computing = [name for name in shares if name not in {*waiting, *_LONG}]
    order = [*(name for name in _LONG if name in shares), *_mixed(waiting, computing)]
    items[:] = [item for name in order for item in shares[name]]


def _share_of(item: pytest.Item) -> str:
    file = item.nodeid.partition("::")[0]
    fixtures = set(getattr(item, "fixturenames", ()))
    homes = list(item.callspec.params.values()) if hasattr(item, "callspec") else []
    if file.startswith("tests/e2e/") and ("cloud" in fixtures or "cloud" in homes):
        return "cloud"
    if file.startswith("tests/contract/") and ("server" in fixtures or "dynamodb-local" in homes):
        return "dynamodb-local"
    if file.startswith("tests/infra/") and {"template", "sealed"} & fixtures:
        return "templates"
    return file


def _mixed(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Both, each spread evenly over the whole."""
    placed = [((n + 0.5) / len(names), name) for names in (first, second) for n, name in enumerate(names)]
    return [name for _, name in sorted(placed)]
