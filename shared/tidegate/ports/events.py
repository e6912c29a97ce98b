"""What is told of changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from .dags import Addition

if TYPE_CHECKING:
    from tidegate.domain.change import Change
    from tidegate.domain.events import AnyEvent


class Figures(Protocol):
    """Running totals, kept by the change feed."""

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        """Add all, atomically. Guard: no batch of this name was added before. Answers whether it was added."""

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        """The totals of a series; absent fields are 0 and left out."""

    def drop(self, tenant: str, series: str) -> None:
        """Forget the totals of a series."""

    def between(self, tenant: str, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """The totals of every series from `first` to `last`, both included, by name, in the order of their bytes."""


class EventBus(Protocol):
    """Where transitions of jobs and runs are announced."""

    def publish(self, events: Sequence[AnyEvent]) -> None:
        """Announce each, at least once; the same event keeps its `id`. Order is kept where the home can (SQLite)."""


class Announced(NamedTuple):
    """An event and its position in the stream: positions only grow."""

    position: int
    event: AnyEvent


class EventStream(Protocol):
    """The newest events of the embedded home, kept for those who listen. In the cloud they are on the bus alone."""

    def read(self, tenant: str, after: int, limit: int) -> tuple[Sequence[Announced], int]:
        """Up to `limit` of the tenant's events after a position, oldest first, and the position to go on from."""

    def bounds(self) -> tuple[int, int]:
        """The positions of the oldest and of the newest event, of any tenant, that is kept; 0 and 0 when none is."""


class Feed(Protocol):
    """Committed changes of jobs, for the embedded home: what DynamoDB Streams delivers in the cloud."""

    def read(self, limit: int) -> Sequence[Change]:
        """The oldest changes not dropped yet, in the order of their commits."""

    def drop(self, changes: Sequence[Change]) -> None:
        """Forget all changes up to the last of these."""

    def wait(self, seconds: float) -> None:
        """Wait until one more job of a run has ended, for others may wait for it; at most so long."""
