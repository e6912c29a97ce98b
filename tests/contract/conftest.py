"""Every test that asks for `home` or `ports` runs once on AWS (moto) and once on SQLite; and once more on AWS with
Amazon's own DynamoDB Local where that is installed: those modules that rest on how DynamoDB decides, or, with
`make contract`, all."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from tidegate_functions.changes.handler import batch_name
from tidegate_functions.changes.records import Record, changes_in, number_of

from contract.limited import home_of
from home import Home as Whole
from support.aws import POOLS, VISIBILITY_SECONDS, Cloud
from support.clock import Clock
from support.dynamodb_local import dynamodb_local, jar
from support.homes import KINDS, Home, stream_records
from support.jobs import make_job
from tidegate.adapters.sqlite.feed import SqliteFeed
from tidegate.adapters.sqlite.ports import open_database, open_ports
from tidegate.domain.change import Change
from tidegate.domain.job import Job, State
from tidegate.ports import Ports
from tidegate.service.record_changes import record_changes

LOCAL = "dynamodb-local"
Feed = Callable[[], list[Change]]
DECIDED_BY_DYNAMODB = {
    "test_attempts",
    "test_dags",
    "test_definitions",
    "test_feed",
    "test_jobs",
    "test_limited_faults",
    "test_own_claims",
    "test_races",
    "test_registry",
}
"""Modules about conditional writes, transactions and PartiQL, where emulators err."""


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The endpoint of DynamoDB Local."""
    with dynamodb_local() as endpoint:
        yield endpoint


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The homes of each test."""
    if "home" not in metafunc.fixturenames:
        return
    module = metafunc.module.__name__.rpartition(".")[2]
    local = jar() and (module in DECIDED_BY_DYNAMODB or os.environ.get("TIDEGATE_EVERY_HOME"))
    metafunc.parametrize("home", [*KINDS, LOCAL] if local else KINDS, indirect=True)


@pytest.fixture
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


@pytest.fixture
def running(ports: Ports) -> Job:
    """A job in its first attempt."""
    job = make_job("j-1", state=State.ACTIVE, attempt=1, tenant="main", owner="admin")
    ports.jobs.create([job])
    return job


@pytest.fixture
def feed(home: Home, tmp_path: Path) -> Iterator[Feed]:
    """Counts the changes that came since the last time, twice, as a stream that starts again; answers them."""
    database = open_database(tmp_path) if home.kind == "sqlite" else None
    done: set[str] = set()

    def count() -> list[Change]:
        records: Sequence[Record] = stream_records(home) if database is None else SqliteFeed(database).read(1_000)
        fresh = [record for record in records if number_of(record) not in done]
        done.update(map(number_of, fresh))
        changes: list[Change] = changes_in(fresh)
        for _ in range(2):
            if fresh:
                record_changes(home.ports, batch_name(fresh), changes)
        return changes

    yield count
    if database is not None:
        database.close()
