"""What can go wrong, how often, and how often it did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum

from .world import Process, World


class Kind(StrEnum):
    """One way for things to go wrong."""

    REFUSED = "call refused"
    UNREPORTED = "call applied, reported as failed"
    PARTIAL = "batch half applied, reported as failed"
    CRASH_BEFORE = "process died before a call"
    CRASH_AFTER = "process died after a call"
    TORN = "process died within a batch"
    FROZEN = "process paused, some longer than a lease"
    SLOW = "call slow by seconds"
    HANDLER_DIED = "process died within a handler"
    SKEWED = "clock wrong by up to 30 s"
    TICKET_LOST = "ticket lost"
    TICKET_DOUBLED = "ticket sent twice"
    TICKET_LATE = "ticket late, overtaken by others"
    DELIVERED_TWICE = "ticket visible too early"
    THROTTLED = "ticket delivered to nobody"
    FINISH_LOST = "acknowledgement lost"
    DEAD_LETTER = "ticket given up as a dead letter"
    PURGED = "all tickets gone"
    INDEX_LAG = "index answer up to 60 s old"
    TICK_SKIPPED = "tick skipped"
    TICK_DOUBLED = "tick doubled"
    BATCH_DOUBLED = "change batch doubled"
    BATCH_LATE = "change batch late"


AT_CALLS = (
    Kind.REFUSED,
    Kind.UNREPORTED,
    Kind.PARTIAL,
    Kind.CRASH_BEFORE,
    Kind.CRASH_AFTER,
    Kind.TORN,
    Kind.FROZEN,
    Kind.SLOW,
)
"""Those that strike a call to a port."""


class Faults:
    """No faults at all: what the others build on."""

    def __init__(self) -> None:
        self.counts: Counter[Kind] = Counter()

    def at_call(self, process: Process, call: str) -> Kind | None:
        """What happens to this call of this process."""
        return None

    def strikes(self, kind: Kind) -> bool:
        """Whether it goes wrong this time."""
        return False

    def stop(self) -> None:
        """From now on all goes well."""


class RandomFaults(Faults):
    """Each kind with a probability of its own."""

    def __init__(self, world: World, probabilities: Mapping[Kind, float]) -> None:
        super().__init__()
        self._world = world
        self._probabilities = dict(probabilities)
        self._limits: list[tuple[float, Kind]] = []
        limit = 0.0
        for kind in AT_CALLS:
            limit += self._probabilities.get(kind, 0.0)
            self._limits.append((limit, kind))
        self._any = limit

    def at_call(self, process: Process, call: str) -> Kind | None:
        """See `Faults.at_call`."""
        draw = self._world.rng.random()
        if draw >= self._any:
            return None
        kind = next(kind for limit, kind in self._limits if draw < limit)
        self.counts[kind] += 1
        return kind

    def strikes(self, kind: Kind) -> bool:
        """See `Faults.strikes`."""
        probability = self._probabilities.get(kind, 0.0)
        if probability == 0.0 or self._world.rng.random() >= probability:
            return False
        self.counts[kind] += 1
        return True

    def stop(self) -> None:
        """See `Faults.stop`."""
        self._probabilities.clear()
        self._any = 0.0


def storm(world: World) -> RandomFaults:
    """About half of all kinds, each rare, uncommon or frequent: combinations that an even mixture never reaches."""
    chosen = [kind for kind in Kind if world.chance(0.5)]
    return RandomFaults(world, {kind: _RATES[kind in AT_CALLS][int(world.rng.random() * 3)] for kind in chosen})


_RATES = {True: (0.003, 0.01, 0.04), False: (0.02, 0.1, 0.3)}
