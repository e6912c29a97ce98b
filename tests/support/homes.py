"""A home of either kind, and the clock it lives by."""

from __future__ import annotations

from dataclasses import dataclass

from tidegate.ports import Ports

from .clock import Clock

KINDS = ("aws", "sqlite")


@dataclass(frozen=True, slots=True)
class Home:
    """All ports of one kind of home, empty at first."""

    kind: str
    ports: Ports
    clock: Clock
    dynamodb: str | None = None
    """The endpoint of the server that has the tables, where it is not moto."""
