"""What keeps jobs within the limits of their queues."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tidegate.domain.job import Ms
    from tidegate.domain.limits import Semaphore
    from tidegate.domain.ticket import Lane


class Lanes(Protocol):
    """Which lanes may hold ready jobs, so that the clock knows where to look."""

    def touch(self, lane: Lane, now: Ms) -> None:
        """Remember the lane, at least until two hours after `now`. Cheap when done again."""

    def all(self) -> Sequence[tuple[Lane, Ms]]:
        """Every remembered lane and when it was last touched."""

    def drop_if_untouched(self, lane: Lane, seen: Ms) -> None:
        """Forget the lane. Guard: not touched since `seen`."""


@dataclass(frozen=True, slots=True)
class Holding:
    """Who holds slots of a semaphore, and whether jobs wait for one."""

    semaphore: Semaphore
    holders: frozenset[str] = frozenset()
    waiting: str | None = None
    """The id of a job that found no free slot: the last one that had to be noted."""


class Grant(NamedTuple):
    """The answer to one who asked for a slot, and the semaphore as it is then."""

    granted: bool
    holding: Holding


class Slots(Protocol):
    """Semaphores: who may run. Holders' names are never used again, so every method may be repeated."""

    def acquire_if_free(self, semaphore: Semaphore, holder: str, limit: int) -> Grant:
        """Take a slot. Guard: fewer than `limit` are held, or `holder` has one already."""

    def release(self, semaphore: Semaphore, holder: str) -> Holding | None:
        """Give a slot back. Guard: `holder` has one. Answers the semaphore without it, None if it had none."""

    def get(self, semaphore: Semaphore) -> Holding:
        """The semaphore as last written."""

    def expect(self, semaphore: Semaphore, job_id: str) -> None:
        """Note that a job waits for a slot, so that whoever gives one back looks for it."""

    def of_lane(self, lane: Lane, limit: int) -> Sequence[Holding]:
        """Up to `limit` semaphores of a lane, the lane's own first."""

    def all(self, after: Semaphore | None, limit: int) -> Sequence[Holding]:
        """Up to `limit` semaphores of all lanes in an order that stays, from behind `after` on. May lag by a second."""

    def tidy(self, seen: Holding) -> None:
        """Forget who waits, and all of it if nobody holds a slot. Guard: it is still as `seen`."""


class Rates(Protocol):
    """Starts counted in windows of time."""

    def take_if_left(self, lane: Lane, window: Ms, limit: int) -> bool:
        """Count one start in the window that began at `window`. Guard: fewer than `limit` were counted."""

    def give_back(self, lane: Lane, window: Ms) -> None:
        """Take back a start that did not happen; without effect once the window is forgotten."""

    def taken(self, lane: Lane, window: Ms) -> int:
        """The starts counted in a window; old windows are forgotten."""


BACKLOG = "backlog#"


def backlog_series(lane: Lane) -> str:
    """The series of `Figures` that holds a lane's backlog: `size`, and `pending`, counted and not yet seen stored."""
    return BACKLOG + lane.queue


class Backlogs(Protocol):
    """How many jobs of a lane were accepted and did not start yet, where the queue limits that.

    A job is counted before it is stored; the change feed takes off what left, exactly once. So the size is never
    too small, and the crash of a submitter leaves it too large until `correct`.
    """

    def admit_if_room(self, lane: Lane, count: int, limit: int, now: Ms) -> int:
        """Count up to `count` jobs more. Guard: the size stays within `limit`. Answers how many were counted."""

    def withdraw(self, lane: Lane, count: int) -> None:
        """Take off jobs that were counted and then not stored."""

    def size(self, lane: Lane) -> int:
        """The size as last written."""

    def correct(self, lane: Lane, before: Ms) -> int:
        """Take off what was counted and never stored. Guard: nobody was admitted since `before`.

        Answers by how much the size was wrong.
        """


class UniqueKeys(Protocol):
    """Which job a unique key belongs to. `JobStore.create` and `apply` move a key, in one step with the job."""

    def holder(self, lane: Lane, key: str) -> str | None:
        """The id of the last job that took the key. That job may have ended, or be gone."""

    def drop_if_held(self, lane: Lane, key: str, job_id: str) -> None:
        """Forget the key. Guard: it belongs to that job."""
