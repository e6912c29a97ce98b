"""Fixtures for every suite: a home on a temporary folder with a clock that tests move by hand."""

from __future__ import annotations

import random
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from home import Clock, Home
from tidegate import runtime

_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would talk to another machine fails."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


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
