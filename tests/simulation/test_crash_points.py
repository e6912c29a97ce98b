"""Every use case, stopped at every one of its calls."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from . import crash_points
from .cast import PULL
from .crash_points import ALL_CASES, HOMES, Point
from .run_cases import RUN_CASES
from .use_cases import USE_CASES, UseCase

OF_RUNS = ("submit a run", "fan out", "cancel a run with clean-up", "resume a run")
"""Where somebody may come between: all of them by `make simulate`."""


@pytest.mark.parametrize(
    ("what", "points", "at_least"),
    [
        ("crash points", partial(crash_points.crash_points, cases=USE_CASES), 600),
        ("failed calls", partial(crash_points.failed_calls, cases=USE_CASES), 600),
        ("visits between two calls", partial(crash_points.visits, HOMES[:1], USE_CASES), 2_400),
        ("crash points of runs", partial(crash_points.crash_points, (PULL,), RUN_CASES), 350),
        ("failed calls of runs", partial(crash_points.failed_calls, (PULL,), RUN_CASES), 350),
        ("visits of runs", partial(crash_points.visits, (PULL,), [c for c in RUN_CASES if c.name in OF_RUNS]), 150),
    ],
)
def test_no_point_loses_or_doubles_a_job(
    what: str, points: Callable[[], Iterator[Point]], at_least: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Die there, fail there, or let somebody come between: the rest of the system makes it good.

    Visits are paid to one home here, and to all of them by `make simulate`; so with all of runs.
    """
    summary = crash_points.summed_up(points())
    with capsys.disabled():
        sys.stdout.write(f"\n{summary.told(what)}\n")
    assert not summary.bad
    assert summary.count >= at_least


@pytest.mark.parametrize("case", ALL_CASES, ids=lambda case: case.name)
def test_every_use_case_calls_its_ports(case: UseCase) -> None:
    """A use case without calls would have no crash points."""
    assert all(crash_points.calls_of(case, home) for home in HOMES)
