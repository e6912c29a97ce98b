"""What goes wrong in a soak: processes are killed and frozen at random, and started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from .processes import SERVER, Home, Member

FROZEN_SECONDS = 12.0
"""Longer than the lease of the embedded home: who wakes up then has lost its jobs."""


class Chaos:
    """Kills, from a thread of its own, about once in `pause` seconds."""

    def __init__(self, home: Home, seed: int, pause: float) -> None:
        self.done: Counter[str] = Counter()
        self._home = home
        self._rng = random.Random(seed)
        self._pause = pause
        self._stopping = threading.Event()
        self._frozen: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="chaos")
        self._harms: dict[str, tuple[int, Callable[[], None]]] = {
            "pull worker killed": (5, self._kill_worker),
            "pull worker frozen": (1, self._freeze_worker),
            "worker of the server killed": (2, self._kill_child),
            "server killed with its workers": (1, lambda: self._server.kill()),
            "server killed alone": (1, lambda: self._server.kill(group=False)),
        }

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Do no more harm; everything runs again when this returns."""
        self._stopping.set()
        self._thread.join()
        for name in list(self._frozen):
            self._thaw(name)
        self._home.start_all()
        self._home.wait_until_up()

    @property
    def _server(self) -> Member:
        return self._home.members[SERVER]

    def _run(self) -> None:
        while not self._stopping.wait(self._rng.uniform(0.5, 1.5) * self._pause):
            name = self._rng.choices(list(self._harms), [weight for weight, _ in self._harms.values()])[0]
            self._harms[name][1]()
            self.done[name] += 1
            self._stopping.wait(self._rng.uniform(0, 0.5))
            for frozen, until in list(self._frozen.items()):
                if time.monotonic() >= until:
                    self._thaw(frozen)
            self._home.start_all()

    def _victim(self) -> str:
        return self._rng.choice([name for name in self._home.members if name != SERVER])

    def _kill_worker(self) -> None:
        name = self._victim()
        self._frozen.pop(name, None)
        self._home.members[name].kill()

    def _freeze_worker(self) -> None:
        name = self._victim()
        self._home.members[name].signal(signal.SIGSTOP)
        self._frozen[name] = time.monotonic() + FROZEN_SECONDS

    def _thaw(self, name: str) -> None:
        self._frozen.pop(name, None)
        self._home.members[name].signal(signal.SIGCONT)

    def _kill_child(self) -> None:
        children = self._server.children()
        if children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._rng.choice(children), signal.SIGKILL)
