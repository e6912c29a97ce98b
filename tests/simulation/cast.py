"""All who act in one history, the home they act in, and the time they live by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tidegate_functions.worker.handler as worker_function

from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.job import Ms
from tidegate.execution import attempt_runner as execution
from tidegate.execution.runner import Runner
from tidegate.ports import Ports
from tidegate.runtime import CLOUD_HEAD_MS, App
from tidegate.settings import Settings
from tidegate.worker import pull

from .faults import Faults
from .ports import ports_of
from .store import Store
from .watch import Watch
from .wire import Wire
from .world import Crash, Process, Task, World

CALLER = Caller("main", "ann", frozenset({"admin"}))
OTHER = Caller("other", "bob", frozenset({"admin"}))
LONG = 30 * 86_400_000
SETTINGS = Settings(data=Path("/nowhere"), pools={"default": {}})


@dataclass(frozen=True, slots=True)
class Home:
    """Times of one kind of home, in seconds."""

    name: str
    lease: float
    tick: float
    visibility: float
    remembers: float
    """How long a process believes what it read of a queue's policy."""
    by_lambda: bool
    """Whether tickets come through an event source; else workers pull them."""
    grace: float
    """How long a lease must have run out before a job is taken over."""
    skew: float
    """How wrong clocks may be; on one machine there is only one."""
    head_ms: Ms = 0
    """How old the head of a lane may be that a worker claims by."""


EMBEDDED = Home("embedded", 10, 1, 10, 0.5, by_lambda=False, grace=0, skew=0)
LAMBDA = Home("cloud, Lambda", 60, 60, 360, 5, by_lambda=True, grace=30, skew=30, head_ms=CLOUD_HEAD_MS)
PULL = Home("cloud, pull workers", 60, 60, 360, 5, by_lambda=False, grace=30, skew=30, head_ms=CLOUD_HEAD_MS)


@dataclass(slots=True)
class Cast:
    """All who act in one history, and what they share."""

    world: World
    home: Home
    faults: Faults
    watch: Watch
    store: Store
    skew: Ms = 0
    at_odds: bool = False
    """Whether every clock is as wrong as it may be, one way or the other."""
    busy: bool = False
    """Whether many short jobs come at once."""
    batch: int = 1
    """Tickets that an invocation is given at most."""
    clients: int = 0
    """Who still wants something."""
    numbers: dict[str, int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)
    apps: dict[Task, App] = field(default_factory=dict)
    """What `runtime.current()` answers to each task."""
    runners: dict[App, Runner] = field(default_factory=dict)

    def start(self, role: str) -> tuple[Process, Ports]:
        """A fresh process, and its ports."""
        number = self.numbers[role] = self.numbers.get(role, 0) + 1
        skew = self._skew()
        process = Process(self.world, role, number, skew)
        self.processes.append(process)
        home, wire = self.home, Wire(self.store, process)
        return process, ports_of(wire, remembers=home.remembers, grace=home.grace, head_ms=home.head_ms)

    def _skew(self) -> Ms:
        """How wrong the clock of a fresh process is."""
        if self.at_odds:
            return self.skew if self.world.chance(0.5) else -self.skew
        return self.world.between(-self.skew, self.skew) if self.skew else 0

    @contextmanager
    def runs(self, app: App) -> Iterator[None]:
        """Let `app` be the current one for the task that calls."""
        task = self.world.current()
        self.apps[task] = app
        try:
            yield
        finally:
            del self.apps[task]

    def visit(self, act: Callable[[], object], within: Ms, after: Ms = 0) -> None:
        """Let a client do something once, `after` so many milliseconds and at some time within so many more."""

        def visit() -> None:
            act()
            self.clients -= 1

        self.clients += 1
        self.world.spawn(visit, after + self.world.between(0, within))

    def forever(self, role: str, life: Callable[[Process, Ports], None], pause: Ms = 3_000) -> None:
        """Run a process, and another whenever it dies."""

        def lives() -> None:
            while True:
                process, ports = self.start(role)
                try:
                    life(process, ports)
                except Crash:
                    self.world.note(f"{process.name} is dead")
                self.watch.lets_go(process)
                self.world.sleep(self.world.between(100, pause))

        self.world.spawn(lives, self.world.between(0, 1_000))


class VirtualTime:
    """In the place of the module `time` in the runner and the pull loop."""

    def __init__(self, world: World) -> None:
        self._world = world

    def monotonic(self) -> float:
        return self._world.now / 1000

    def sleep(self, seconds: float) -> None:
        self._world.sleep(round(seconds * 1000))


@contextmanager
def on_virtual_time(cast: Cast) -> Iterator[None]:
    """Let the project's loops and functions live in the world of `cast`."""
    virtual: Any = VirtualTime(cast.world)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "time", virtual)
        patch.setattr(pull, "time", virtual)
        patch.setattr(runtime, "current", lambda: cast.apps[cast.world.current()])
        patch.setattr(worker_function, "_runner", lambda app: cast.runners[app])
        yield
