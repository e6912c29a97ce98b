"""What a job's handler tells while it runs: lines, the chunks they are kept in, and how much of it is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .errors import InvalidInput
from .job import Job, Ms

MAX_LINE_BYTES = 8_192
"""A longer line is cut."""
TABLE_LINES = 1_000
TABLE_BYTES = 262_144
"""What of a job's log lives in the table; the rest goes to the blob store."""
MAX_LINES = 100_000
MAX_BYTES = 16_777_216
"""What of a job's log is kept at all; the rest is counted and dropped."""
LAST_WORDS = 10
"""Lines beyond the limits that a writer may still say of what it dropped."""
CHUNK_BYTES = 262_144
"""What one chunk may hold: an item has 400 KB at most in DynamoDB."""
LINE_OVERHEAD = 32
"""Bytes of JSON that a line takes beside its text."""
_CUT = " … (cut)"


class Level(StrEnum):
    """How much a line matters, least first."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"

    @property
    def weight(self) -> int:
        """Its place among the levels, from 0."""
        return _WEIGHTS[self]


_WEIGHTS: Mapping[Level, int] = {level: weight for weight, level in enumerate(Level)}


def level_named(word: str) -> Level:
    """The level of a name in any case; `warn` and `critical` are understood. Raises InvalidInput."""
    found = {"WARN": Level.WARNING, "CRITICAL": Level.ERROR}.get(word.upper())
    if found is None and word.upper() in Level.__members__:
        found = Level[word.upper()]
    if found is None:
        raise InvalidInput.field("level", f"must be one of {', '.join(Level)}")
    return found


class LogLine(NamedTuple):
    """One line."""

    at: Ms
    level: Level
    message: str

    @property
    def size(self) -> int:
        """Bytes it counts for: those of its JSON, in which a control character takes six."""
        return len(json.dumps(self.message, ensure_ascii=False).encode()) + LINE_OVERHEAD


def line_of(at: Ms, level: Level, message: str) -> LogLine:
    """A line as it is kept: cut to `MAX_LINE_BYTES` of UTF-8, without what UTF-8 cannot carry."""
    raw = message.encode(errors="replace")
    if len(raw) > MAX_LINE_BYTES:
        raw = raw[: MAX_LINE_BYTES - len(_CUT.encode())]
        return LogLine(at, level, raw.decode(errors="ignore") + _CUT)
    return LogLine(at, level, raw.decode())


class LogOf(NamedTuple):
    """Whose log: a job, and when it was made, for an id may be used again once its job is gone."""

    tenant: str
    job_id: str
    created_at: Ms


def log_of(job: Job) -> LogOf:
    """The name of a job's log."""
    return LogOf(job.tenant, job.id, job.created_at)


class LogPlace(NamedTuple):
    """A chunk's place in its log: attempts in order, and the chunks of each, both from 1."""

    attempt: int
    number: int


@dataclass(frozen=True, slots=True)
class LogUsage:
    """How much of a log was kept so far, all attempts together."""

    lines: int = 0
    size: int = 0
    overflows: int = 0
    """Chunks in the blob store; once there is one, all further ones are there too."""

    def fits_table(self, lines: int, size: int) -> bool:
        """Whether so much more still goes to the table."""
        within = self.lines + lines <= TABLE_LINES and self.size + size <= TABLE_BYTES
        return within and not self.overflows

    def fits(self, line: LogLine) -> bool:
        """Whether one more line is kept at all."""
        return self.lines < MAX_LINES and self.size + line.size <= MAX_BYTES

    def first_of(self, lines: Sequence[LogLine]) -> Sequence[LogLine]:
        """Those lines, from the first on, that are kept beside what is; `LAST_WORDS` more say what was dropped."""
        size, count = self.size, 0
        for line in lines:
            size += line.size
            if self.lines + count >= MAX_LINES + LAST_WORDS or size > MAX_BYTES + LAST_WORDS * MAX_LINE_BYTES:
                break
            count += 1
        return lines[:count]

    def plus(self, lines: int, size: int, overflows: int) -> LogUsage:
        """With so much more."""
        return LogUsage(self.lines + lines, self.size + size, self.overflows + overflows)

    @property
    def gather_seconds(self) -> float:
        """How long lines are gathered before they are written.

        A second while the table has room. Then ten, and more with every hundred chunks, so that a job of days
        makes thousands of blobs and not a million.
        """
        return 10.0 * (1 + self.overflows // 100) if self.overflows else 1.0


@dataclass(frozen=True, slots=True)
class LogChunk:
    """Lines that were written at once; never changed afterwards."""

    place: LogPlace
    lines: tuple[LogLine, ...]
    """Empty when they are in the blob store."""
    blob: str | None
    """Key of the blob that holds the lines."""
    usage: LogUsage
    """Of the whole log up to the end of this chunk."""
