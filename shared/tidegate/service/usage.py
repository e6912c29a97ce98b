"""How much of its limits a queue uses now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tidegate.domain.caller import Caller
from tidegate.domain.limits import window_of
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import Ports

from .policies import get_queue

_KEYS = 100


@dataclass(frozen=True, slots=True)
class Usage:
    """What is in use. None where the queue has no such limit, so that nobody counts."""

    running: int | None = None
    """Jobs that hold one of the queue's `slots`."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """Running jobs by `concurrency_key`, up to 100 keys."""
    starts: int | None = None
    """Starts in the present window of the rate limit."""
    size: int | None = None
    """Jobs that count against `max_queue_size`."""


def use_of(ports: Ports, caller: Caller, name: str) -> tuple[Queue, Usage]:
    """A queue and its use: at most one request for each limit that it has. Raises NotFound."""
    queue = get_queue(ports, caller, name)
    lane, now = Lane(queue.tenant, queue.name), ports.now()
    holdings = ports.slots.of_lane(lane, _KEYS + 1) if queue.limits_running else []
    held = {holding.semaphore.key: len(holding.holders) for holding in holdings}
    running = held.pop("", 0)
    return queue, Usage(
        running=None if queue.slots is None else running,
        keys={key: count for key, count in held.items() if count},
        starts=None if queue.rate_limit is None else ports.rates.taken(lane, window_of(queue.rate_period, now)),
        size=None if queue.max_queue_size is None else ports.backlogs.size(lane),
    )
