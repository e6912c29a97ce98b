"""The semaphores of queues as a process sees them."""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.adapters.sqlite.limits import SqliteSlots
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane
from tidegate.ports import Grant, Holding

from .wire import Wire


class Slots:
    """`Slots`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteSlots(wire.store.database)

    def acquire_if_free(self, semaphore: Semaphore, holder: str, limit: int) -> Grant:
        return self._wire.call("slots.acquire", lambda: self._real.acquire_if_free(semaphore, holder, limit))

    def release(self, semaphore: Semaphore, holder: str) -> Holding | None:
        return self._wire.call("slots.release", lambda: self._real.release(semaphore, holder))

    def get(self, semaphore: Semaphore) -> Holding:
        return self._wire.call("slots.get", lambda: self._real.get(semaphore))

    def expect(self, semaphore: Semaphore, job_id: str) -> None:
        self._wire.call("slots.expect", lambda: self._real.expect(semaphore, job_id))

    def of_lane(self, lane: Lane, limit: int) -> Sequence[Holding]:
        return self._wire.call("slots.of_lane", lambda: self._real.of_lane(lane, limit))

    def all(self, after: Semaphore | None, limit: int) -> Sequence[Holding]:
        return self._wire.call("slots.all", lambda: self._real.all(after, limit))

    def tidy(self, seen: Holding) -> None:
        self._wire.call("slots.tidy", lambda: self._real.tidy(seen))
