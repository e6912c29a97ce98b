"""What the server answers about a job's past: its log and its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a handler told: when, how much it matters (DEBUG, INFO, WARNING, ERROR), in which attempt."""

    time: datetime
    level: str
    attempt: int
    message: str
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> LogLine:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        time = datetime.fromisoformat(wire["time"])
        return cls(time, str(wire["level"]), int(wire["attempt"]), str(wire["message"]), wire)


@dataclass(frozen=True, slots=True)
class LogPage:
    """Part of a log; `next_after` goes on after it, also later. `ended`: no more will come than there is."""

    lines: tuple[LogLine, ...]
    next_after: str | None
    more: bool
    ended: bool

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> LogPage:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        lines = tuple(LogLine.from_wire(each) for each in wire["lines"])
        return cls(lines, wire["next_after"], bool(wire["more"]), bool(wire["ended"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of a job. `outcome`: running, completed, skipped, failed, cancelled or snoozed; times are in UTC."""

    attempt: int
    worker_id: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str = "failed"
    error_type: str | None = None
    error_message: str | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Attempt:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(
            attempt=int(wire["attempt"]),
            worker_id=wire.get("worker_id"),
            started_at=_time(wire.get("started_at")),
            ended_at=_time(wire.get("ended_at")),
            outcome=str(wire.get("outcome", "failed")),
            error_type=wire.get("error_type"),
            error_message=wire.get("error_message"),
        )


@dataclass(frozen=True, slots=True)
class StateChange:
    """A state that the job came to, and when."""

    at: datetime
    state: str
    attempt: int | None
    note: str | None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> StateChange:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(datetime.fromisoformat(wire["at"]), str(wire["state"]), wire.get("attempt"), wire.get("note"))


@dataclass(frozen=True, slots=True)
class History:
    """A job's past, oldest first. `forgotten` attempts left no record."""

    attempts: tuple[Attempt, ...]
    changes: tuple[StateChange, ...]
    forgotten: int
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> History:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        attempts = tuple(Attempt.from_wire(each) for each in wire["attempts"])
        changes = tuple(StateChange.from_wire(each) for each in wire["changes"])
        return cls(attempts, changes, int(wire["forgotten"]), wire)


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
