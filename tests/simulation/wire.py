"""The way of a process to its ports: calls are slow, refused, half done, or the last thing that a process does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from tidegate.domain.errors import Unavailable

from .faults import Kind
from .store import Store
from .world import Process

A = TypeVar("A")
B = TypeVar("B")


class Wire:
    """The way of one process to its ports."""

    def __init__(self, store: Store, process: Process) -> None:
        self.store = store
        self.process = process
        self.world = store.world
        self.faults = store.faults
        self.atomic = False
        """Within a transaction of the file: nobody comes between, and a crash undoes it all."""
        self._untold: list[Callable[[], None]] = []

    def tell(self, word: Callable[[], None]) -> None:
        """Let the watch know of a write: at once, or when the transaction is done, if it ever is."""
        if self.atomic:
            self._untold.append(word)
        else:
            word()

    def call(self, name: str, effect: Callable[[], A]) -> A:
        """Do `effect` as one call to a port."""
        fault = self._reach(name)
        if fault is None:
            return effect()
        if fault is Kind.REFUSED:
            raise Unavailable(f"{name}: refused")
        if fault is Kind.CRASH_BEFORE:
            self.process.die()
        answer = effect()
        return self._return(name, fault, answer)

    def many(self, name: str, items: Sequence[A], effect: Callable[[Sequence[A]], Sequence[B]]) -> Sequence[B]:
        """Do `effect` on each item for itself, as one call to a port: others may come between."""
        if len(items) <= 1 or self.atomic:
            return self.call(name, lambda: effect(items))
        name = f"{name} of {len(items)}"
        fault = self._reach(name)
        if fault is Kind.REFUSED:
            raise Unavailable(f"{name}: refused")
        if fault is Kind.CRASH_BEFORE:
            self.process.die()
        whole = fault not in (Kind.PARTIAL, Kind.TORN)
        done: list[B] = []
        for item in items if whole else items[: 1 + int(self.world.rng.random() * (len(items) - 1))]:
            if done and self.world.chance(0.3):
                self.process.sleep(self.world.between(0, 20))
            done += effect([item])
        return done if fault is None else self._return(name, fault, done)

    def _reach(self, name: str) -> Kind | None:
        """The way there; answers what goes wrong with the call."""
        process, world = self.process, self.world
        if not self.atomic:
            process.sleep(int(world.rng.random() ** 2 * self.store.latency))
        process.calls += 1
        fault = self.faults.at_call(process, name)
        if self.atomic and fault in (Kind.UNREPORTED, Kind.PARTIAL):
            fault = Kind.REFUSED
        process.failed += fault in (Kind.REFUSED, Kind.UNREPORTED, Kind.PARTIAL)
        process.held_up += fault in (Kind.FROZEN, Kind.SLOW)
        if fault in (Kind.FROZEN, Kind.SLOW) and not self.atomic:
            longest = 3 * self.store.watch.lease if fault is Kind.FROZEN else 10_000
            if fault is Kind.FROZEN:
                process.frozen_until = world.now + world.between(0, longest)
            world.note(f"{process.name} {name}: {fault}")
            process.sleep(0 if fault is Kind.FROZEN else world.between(0, longest))
            fault = None
        world.note(f"{process.name} {name}: {fault or 'ok'}")
        return fault

    def _return(self, name: str, fault: Kind, answer: A) -> A:
        """The way back of a call that took effect."""
        if fault in (Kind.CRASH_AFTER, Kind.TORN):
            self.process.die()
        if fault in (Kind.UNREPORTED, Kind.PARTIAL):
            raise Unavailable(f"{name}: no answer")
        return answer

    @contextmanager
    def together(self) -> Iterator[None]:
        """One transaction of the file, for those who may have one."""
        self.process.sleep(0)
        with self.store.database.transaction():
            self.atomic = True
            self._untold.clear()
            try:
                yield
            finally:
                self.atomic = False
        for word in self._untold:
            word()
