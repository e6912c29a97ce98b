"""Every test that asks for `home` or `ports` runs once on AWS (moto) and once on SQLite, and once more on AWS with
Amazon's own DynamoDB Local where that is installed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from contract.limited import home_of
from home import Home as Whole
from support.aws import POOLS, VISIBILITY_SECONDS, Cloud
from support.clock import Clock
from support.dynamodb_local import dynamodb_local, jar
from support.homes import KINDS, Home
from tidegate.adapters.sqlite.ports import open_database, open_ports
from tidegate.ports import Ports

LOCAL = "dynamodb-local"


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The endpoint of DynamoDB Local."""
    with dynamodb_local() as endpoint:
        yield endpoint


@pytest.fixture(params=[*KINDS, LOCAL] if jar() else KINDS)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """An empty home."""
    if request.param != "sqlite":
        made: Cloud = request.getfixturevalue("aws")
        server = request.getfixturevalue("server") if request.param == LOCAL else ""
        ports = made.reset(server)
        yield Home("aws", ports, made.clock, server or None)
        return
    clock, database = Clock(), open_database(tmp_path)
    ports = open_ports(
        tmp_path,
        now=clock.now,
        new_id=clock.new_id,
        rng=random.Random(1),
        pools=frozenset(POOLS),
        visibility=VISIBILITY_SECONDS,
        database=database,
    )
    yield Home("sqlite", ports, clock)
    database.close()


@pytest.fixture
def ports(home: Home) -> Ports:
    """The ports of an empty home."""
    return home.ports


@pytest.fixture
def clock(home: Home) -> Clock:
    """The clock of the home."""
    return home.clock


@pytest.fixture
def aws_ports(aws: Cloud) -> Ports:
    """The ports of an empty home on AWS, for what only AWS can do."""
    return aws.reset()


@pytest.fixture
def either(home: Home) -> Whole:
    """An empty home with the services on top."""
    return home_of(home)
