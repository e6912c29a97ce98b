"""The clock's parts: one that fails keeps no other from being done, and is heard of."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.dag.run import Run, node_job_id
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import State
from tidegate.service import tick
from tidegate.service.release import Engine
from tidegate.service.runs import submit_dag

PARTS = {
    "fire_schedules": "schedules",
    "wake_due": "due jobs",
    "check_timers": "timers",
    "retire": "retention",
    "reticket_lanes": "lanes",
    "sweep_slots": "slots",
    "check_runs": "runs",
}
DAG = DagSpec(
    name="d", nodes=(NodeSpec(id="a", job={"name": "work"}), NodeSpec(id="b", job={"name": "work"}, depends_on=("a",)))
)


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(tick, name, fail)


def done_by(monkeypatch: pytest.MonkeyPatch, names: set[str]) -> list[str]:
    """Which of the parts are done, noted as they are."""
    done: list[str] = []
    for name in names:
        real = getattr(tick, name)

        def note(*arguments: Any, name: str = name, real: Any = real) -> Any:
            done.append(name)
            return real(*arguments)

        monkeypatch.setattr(tick, name, note)
    return done


@pytest.mark.parametrize("broken", PARTS)
def test_a_part_that_fails_keeps_no_other_from_being_done(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, broken: str
) -> None:
    done = done_by(monkeypatch, PARTS.keys() - {broken})
    failing(monkeypatch, broken, ValueError("a bug"))
    with caplog.at_level(logging.ERROR, "tidegate"), pytest.raises(ValueError, match="a bug"):
        tick.tick(home.ports, 60)
    assert set(done) == PARTS.keys() - {broken}
    (record,) = (each for each in caplog.records if getattr(each, "action", "") == "tick_part_failed")
    assert record.part == PARTS[broken]  # type: ignore[attr-defined]
    assert "in fail" in record.getMessage()
    assert "a bug" not in record.getMessage()


def test_between_two_minutes_deadlines_are_a_part_of_their_own(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    done = done_by(monkeypatch, {"retire", "reticket_lanes"})
    failing(monkeypatch, "check_deadlines", Unavailable("down"))
    with pytest.raises(Unavailable, match="down"):
        tick.tick(home.ports, 1, home.clock.now())
    assert done == ["retire"]


def test_what_nobody_expects_is_raised_rather_than_trouble_with_the_store(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PARTS.keys() - {"retire"}:
        failing(monkeypatch, name, Unavailable("down"))
    failing(monkeypatch, "retire", KeyError("bug"))
    with pytest.raises(KeyError, match="bug"):
        tick.tick(home.ports, 60)


def test_of_a_tick_that_fails_in_part_the_rest_has_taken_effect(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken schedule, say, must not keep delayed jobs from starting."""
    job = home.submit(start_after=home.clock.now() + 1_000_000)
    failing(monkeypatch, "fire_schedules", ValueError("a bug"))
    home.clock.advance(1_001)
    with pytest.raises(ValueError, match="a bug"):
        tick.tick(home.ports, 60)
    home.drain(home.runner(work=lambda context: None))
    assert home.job(job.id).state is State.COMPLETED


class TestRuns:
    """One run that cannot go on, of two."""

    @pytest.fixture
    def runs(self, home: Home, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
        broken, whole = (submit_dag(home.ports, ADMIN, DAG, {})[0].run for _ in range(2))
        real = Engine.graph

        def graph(engine: Engine, run: Run) -> Any:
            if run.id == broken.id:
                raise KeyError("a bug")
            return real(engine, run)

        home.drain(home.runner(work=lambda context: None))
        monkeypatch.setattr(Engine, "graph", graph)
        return broken.id, whole.id

    def nodes(self, home: Home, runs: tuple[str, str]) -> list[bool]:
        """Whether the second node of each still waits for the first."""
        return [home.job(node_job_id(run_id, "b")).blocked for run_id in runs]

    def test_the_feed_goes_on_with_all_others(self, home: Home, runs: tuple[str, str]) -> None:
        """Its batches come again until they are done: a run must not hold up every job that changes after it."""
        home.pump()
        assert self.nodes(home, runs) == [True, False]

    def test_trouble_with_the_store_makes_the_batch_come_again(
        self, home: Home, runs: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def down(*_: Any) -> None:
            raise Unavailable("down")

        with monkeypatch.context() as patch:
            patch.setattr(Engine, "go_on", down)
            with pytest.raises(Unavailable):
                home.pump()
        home.pump()
        assert self.nodes(home, runs) == [True, False]

    def test_the_clock_looks_after_all_others_and_tells(self, home: Home, runs: tuple[str, str]) -> None:
        assert home.app.feed is not None
        home.app.feed.drop(home.app.feed.read(1_000))
        heard = 0
        for _ in range(11):
            home.clock.advance(60)
            try:
                tick.tick(home.ports, 60)
            except KeyError:
                heard += 1
        assert self.nodes(home, runs) == [True, False]
        assert heard > 0
