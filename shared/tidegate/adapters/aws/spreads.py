"""On which keys of the index a lane's ready jobs are put and looked for, by the policy of its queue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tidegate.domain import spread
from tidegate.domain.guard import Place, Spot
from tidegate.domain.job import Ms
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane

from .attributes import Item
from .keys import lane_board, spot_attributes

Policies = Callable[[str, str], Queue | None]
"""The policy of a tenant's queue, as `Queues.get` answers it; it may be some seconds old."""


class Spreads:
    """The keys of each lane. A queue without a policy of its own has one."""

    def __init__(self, policies: Policies, now: Callable[[], Ms]) -> None:
        self._policies = policies
        self._now = now

    def attributes(self, spot: Spot, sort_key: str) -> Item:
        """`board` and `board_at` of a spot, for the job at `sort_key`."""
        return spot_attributes(spot, sort_key, self._written(spot))

    def boards(self, lane: Lane, keys: range | None) -> Sequence[str]:
        """The index partitions of a lane: of these keys, or of all on which its jobs may stand."""
        if keys is None:
            queue = self._policies(lane.tenant, lane.queue)
            keys = range(1 if queue is None else spread.asked(queue))
        return [lane_board(lane, key) for key in keys]

    def _written(self, spot: Spot) -> int:
        if spot.place is not Place.READY or spot.lane is None:
            return 1
        queue = self._policies(spot.lane.tenant, spot.lane.queue)
        return 1 if queue is None else spread.written(queue, self._now())
