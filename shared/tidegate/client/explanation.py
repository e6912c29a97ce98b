"""What the server answers to "why is this job not running?"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that keeps the job from running (`holds`), or that it has passed; `message` is a clause about it."""

    gate: str
    holds: bool
    message: str
    facts: Mapping[str, Any]

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Gate:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(str(wire["gate"]), bool(wire["holds"]), str(wire["message"]), dict(wire["facts"]))


@dataclass(frozen=True, slots=True)
class Why:
    """Why a job is not running, or why it ended as it did: one sentence, and every gate with its facts."""

    job_id: str
    state: str
    verdict: str
    gates: tuple[Gate, ...]
    expected_start: datetime | None
    """An estimate; None where nothing tells, and for jobs that do not wait."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def holding(self) -> tuple[Gate, ...]:
        """The gates that keep it from running."""
        return tuple(gate for gate in self.gates if gate.holds)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Why:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        gates = tuple(Gate.from_wire(each) for each in wire["gates"])
        expected = wire["expected_start"]
        start = None if expected is None else datetime.fromisoformat(expected)
        return cls(str(wire["job_id"]), str(wire["state"]), str(wire["verdict"]), gates, start, wire)
