"""Which tests share a process, and in which order the shares start.

What takes long to set up is set up in one process alone: the deployed stage, DynamoDB Local, the synthesised
templates. Else a file is a share. Long shares come first; those that wait for processes of their own come between
those that compute, so that neither all processors wait nor all tests wait for processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

_LONG = ("cloud", "dynamodb-local", "templates")
_WITHOUT_TEMPLATES = ("test_cloud_checks", "test_cloud_packaging", "test_cloud_stage", "test_cloud_supply")


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """Hands each process one share after the other."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid)


def share_of(nodeid: str) -> str:
    """The name of the share that a test belongs to."""
    file, _, test = nodeid.partition("::")
    folder, _, name = file.removesuffix(".py").rpartition("/")
    parameters = test.partition("[")[2]
    if folder == "tests/e2e" and (name.startswith("test_cloud") or "cloud" in parameters):
        return "cloud"
    if folder == "tests/contract" and "dynamodb-local" in parameters:
        return "dynamodb-local"
    if folder == "tests/infra" and name not in _WITHOUT_TEMPLATES:
        return "templates"
    return file


def put_in_order(items: list[pytest.Item]) -> None:
    """The tests of a share together, and the shares as they are to start."""
    items.sort(key=lambda item: share_of(item.nodeid))
    shares = {name: list(group) for name, group in groupby(items, lambda item: share_of(item.nodeid))}
    waiting = [name for name in shares if name.startswith("tests/e2e/")]
    computing = [name for name in shares if name not in {*waiting, *_LONG}]
    order = [*(name for name in _LONG if name in shares), *_mixed(waiting, computing)]
    items[:] = [item for name in order for item in shares[name]]


def _mixed(first: Sequence[str], second: Sequence[str]) -> list[str]:
    """Both, each spread evenly over the whole."""
    placed = [((n + 0.5) / len(names), name) for names in (first, second) for n, name in enumerate(names)]
    return [name for _, name in sorted(placed)]
