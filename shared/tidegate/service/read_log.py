"""Reading a job's log, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import TERMINAL
from tidegate.domain.logs import Level, LogLine, LogPlace, log_of
from tidegate.ports import Ports

from .control import visible_job
from .log_chunks import chunks_after, lines_of

_MAX_CHUNKS = 60
"""A page looks at so many chunks at most, so that a rare level in a long log costs several short requests."""
_WHOLE = 99_999_999
"""An offset beyond every line: the whole chunk was read."""


@dataclass(frozen=True, slots=True)
class Told:
    """A line and the attempt that told it."""

    attempt: int
    line: LogLine


@dataclass(frozen=True, slots=True)
class LogPage:
    """Part of a log, oldest first. `cursor` goes on after it, also later when there is more."""

    lines: Sequence[Told]
    cursor: str | None
    more: bool
    """Whether there is more already."""
    ended: bool
    """Whether the job had ended before this was read: then no more will come."""


@dataclass(frozen=True, slots=True)
class _Position:
    """How far a reader is: some lines of a chunk, the first of which is at `place` (None: at the beginning)."""

    place: LogPlace | None = None
    offset: int = 0

    @classmethod
    def parse(cls, cursor: str | None) -> _Position:
        if cursor is None:
            return cls()
        numbers = cursor.split(".")
        if len(numbers) != 3 or not all(n.isascii() and n.isdigit() and len(n) < 9 for n in numbers):
            raise InvalidInput.field("after", "must be a cursor that this job's log answered")
        attempt, number, offset = map(int, numbers)
        return cls(LogPlace(attempt, number), offset)

    @property
    def before(self) -> LogPlace | None:
        """The place after which reading goes on: before a chunk that was read in part."""
        if self.place is None or self.offset == _WHOLE:
            return self.place
        return LogPlace(self.place.attempt, self.place.number - 1)

    def text(self) -> str | None:
        return None if self.place is None else f"{self.place.attempt}.{self.place.number}.{self.offset}"


def read_log(
    ports: Ports, caller: Caller, job_id: str, *, after: str | None, limit: int, level: Level = Level.DEBUG
) -> LogPage:
    """Up to `limit` lines of at least `level` after a cursor. Raises NotFound, InvalidInput."""
    caller.require(Scope.READ)
    job = visible_job(ports, caller, job_id)
    ended = job.state in TERMINAL
    start = position = _Position.parse(after)
    found: list[Told] = []
    for looked, (chunk, is_last) in enumerate(chunks_after(ports, log_of(job), start.before), start=1):
        first = start.offset if chunk.place == start.place else 0
        for index, line in enumerate(lines_of(ports.blobs, chunk)[first:], start=first):
            if len(found) == limit:
                return LogPage(found, _Position(chunk.place, index).text(), True, ended)
            if line.level.weight >= level.weight:
                found.append(Told(chunk.place.attempt, line))
        position = _Position(chunk.place, _WHOLE)
        if looked == _MAX_CHUNKS:
            return LogPage(found, position.text(), not is_last, ended)
    return LogPage(found, position.text(), False, ended)
