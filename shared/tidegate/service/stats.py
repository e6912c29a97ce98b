"""How many jobs stand where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import COARSE, State
from tidegate.ports import Ports


@dataclass(frozen=True, slots=True)
class Stats:
    """Jobs by state, fine and coarse, as the change feed counted them (seconds late at most)."""

    states: Mapping[str, int]
    counts: Mapping[str, int]
    total: int


def stats(ports: Ports, caller: Caller) -> Stats:
    """The counters of the caller's tenant."""
    caller.require(Scope.READ)
    found = ports.figures.read(caller.tenant, "states")
    states = {state.value: max(0, found.get(state.value, 0)) for state in State}
    counts = dict.fromkeys(dict.fromkeys(COARSE.values()), 0)
    for state in State:
        counts[COARSE[state]] += states[state.value]
    return Stats(states, counts, sum(states.values()))
