"""On which key of the index each ready job stands, where queues are spread over several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from tidegate.adapters.caching import CachedQueues
from tidegate.domain import spread
from tidegate.domain.guard import Place, Spot
from tidegate.domain.ticket import Lane
from tidegate.ports import JobKey, Ready

from .wire import Wire

_ALL = 10_000
"""More jobs than a history has."""


class Shards:
    """What one process knows of it. Nothing is asked, and nothing changes, while every queue has one key."""

    def __init__(self, wire: Wire, queues: CachedQueues) -> None:
        self._wire = wire
        self._queues = queues
        self._chosen: dict[JobKey, int] = {}

    def choose(self, spots: Iterable[tuple[Lane | None, Spot, str]]) -> None:
        """Decide on which keys jobs will stand, before they are written there."""
        if not self._wire.store.spread:
            return
        for lane, spot, job_id in spots:
            if lane is not None and spot.place is Place.READY:
                queue = self._queues.get(*lane)
                keys = 1 if queue is None else spread.written(queue, self._wire.process.now())
                self._chosen[JobKey(lane.tenant, job_id)] = crc32(job_id.encode()) % keys

    def put(self, tenant: str, job_id: str) -> None:
        """The job was written, and stands where it was decided."""
        key = JobKey(tenant, job_id)
        if key in self._chosen:
            self._wire.store.keys[key] = self._chosen.pop(key)

    def asked(self, lane: Lane, keys: range | None) -> range | None:
        """The keys that a look at the lane asks; None: there is but one."""
        if not self._wire.store.spread:
            return None
        queue = self._queues.get(*lane)
        return keys if keys is not None else range(1 if queue is None else spread.asked(queue))

    def on(
        self,
        asked: range | None,
        lane: Lane,
        limit: int,
        from_rank: int,
        head: Callable[[Lane, int, int], Sequence[Ready]],
    ) -> Sequence[Ready]:
        """The head of the lane, as far as it stands on the keys that are asked."""
        if asked is None:
            return head(lane, limit, from_rank)
        keys = self._wire.store.keys
        return [each for each in head(lane, _ALL, from_rank) if keys.get(JobKey(lane.tenant, each.job_id), 0) in asked][
            :limit
        ]
