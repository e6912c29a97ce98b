"""Heads of lanes, shared for moments: what one query found serves the claims that a worker makes right after it.

A job's entry in the index comes and goes a moment after the job (in DynamoDB within a fraction of a second, usually):
a head that is some milliseconds old is no worse than one just read. It is shared while nothing speaks against that:

- a handler that takes longer than `Ports.head_ms` has it asked again, so order stays exact wherever it can be seen
- whatever was tried from it is out of it, and for a second out of those read next: there its entry may still be
- a candidate that somebody else got shows that others take from the same head. A refused claim costs more than a query,
  so the lane is asked each time for a second
- that nothing waits is never concluded from it (`claim`)

Where `head_ms` is 0 every head is asked for, and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from tidegate.domain.job import Ms
from tidegate.domain.ticket import Lane
from tidegate.ports import Ports, Ready

HEAD = 16
"""Candidates read at once: what a worker starts in `head_ms`, and more than the workers that usually race for one."""
_LAG_MS: Ms = 1_000
"""So long what was tried may still stand in the index, and a lane is asked each time after somebody else was sooner."""
_LANES = 1_000


@dataclass(slots=True)
class _Head:
    read_at: Ms
    ready: list[Ready]


class Heads:
    """The heads that one worker goes by. Not for several threads at once."""

    def __init__(self, ports: Ports, head_ms: Ms) -> None:
        self._ports = ports
        self._head_ms = head_ms
        self._heads: dict[Lane, _Head] = {}
        self._contested: dict[Lane, Ms] = {}
        self._tried: dict[str, Ms] = {}

    def shared(self, lane: Lane) -> Sequence[Ready]:
        """What is left of the lane's head, best first, if it was read moments ago; else nothing."""
        head = self._heads.get(lane)
        return list(head.ready) if head is not None and self._is_fresh(head) else ()

    def read(self, lane: Lane, names: Collection[str] = (), limit: int = HEAD) -> tuple[Sequence[Ready], bool]:
        """Ask for the lane's head, of these names; answers too whether there may be more behind it."""
        now = self._ports.now()
        found = self._ports.jobs.head(lane, limit, names=names)
        if self._head_ms:
            self._let_go(now)
        ready = [each for each in found if each.job_id not in self._tried]
        if self._head_ms and now - self._contested.get(lane, -_LAG_MS) >= _LAG_MS:
            self._heads[lane] = _Head(now, list(ready))
        return ready, len(found) == limit

    def tries(self, lane: Lane, job_id: str) -> None:
        """Somebody is about to try this job: it is no candidate any more."""
        if not self._head_ms:
            return
        self._tried.pop(job_id, None)
        self._tried[job_id] = self._ports.now()
        if (head := self._heads.get(lane)) is not None:
            head.ready = [each for each in head.ready if each.job_id != job_id]

    def waits(self, job_id: str) -> None:
        """The job waits again: it is a candidate wherever it is seen."""
        self._tried.pop(job_id, None)

    def contest(self, lane: Lane) -> None:
        """Somebody else got a candidate: for a while every claim asks for itself."""
        if self._head_ms:
            self._heads.pop(lane, None)
            self._contested[lane] = self._ports.now()

    def _is_fresh(self, head: _Head) -> bool:
        return 0 <= self._ports.now() - head.read_at < self._head_ms

    def _let_go(self, now: Ms) -> None:
        """Forget what no longer matters; the oldest are the first."""
        while self._tried and now - next(iter(self._tried.values())) >= _LAG_MS:
            del self._tried[next(iter(self._tried))]
        for kept in (self._heads, self._contested):
            if len(kept) >= _LANES:
                kept.clear()
