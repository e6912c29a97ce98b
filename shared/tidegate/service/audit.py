"""Writing down who does what, before it is done: an act without an entry did not happen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tidegate.domain.audit import AuditEntry, Head
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Unavailable
from tidegate.ports import Ports

MAX_DETAIL = 500
"""Characters of a text among the details."""
_TRIES = 50
"""Of several that append at once one gets its turn each time."""


class Act:
    """Something that a caller does, written down once however often it must be tried."""

    def __init__(self, ports: Ports, caller: Caller, action: str, target: str = "", **details: Any) -> None:
        self._ports = ports
        self._caller = caller
        self._action = action
        self._target = target
        self._details = details
        self._noted = False

    def about(self, **details: Any) -> None:
        """Details that are known only now."""
        self._details |= details

    def note_on(self, targets: Sequence[str]) -> None:
        """`note` for an act on these things at once: one entry, whatever their number."""
        if len(targets) == 1:
            self._target = targets[0]
        else:
            self.about(targets=list(targets))
        self.note()

    def note(self) -> None:
        """Write it down unless that was done. Raises Unavailable, and then nothing may be done."""
        if not self._noted:
            audited(self._ports, self._caller, self._action, self._target, **self._details)
            self._noted = True


def audited(ports: Ports, caller: Caller, action: str, target: str = "", **details: Any) -> AuditEntry:
    """Append an entry to the log of the caller's tenant; details that are None are left out.

    To be called when the act is known to be allowed and possible, before it is done: a crash in between leaves an
    entry of what was asked for. Raises Unavailable, and then nothing may be done.
    """
    told = {name: _short(value) for name, value in details.items() if value is not None}
    for _ in range(_TRIES):
        head = ports.audit.head(caller.tenant)
        entry = AuditEntry(
            tenant=caller.tenant,
            number=head.number + 1,
            at=ports.now(),
            user=caller.user,
            via=caller.via,
            action=action,
            target=target,
            details=told,
            previous=head.hash,
        )
        entry = replace(entry, hash=entry.digest())
        if ports.audit.append_if_next(entry):
            return entry
    raise Unavailable("the audit log is being written by too many at once")


def read_audit(
    ports: Ports, caller: Caller, *, after: int = 0, before: int | None = None, limit: int = 100
) -> tuple[Sequence[AuditEntry], Head]:
    """Entries of the caller's tenant, and the head of its log. Raises Forbidden.

    From the one after number `after` on, oldest first; or with `before` those before that number, newest first.
    """
    caller.require(Scope.OPERATE)
    head = ports.audit.head(caller.tenant)
    if before is None:
        return ports.audit.read(caller.tenant, after, limit), head
    return ports.audit.read_back(caller.tenant, before, limit), head


def _short(value: Any) -> Any:
    return value[:MAX_DETAIL] if isinstance(value, str) else value
