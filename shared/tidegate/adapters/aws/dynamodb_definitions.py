"""Definitions in the registry table.

    item       pk                            sk
    latest     {tenant}#definitions          name
    version    {tenant}#definition#{name}    version, ten digits

Both hold the whole definition. A new version is one transaction: the latest moves on from the version before,
and the version itself is put where none is.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any

from tidegate.domain.definition import Definition

from .attributes import Item, Shape
from .expressions import UNUSED, Placeholders
from .keys import Key
from .tables import Table, place

_DEFINITION: Shape[Definition] = Shape(Definition, sparse=True)


class DynamoDefinitions:
    """`Definitions` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def get(self, tenant: str, name: str, version: int | None = None) -> Definition | None:
        """See `Definitions.get`."""
        key = _latest_key(tenant, name) if version is None else _version_key(tenant, name, version)
        item = self._table.get(key)
        return None if item is None else _DEFINITION.load(item)

    def list(self, tenant: str) -> Sequence[Definition]:
        """See `Definitions.list`."""
        return [_DEFINITION.load(item) for item in _latest(self._table, tenant)]

    def add(self, definition: Definition) -> bool:
        """See `Definitions.add`. A request that was applied unseen is recognised by what is stored."""
        tenant, name, version = definition.tenant, definition.name, definition.version
        attributes = _DEFINITION.dump(definition)
        latest = {"Item": {**place(_latest_key(tenant, name)), **attributes}, **_after(version - 1)}
        stored = {"Item": {**place(_version_key(tenant, name, version)), **attributes}, "ConditionExpression": UNUSED}
        return self._table.transact([{"Put": latest}, {"Put": stored}]) is None


def _after(version: int) -> dict[str, Any]:
    """The condition that the latest version is this one."""
    if version == 0:
        return {"ConditionExpression": UNUSED}
    marks = Placeholders()
    return {"ConditionExpression": f"{marks.name('version')} = {marks.number(version)}", **marks.arguments()}


def _latest(table: Table, tenant: str) -> builtins.list[Item]:
    return table.query(
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": f"{tenant}#definitions"}},
        ConsistentRead=True,
    )


def _latest_key(tenant: str, name: str) -> Key:
    return f"{tenant}#definitions", name


def _version_key(tenant: str, name: str, version: int) -> Key:
    return f"{tenant}#definition#{name}", f"{version:010d}"
