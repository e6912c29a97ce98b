"""Virtual time, and tasks that take turns. One random generator decides every interleaving, so a seed is a history.

A task is a greenlet. It gives up its turn in `World.sleep` alone; every call to a port sleeps first, so any
other task's call may come between two calls of this one.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from heapq import heappop, heappush

from greenlet import GreenletExit, getcurrent, greenlet  # type: ignore[import-untyped]

from tidegate.domain.job import Ms

START: Ms = 1_800_000_000_000


class Crash(BaseException):
    """The process dies at this point. Not an Exception, so that nothing tidies up after it."""


class Task:
    """One flow of control."""

    __slots__ = ("greenlet", "token")

    def __init__(self, run: Callable[[], None], hub: greenlet) -> None:
        self.greenlet = greenlet(run, hub)
        self.token = 0


class World:
    """The present, and who acts next."""

    def __init__(self, seed: int | str, say: Callable[[str], None] | None = None) -> None:
        self.rng = random.Random(seed)
        self.now: Ms = START
        self.trace = 0
        self.over = False
        self.failed: BaseException | None = None
        self._say = say
        self._hub = getcurrent()
        self._turns: list[tuple[Ms, float, int, int, Task]] = []
        self._tasks: list[Task] = []
        self._count = 0
        self._current: Task | None = None

    def spawn(self, run: Callable[[], None], after: Ms = 0) -> Task:
        """Start a task `after` so many milliseconds."""

        def body() -> None:
            try:
                run()
            except (Crash, GreenletExit):
                return
            except BaseException as error:
                self.failed = self.failed or error

        task = Task(body, self._hub)
        self._tasks.append(task)
        self._push(task, self.now + after)
        return task

    def sleep(self, ms: Ms) -> None:
        """Let `ms` milliseconds pass for the task that calls; others may act meanwhile."""
        task = self._current
        assert task is not None
        at = self.now + ms
        if self._turns and at < self._turns[0][0] and not self.over:
            self.now = at
            return
        self._push(task, at)
        self._hub.switch()

    def current(self) -> Task:
        """The task whose turn it is."""
        assert self._current is not None
        return self._current

    def wake(self, task: Task, at: Ms) -> None:
        """Let a sleeping task go on at `at` instead."""
        self._push(task, at)

    def chance(self, probability: float) -> bool:
        """True so often."""
        return self.rng.random() < probability

    def between(self, low: Ms, high: Ms) -> Ms:
        """A number of milliseconds from `low` up to `high`."""
        return low + int(self.rng.random() * (high - low))

    def note(self, text: str) -> None:
        """Put on record what happens: the trace of two runs of one seed must be the same."""
        self.trace = zlib.crc32(f"{self.now} {text}".encode(), self.trace)
        if self._say is not None:
            self._say(f"{(self.now - START) / 1000:12.3f}  {text}")

    def run(self) -> None:
        """Give turns until `over`, or until nobody wants one; raises what a task raised."""
        while self._turns and not self.over and self.failed is None:
            at, _, _, token, task = heappop(self._turns)
            if token != task.token:
                continue
            self.now = max(self.now, at)
            self._current = task
            task.greenlet.switch()
        self._current = None
        self.over = True
        for task in self._tasks:
            if not task.greenlet.dead:
                task.greenlet.throw(GreenletExit)
        if self.failed is not None:
            raise self.failed

    def _push(self, task: Task, at: Ms) -> None:
        self._count += 1
        task.token = self._count
        heappush(self._turns, (at, self.rng.random(), self._count, self._count, task))


class Process:
    """What lives and dies as one: its clock is wrong by `skew` milliseconds."""

    def __init__(self, world: World, role: str, number: int, skew: Ms = 0) -> None:
        self.world = world
        self.role = role
        self.name = f"{role}-{number}"
        self.skew = skew
        self.alive = True
        self.frozen_until: Ms = 0
        self.calls = 0
        self.failed = 0
        """Calls that were refused, or whose outcome it was not told."""
        self.held_up = 0
        """Calls that were slow, or before which it slept."""

    def now(self) -> Ms:
        """The time as this process sees it."""
        return self.world.now + self.skew

    def sleep(self, ms: Ms) -> None:
        """Let time pass; raises Crash when the process died meanwhile."""
        self.world.sleep(ms)
        while self.frozen_until > self.world.now:
            self.world.sleep(self.frozen_until - self.world.now)
        if not self.alive:
            raise Crash

    def die(self) -> None:
        """End the process where it stands; raises Crash."""
        self.alive = False
        raise Crash
