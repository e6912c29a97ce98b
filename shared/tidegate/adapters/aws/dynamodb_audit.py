"""The audit log in the registry table.

    item    pk                    sk
    entry   {tenant}#audit        its number, with leading zeros
    head    {tenant}#audit-head   head

An entry and the new head are one transaction; the role of no function may delete or update an entry
(`infra/access.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from tidegate.domain.audit import NONE, AuditEntry, Head

from .attributes import Item
from .expressions import UNUSED, equal_or_absent
from .keys import Key
from .tables import Table, place


class DynamoAudit:
    """`AuditLog` on the registry table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def head(self, tenant: str) -> Head:
        """See `AuditLog.head`."""
        item = self._table.get(_head_key(tenant))
        return NONE if item is None else Head(int(item["number"]["N"]), item["hash"]["S"])

    def append_if_next(self, entry: AuditEntry) -> bool:
        """See `AuditLog.append_if_next`."""
        before = {} if entry.number == 1 else {"number": {"N": str(entry.number - 1)}, "hash": {"S": entry.previous}}
        unchanged = equal_or_absent(before) if before else {"ConditionExpression": UNUSED}
        head = {**place(_head_key(entry.tenant)), "number": {"N": str(entry.number)}, "hash": {"S": entry.hash}}
        actions = [
            {"Put": {"Item": _item(entry), "ConditionExpression": UNUSED}},
            {"Put": {"Item": head, **unchanged}},
        ]
        if self._table.transact(actions) is None:
            return True
        # A repetition of a request whose answer got lost is refused by its own first sending.
        stored = self._table.get(_entry_key(entry.tenant, entry.number))
        return stored is not None and stored["hash"]["S"] == entry.hash

    def read(self, tenant: str, after: int, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog.read`."""
        return self._slice(tenant, "sk > :at", after, limit, forward=True)

    def read_back(self, tenant: str, before: int, limit: int) -> Sequence[AuditEntry]:
        """See `AuditLog.read_back`."""
        return self._slice(tenant, "sk < :at", before, limit, forward=False)

    def _slice(self, tenant: str, condition: str, at: int, limit: int, *, forward: bool) -> list[AuditEntry]:
        items = self._table.query(
            limit,
            KeyConditionExpression=f"pk = :pk AND {condition}",
            ExpressionAttributeValues={":pk": {"S": _entry_key(tenant, 0)[0]}, ":at": {"S": _entry_key(tenant, at)[1]}},
            ScanIndexForward=forward,
            ConsistentRead=True,
        )
        return [_entry(item) for item in items]


def _entry_key(tenant: str, number: int) -> Key:
    return f"{tenant}#audit", f"{min(number, 10**15 - 1):015d}"


def _head_key(tenant: str) -> Key:
    return f"{tenant}#audit-head", "head"


_TEXTS = ("tenant", "user", "via", "action", "target", "previous", "hash")
_NUMBERS = ("number", "at")


def _item(entry: AuditEntry) -> Item:
    texts = {name: {"S": getattr(entry, name)} for name in _TEXTS}
    numbers = {name: {"N": str(getattr(entry, name))} for name in _NUMBERS}
    details = {"details": {"S": json.dumps(entry.details, separators=(",", ":"), ensure_ascii=False)}}
    return {**place(_entry_key(entry.tenant, entry.number)), **texts, **numbers, **details}


def _entry(item: Item) -> AuditEntry:
    texts = {name: item[name]["S"] for name in _TEXTS}
    return AuditEntry(
        **texts,
        number=int(item["number"]["N"]),
        at=int(item["at"]["N"]),
        details=json.loads(item["details"]["S"]),
    )
