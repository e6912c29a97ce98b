"""How the rules of runs are broken on purpose, one at a time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

import pytest

from tidegate.domain.dag import joins
from tidegate.domain.dag.joins import Decision, End, Pass, Release, Wait
from tidegate.domain.dag.spec import Join
from tidegate.domain.guard import Guard
from tidegate.domain.job import State
from tidegate.execution import attempt_runner
from tidegate.service import (
    looks,
    release,
    runs,
    tick,
)

from .breakages import weaken

Patch = pytest.MonkeyPatch


def nothing_released(patch: Patch) -> None:
    patch.setattr(release.Engine, "go_on", lambda *_: None)


def runs_never_looked_at(patch: Patch) -> None:
    patch.setattr(tick, "check_runs", lambda *_, **__: 0)


def one_parent_is_enough(patch: Patch) -> None:
    real = joins.decide

    def hasty(join: Join, count: int | None, ends: Mapping[str, End | None]) -> Decision:
        return Release() if End.DONE in ends.values() else real(join, count, ends)

    patch.setattr(release, "decide", hasty)


def failures_strand(patch: Patch) -> None:
    real = joins.decide

    def patient(*args: Any) -> Decision:
        decision = real(*args)
        return Wait() if isinstance(decision, Pass) and decision.broken else decision

    patch.setattr(release, "decide", patient)


def released_again(patch: Patch) -> None:
    weaken(patch, "unblock", lambda write: Guard(frozenset(State)))
    patch.setattr(release, "_is_blocked", lambda job: True)


def closed_early(patch: Patch) -> None:
    patch.setattr(release, "_all_ended", lambda run, states: sum(states.values()) > 1)


def every_path_is_taken(patch: Patch) -> None:
    patch.setattr(release, "why_not_taken", lambda node, results: None)


def entries_not_waited_for(patch: Patch) -> None:
    patch.setattr(release, "ends_of_entries", lambda looks, job, count: {})


def one_entry_too_few(patch: Patch) -> None:
    real = release.fan_out
    patch.setattr(release, "fan_out", lambda ports, run, job, entries: real(ports, run, job, entries[:-1]))


def nothing_collected(patch: Patch) -> None:
    patch.setattr(attempt_runner, "_collected", lambda context: {})


def other_runs_not_told(patch: Patch) -> None:
    patch.setattr(runs, "wait_for_others", lambda ports, run, graph: None)


def one_look_decides(patch: Patch) -> None:
    real = looks.Looks._in_turn
    patch.setattr(looks.Looks, "_in_turn", lambda self, names, last: islice(real(self, names, last), 1))


def figures_never_enough(patch: Patch) -> None:
    patch.setattr(looks, "_may_decide", lambda vertex, counted, last: False)
