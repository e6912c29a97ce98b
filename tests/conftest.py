"""Fixtures for every suite: a home on a temporary folder with a clock that tests move by hand."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from home import Home
from support.aws import Cloud, cloud
from support.clock import Clock
from support.loopback import only_loopback
from support.shares import Shares, put_in_order
from tidegate import runtime
from tidegate.execution import registry
from tidegate.service import looks, release

pytest_plugins = ["tidegate.testing.plugin"]
"""As pytest finds it by itself where Tidegate is installed; an entry point of the same name is loaded once."""
# How long an example takes says more about the machine and its other work than about the program.
settings.register_profile("tidegate", deadline=None)
settings.load_profile("tidegate")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """See `support.shares`."""
    put_in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """See `support.shares`."""
    return Shares(config, log)


def pytest_collection_finish() -> None:
    """What was imported and collected stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def offline() -> Iterator[None]:
    """A test that would talk to another machine fails."""
    with only_loopback():
        yield


@pytest.fixture(scope="session")
def aws() -> Iterator[Cloud]:
    """moto, for the whole session."""
    with cloud() as made:
        yield made


@pytest.fixture(autouse=True)
def own_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test registers is unknown to the next."""
    monkeypatch.setattr(registry, "_registered", {})


@pytest.fixture(autouse=True)
def own_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of different homes may have the same id here, which they have nowhere else."""
    monkeypatch.setattr(release, "_graphs", {})
    monkeypatch.setattr(looks, "_open", {})
    monkeypatch.setattr(looks, "_reached", {})


@pytest.fixture
def clock() -> Clock:
    """A clock that stands still until moved."""
    return Clock()


@pytest.fixture
def home(tmp_path: Path, clock: Clock) -> Iterator[Home]:
    """The embedded home on a folder of its own."""
    made = Home(runtime.embedded(tmp_path / "home", now=clock.now, rng=random.Random(1)), clock)
    yield made
    made.close()


@pytest.fixture
def new_home(tmp_path: Path, clock: Clock) -> Iterator[Callable[[], Home]]:
    """Open the same folder again and again, as processes started one after the other would."""
    opened: list[Home] = []

    def make() -> Home:
        opened.append(Home(runtime.embedded(tmp_path / "home", now=clock.now, rng=random.Random(1)), clock))
        return opened[-1]

    yield make
    for each in opened:
        each.close()
