"""The soak in short: real processes, killed at random, and the promise afterwards. `make soak` is the long one."""

from __future__ import annotations

from pathlib import Path

from soak.__main__ import report
from soak.plan import Plan
from soak.soaking import soak


def test_nothing_is_lost_or_done_twice_while_processes_are_killed(tmp_path: Path) -> None:
    plan = Plan(jobs=120, runs=3, seed=7)
    soaked = soak(plan, tmp_path, seconds=3, pause=0.7, patience=120)
    assert not soaked.verdict.broken, "\n".join(report(plan, soaked))
    assert sum(soaked.harm.values()) >= 2
