"""The audit log: who did what to what, each entry bound to the one before it by a hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .job import Ms

FIRST = "0" * 64
"""What the first entry of a tenant is bound to."""
_FORM = 1
"""Part of every hash: another way to hash gets another number."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest entry of a tenant's log. Who keeps it elsewhere can tell later that nothing before it was changed."""

    number: int
    hash: str

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


NONE = Head(0, FIRST)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act. `number` counts the tenant's entries from 1, without a gap."""

    tenant: str
    number: int
    at: Ms
    user: str
    via: str
    """What proved who it was: see `Caller.via`."""
    action: str
    """The kind of thing and what was done to it, such as `job.cancel`."""
    target: str
    """The thing: a job's id, a queue's name, and so on; empty for an act on several."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """More about the act, never a payload or a secret."""
    previous: str
    """The hash of the entry before."""
    hash: str = ""

    def digest(self) -> str:
        """What `hash` must be."""
        said = [
            _FORM, self.tenant, self.number, self.at, self.user, self.via, self.action, self.target, self.details,
            self.previous,
        ]  # fmt: skip
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def head(self) -> Head:
        """The head of a log that ends with this entry."""
        return Head(self.number, self.hash)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the check of a log came to: how many entries are whole, and what is wrong with the next, if anything."""

    checked: int
    head: Head
    """The last entry that is whole."""
    fault: str | None = None


def verify(entries: Iterable[AuditEntry], tenant: str, start: Head = NONE, head: Head | None = None) -> Verdict:
    """Check entries in their order, from the one after `start` on, which was noted when the log ended there.

    Every entry must be the tenant's, follow the one before it without a gap, be bound to it, and be unchanged.
    `head` is what the log says is its newest entry: it must be reached, and be the one that is there.
    """
    at, checked = start, 0
    for entry in entries:
        fault = _fault(entry, tenant, at)
        if fault is not None:
            return Verdict(checked, at, fault)
        at, checked = entry.head, checked + 1
        if head is not None and head.number == at.number and head != at:
            return Verdict(checked - 1, start, f"entry {at.number} is not the one that the log's head names")
    if head is not None and head.number > at.number:
        return Verdict(checked, at, f"entry {at.number + 1} is missing: the log went on to entry {head.number}")
    if head is not None and (head.number < start.number or (head.number == start.number and head != start)):
        return Verdict(checked, at, f"the log does not go on from entry {start.number} as it was noted")
    return Verdict(checked, at)


def _fault(entry: AuditEntry, tenant: str, before: Head) -> str | None:
    wanted = before.number + 1
    if entry.number != wanted:
        return f"entry {wanted} is missing: entry {entry.number} follows entry {before.number}"
    if entry.tenant != tenant:
        return f"entry {wanted} is another tenant's"
    if entry.digest() != entry.hash:
        return f"entry {wanted} was changed: its hash does not fit what it says"
    if entry.previous != before.hash:
        return f"entry {wanted} is not bound to entry {before.number}: one of the two was replaced"
    return None
