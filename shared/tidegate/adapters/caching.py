"""Queue policies, remembered for a few seconds: read on every submission and claim, changed rarely."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.domain.job import Ms
from tidegate.domain.queue import Queue
from tidegate.ports import Queues

_REMEMBERED = 10_000


class CachedQueues:
    """`Queues` that answers `get` from memory for `seconds`. A change made here is seen here at once."""

    def __init__(self, queues: Queues, now: Callable[[], Ms], seconds: float) -> None:
        self._queues = queues
        self._now = now
        self._lifetime = round(seconds * 1000)
        self._seen: dict[tuple[str, str], tuple[Ms, Queue | None]] = {}

    def get(self, tenant: str, name: str) -> Queue | None:
        """See `Queues.get`; up to `seconds` old."""
        now = self._now()
        found = self._seen.get((tenant, name))
        if found is not None and 0 <= now - found[0] < self._lifetime:
            return found[1]
        queue = self._queues.get(tenant, name)
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[tenant, name] = (now, queue)
        return queue

    def list(self, tenant: str) -> Sequence[Queue]:
        """See `Queues.list`."""
        return self._queues.list(tenant)

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """See `Queues.put_if_unchanged`."""
        self._seen.pop((queue.tenant, queue.name), None)
        return self._queues.put_if_unchanged(queue, seen)
