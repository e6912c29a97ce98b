"""`Workers`: who works, in both homes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.aws import REGISTRY, Cloud
from support.clock import START_MS, Clock
from support.homes import Home
from tidegate.ports import Held, Ports, Worker

PLAIN = Worker(id="box:1:abc", kind="pull", pool="default", started_at=START_MS, seen_at=START_MS)
FULL = Worker(
    id="box/ü #2",
    tenant="acme",
    kind="http",
    pool="gpu",
    queues=("mail", "post"),
    names=("extract", "train"),
    host="box",
    version="1.2",
    concurrency=4,
    started_at=START_MS,
    seen_at=START_MS + 1,
    running=(Held("acme", "job-1", 2), Held("acme", "job-2", 1)),
    stopped=True,
)


def test_a_worker_is_read_as_it_was_put(ports: Ports) -> None:
    ports.workers.put(PLAIN)
    ports.workers.put(FULL)
    assert ports.workers.list(START_MS) == [PLAIN, FULL]


def test_nobody_is_there_at_first(ports: Ports) -> None:
    assert ports.workers.list(0) == []


def test_the_newest_word_replaces_the_older(ports: Ports) -> None:
    ports.workers.put(PLAIN)
    later = replace(PLAIN, seen_at=START_MS + 20_000, running=(Held("acme", "j", 1),))
    ports.workers.put(later)
    assert ports.workers.list(START_MS) == [later]


def test_tenants_may_use_the_same_id(ports: Ports) -> None:
    mine, yours = replace(PLAIN, tenant="acme"), replace(PLAIN, tenant="zeta", pool="gpu")
    ports.workers.put(mine)
    ports.workers.put(yours)
    assert ports.workers.list(START_MS) == [mine, yours]


@pytest.mark.parametrize(("seen_from", "found"), [(START_MS, 1), (START_MS + 1, 0)])
def test_only_those_seen_lately_are_listed(ports: Ports, seen_from: int, found: int) -> None:
    ports.workers.put(PLAIN)
    assert len(ports.workers.list(seen_from)) == found


def test_entries_vanish_an_hour_after_they_were_put(home: Home, clock: Clock, request: pytest.FixtureRequest) -> None:
    """SQLite sweeps when someone else is put; DynamoDB is told a time to live."""
    home.ports.workers.put(PLAIN)
    if home.kind == "aws":
        cloud: Cloud = request.getfixturevalue("aws")
        (item,) = cloud.clients.dynamodb.scan(TableName=REGISTRY)["Items"]
        assert int(item["ttl"]["N"]) == START_MS // 1000 + 3_600
        return
    clock.advance(3_600)
    home.ports.workers.put(replace(PLAIN, id="other", seen_at=clock.now()))
    assert [worker.id for worker in home.ports.workers.list(0)] == ["other"]
