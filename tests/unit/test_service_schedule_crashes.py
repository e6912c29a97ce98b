"""A crash at every call of firing schedules; a store that is out of reach."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from home import ADMIN, Home
from support.clock import START_MS, Clock
from support.schedules import Died, create, jobs, starts
from tidegate import runtime
from tidegate.domain.errors import Unavailable
from tidegate.domain.firing import GRACE_MS
from tidegate.domain.job import State
from tidegate.domain.schedule import Misfire, Overlap
from tidegate.ports import Ports
from tidegate.service import schedules as service
from tidegate.service.fire_schedules import fire_schedules


class Meter:
    """Counts the calls to all ports, and dies at one of them, before or after it took effect."""

    def __init__(self, at: int = 0, *, after: bool = False) -> None:
        self.calls, self.at, self.after = 0, at, after

    def around(self, ports: Ports) -> Ports:
        names = ("jobs", "tickets", "queues", "lanes", "schedules", "timers", "figures")
        return replace(ports, **{name: _Metered(getattr(ports, name), self) for name in names})  # type: ignore[arg-type]


class _Metered:
    def __init__(self, real: Any, meter: Meter) -> None:
        self._real, self._meter = real, meter

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)

        def call(*args: Any, **named: Any) -> Any:
            self._meter.calls += 1
            dies = self._meter.calls == self._meter.at
            if dies and not self._meter.after:
                raise Died
            answer = method(*args, **named)
            if dies:
                raise Died
            return answer

        return call


def on_time(home: Home) -> None:
    create(home, "s", expression="every 1m")
    create(home, "t", expression="every 20s")
    home.clock.advance(60)


def after_downtime(home: Home) -> None:
    create(home, "s", expression="every 10m", misfire=Misfire.RUN_ONCE)
    create(home, "t", expression="every 10m", misfire=Misfire.RUN_ALL)
    create(home, "u", expression="every 10m", misfire=Misfire.SKIP)
    home.clock.advance(7_200)


def overlapping(home: Home) -> None:
    for overlap in Overlap:
        create(home, overlap.value.replace("_", "-"), expression="every 1m", overlap=overlap)
    home.clock.advance(60)
    home.tick(1)
    home.clock.advance(60)


def filling_up(home: Home) -> None:
    create(home, expression="every 1m", starts_at=START_MS - 3_600_000)
    service.backfill_schedule(home.ports, ADMIN, "s", START_MS - 600_000, START_MS, 5)
    home.clock.advance(60)


def after_a_hold(home: Home) -> None:
    create(home, expression="every 30s")
    service.hold_schedules(home.ports, ADMIN, None)
    home.clock.advance(60)


SCENES: dict[str, Callable[[Home], None]] = {
    "on time": on_time,
    "after downtime": after_downtime,
    "overlapping": overlapping,
    "filling up": filling_up,
    "on hold": after_a_hold,
}


def open_home(folder: Path) -> Home:
    clock = Clock()
    app = runtime.embedded(folder, now=clock.now, new_id=clock.new_id, rng=random.Random(1))
    return Home(app, clock)


def played(folder: Path, scene: Callable[[Home], None], meter: Meter) -> dict[str, State]:
    """Prepare the scene, tick once under the meter, then twice as ever; answers the jobs and their states."""
    home = open_home(folder)
    try:
        scene(home)
        metered = replace(home.app, ports=meter.around(home.ports))
        with suppress(Died):
            fire_schedules(metered.ports, home.clock.now() + 1_000)
        for _ in range(2):
            fire_schedules(home.ports, home.clock.now() + 1_000)
        assert all(not stored_one.releasing for stored_one in home.ports.schedules.list("main", "", 100))
        return {job.id: job.state for job in jobs(home)}
    finally:
        home.close()


def test_a_crash_at_every_call_loses_and_doubles_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = 0
    for name, scene in SCENES.items():
        whole = Meter()
        expected = played(tmp_path / name, scene, whole)
        assert whole.calls >= 4
        for at in range(1, whole.calls + 1):
            for after in (False, True):
                found = played(tmp_path / f"{name}-{at}-{after}", scene, Meter(at, after=after))
                assert found == expected, (name, at, after)
                points += 1
    with capsys.disabled():
        print(f"\n  {points} crash points of firing, 0 lost, 0 double")  # noqa: T201


def test_a_store_out_of_reach_ends_the_tick_and_the_next_one_goes_on(home: Home) -> None:
    create(home)
    home.clock.advance(10)

    class Away:
        def create(self, *_: Any) -> None:
            raise Unavailable

        def get(self, keys: Any) -> list[None]:
            return [None] * len(keys)

        def due(self, *_: Any) -> None:
            raise Unavailable

    with pytest.raises(Unavailable):
        home.with_ports(jobs=Away()).tick(1)
    home.clock.advance(GRACE_MS / 1000 - 1)
    home.tick(1)
    assert starts(home)[0] == 10
