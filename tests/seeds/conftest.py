"""The seed documents' examples, asked of the API as a user would, in both homes."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "functions"))

from seedhome import SLOTS, CloudHome

from home import Clock, Home
from support.aws import Cloud, few_keys
from support.homes import KINDS
from tidegate import runtime
from tidegate.runtime import App
from tidegate.settings import Settings


@pytest.fixture(scope="module", autouse=True)
def few() -> Iterator[None]:
    """See `few_keys`."""
    with few_keys():
        yield


@pytest.fixture(params=KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty home with five slots, and what runs by itself in it."""
    if request.param == "aws":
        made: Cloud = request.getfixturevalue("aws")
        ports = made.reset()
        app = App(ports, Settings(stage="dev", pools={"default": {}}, slots=SLOTS))
        home: Home = CloudHome(app, made.clock, made.clients)
    else:
        clock = Clock()
        app = runtime.embedded(tmp_path, now=clock.now, rng=random.Random(1))
        home = Home(replace(app, settings=replace(app.settings, slots=SLOTS)), clock)
    with runtime.use(home.app):
        yield home
    home.close()


@pytest.fixture
def clock(home: Home) -> Clock:
    """The clock of the home."""
    return home.clock
