"""What clients can do with the audit log: read it, and check here that nothing in it was changed or taken away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from tidegate.domain.audit import NONE, AuditEntry, Head, Verdict, verify

from .calls import Call
from .sender import AsyncSender, Sender

_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Part of the log, and its head when this part was read."""

    entries: tuple[AuditEntry, ...]
    head: Head

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> AuditPage:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        names = [each.name for each in fields(AuditEntry)]
        entries = tuple(AuditEntry(**{name: entry[name] for name in names}) for entry in wire["entries"])
        return cls(entries, Head(int(wire["head"]["number"]), str(wire["head"]["hash"])))


def newest(before: int | None, limit: int) -> Call[AuditPage]:
    """Entries, newest first."""
    params = [("limit", str(limit)), *([("before", str(before))] if before is not None else [])]
    return Call("GET", "/audit", AuditPage.from_wire, params=params)


def oldest(after: int) -> Call[AuditPage]:
    """Entries, oldest first."""
    return Call("GET", "/audit", AuditPage.from_wire, params=[("after", str(after)), ("limit", str(_PAGE))])


class AuditMethods(Sender):
    """The methods of `Client` for the audit log; each needs the scope `operate`."""

    def audit(self, *, max_entries: int | None = None) -> Iterator[AuditEntry]:
        """Who did what, newest first, fetched page by page."""
        left, before = max_entries, None
        while left is None or left > 0:
            page = self._run(newest(before, min(_PAGE, left or _PAGE)))
            yield from page.entries
            if not page.entries or page.entries[-1].number == 1:
                return
            left, before = left and left - len(page.entries), page.entries[-1].number

    def verify_audit(self, since: Head = NONE) -> Verdict:
        """Check the log from the entry after `since` on, here, not on the server.

        `fault` says what is wrong with the first entry that was changed, replaced or taken away. Who notes the
        verdict's `head` elsewhere, and gives it as `since` the next time, also sees a log that was written anew.
        """
        first = self._run(oldest(since.number))

        def entries() -> Iterator[AuditEntry]:
            page = first
            while page.entries and page.entries[0].number <= first.head.number:
                yield from page.entries
                page = self._run(oldest(page.entries[-1].number))

        return verify(entries(), _tenant(first), since, first.head)


class AsyncAuditMethods(AsyncSender):
    """The methods of `AuditMethods`, awaited."""

    async def audit(self, *, max_entries: int | None = None) -> AsyncIterator[AuditEntry]:
        """See `AuditMethods.audit`."""
        left, before = max_entries, None
        while left is None or left > 0:
            page = await self._run(newest(before, min(_PAGE, left or _PAGE)))
            for entry in page.entries:
                yield entry
            if not page.entries or page.entries[-1].number == 1:
                return
            left, before = left and left - len(page.entries), page.entries[-1].number

    async def verify_audit(self, since: Head = NONE) -> Verdict:
        """See `AuditMethods.verify_audit`."""
        page = first = await self._run(oldest(since.number))
        entries: list[AuditEntry] = []
        while page.entries and page.entries[0].number <= first.head.number:
            entries += page.entries
            page = await self._run(oldest(page.entries[-1].number))
        return verify(entries, _tenant(first), since, first.head)


def _tenant(page: AuditPage) -> str:
    """Whose log it is, as its first entry says; every other entry must say the same."""
    return page.entries[0].tenant if page.entries else ""
