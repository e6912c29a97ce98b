"""The pump of the embedded home's changes: it comes at once when the end of a job may let others of its run go."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest

from home import ADMIN, Home
from tidegate.adapters.sqlite import feed as sqlite_feed
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.local import background
from tidegate.local.background import Pump
from tidegate.service.runs import submit_dag

NODES = tuple(NodeSpec(id=name, job={"name": "work"}, depends_on=before) for name, before in (("a", ()), ("b", ("a",))))


class Time:
    """Time that passes only while somebody sleeps; at `at` seconds something happens."""

    def __init__(self) -> None:
        self.now = self.at = 0.0
        self.happens: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        before, self.now = self.now, self.now + seconds
        if before < self.at <= self.now:
            self.happens()

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    for module in (sqlite_feed, background):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=made.sleep, monotonic=made.monotonic))
    return made


@pytest.fixture
def others(new_home: Callable[[], Home]) -> Home:
    """Another process on the same folder."""
    return new_home()


def test_the_end_of_a_node_is_not_waited_for_longer_than_a_look(home: Home, others: Home, time: Time) -> None:
    submit_dag(home.ports, ADMIN, DagSpec(name="d", nodes=NODES), {})
    home.changes()
    time.at, time.happens = 0.05, lambda: others.drain(others.runner(work=lambda job: None))
    assert home.app.feed is not None
    pump = Pump(home.ports, home.app.feed)
    pump.pause()
    assert time.at <= time.now < time.at + 0.01
    ended = time.now
    pump.pause()
    assert time.now == pytest.approx(ended + 0.1), "what could not be handed over is not tried again and again"


@pytest.mark.parametrize("ends", [True, False])
def test_jobs_that_nobody_waits_for_are_gathered(home: Home, others: Home, time: Time, ends: bool) -> None:
    home.submit()
    time.at, time.happens = 0.03, lambda: others.drain(others.runner(work=lambda job: None)) if ends else None
    assert home.app.feed is not None
    Pump(home.ports, home.app.feed).pause()
    assert time.now == pytest.approx(0.1)


def test_a_pump_that_has_much_to_do_lets_more_gather(
    home: Home, others: Home, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is busy for a third of the time at most, while there is less to hand over than a tenth of a second's."""
    submit_dag(home.ports, ADMIN, DagSpec(name="d", nodes=NODES), {})
    monkeypatch.setattr(background, "pump_changes", lambda ports, feed: time.sleep(0.02))
    assert home.app.feed is not None
    pump = Pump(home.ports, home.app.feed)
    pump.step()
    others.drain(others.runner(work=lambda job: None))
    pump.pause()
    assert time.now == pytest.approx(0.06)
