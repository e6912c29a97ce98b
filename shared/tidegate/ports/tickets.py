"""Tickets: what wakes workers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tidegate.domain.priority import Band
    from tidegate.domain.ticket import Ticket


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a message: the `body` as sent, and what names this delivery to the queue."""

    body: str
    source: str
    """Name of the physical queue it came from."""
    receipt: str
    receives: int
    """How often the message was delivered, this time included."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages of one physical queue: to be seen, being worked on, and delayed."""

    visible: int
    in_flight: int
    delayed: int


class Tickets(Protocol):
    """The priority queues: at-least-once, unordered, sometimes lossy wake-ups."""

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        """Send each ticket to its pool's queue of its band, to be seen after so many seconds (at most 900)."""

    def receive(self, pool: str, limit: int, wait: float) -> Sequence[Delivery]:
        """Up to `limit` (1–10) tickets of the best band that has any, waiting up to `wait` seconds for one.

        Tenants are served in turn, whatever each has waiting: by SQS within a band (fair queues), where one receipt in
        eight begins with a lesser band; embedded over all bands, each tenant's best first.

        A delivered ticket is out of sight until `finish`, or until its visibility time-out ends.
        """

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """Take delivered tickets away for good. A delivery that is no longer current is left alone."""

    def again(self, delivery: Delivery, seconds: float) -> None:
        """Let a delivered ticket be seen again after so many seconds (at most 43,200, the limit of SQS)."""

    def depth(self, pool: str) -> Mapping[Band, Depth]:
        """Approximate depth of each priority queue of the pool."""

    def visible(self, pool: str, most: int) -> int:
        """How many tickets of the pool wait to be taken, approximately, counted up to `most`."""


class Polling(Protocol):
    """Whether AWS asks the queues for tickets on behalf of the Lambdas, which costs money also when there are none.

    Both methods may be called at any time, cheaply when nothing is to be changed. A queue that is not asked keeps its
    tickets; the clock calls `wake` as long as jobs may wait, so nothing is lost by a `rest` at the wrong moment.
    """

    def wake(self) -> None:
        """Have the queues asked."""

    def rest(self) -> None:
        """Have them asked no more."""


class AlwaysPolled:
    """`Polling` where nothing is to be changed: workers ask by themselves, or the stage never sleeps."""

    def wake(self) -> None:
        """See `Polling.wake`."""

    def rest(self) -> None:
        """See `Polling.rest`."""
