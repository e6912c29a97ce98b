"""What the limits of a queue cost: nothing where it has none."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from contract.limited import (
    LEASE,
    Calls,
    limited,
)
from home import Home
from support.homes import Home as Stores
from tidegate.adapters.caching import CachedTenants
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.execution.runner import Done
from tidegate.service import settle
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.tick import tick

PLAIN = Counter(
    {
        "queues.get": 2,
        "jobs.create": 1,
        "lanes.touch": 1,
        "tickets.send": 1,
        "tickets.receive": 1,
        "jobs.head": 1,
        "jobs.apply": 2,
        "tickets.finish": 1,
    }
)
"""Calls of one job, from its submission to the end of its ticket, in a queue without limits."""


def with_known_tenants(home: Home) -> Home:
    """The home as deployed functions see it: what limits the tenant has was read a moment ago."""
    tenants = CachedTenants(home.ports.tenants, home.clock.now, 5.0)
    tenants.get("main")
    return home.with_ports(tenants=tenants)


class TestCosts:
    """Limits that a queue has not cost nothing."""

    def calls(self, either: Home, **settings: Any) -> Counter[str]:
        limited(either, **settings)
        calls = Calls()
        counted = calls.watching(either)
        counted.submit(queue="narrow", concurrency_key="a")
        assert counted.serve_one(counted.runner(work=lambda job: None)) == Done()
        return Counter(calls.names)

    @pytest.mark.parametrize(
        ("settings", "more"),
        [
            ({}, {}),
            ({"slots": 5}, {"slots.acquire_if_free": 1, "slots.release": 1}),
            ({"key_slots": 5}, {"jobs.get": 1, "slots.acquire_if_free": 1, "slots.release": 1}),
            ({"slots": 5, "key_slots": 5}, {"jobs.get": 1, "slots.acquire_if_free": 2, "slots.release": 2}),
            ({"rate_limit": 5}, {"rates.take_if_left": 1}),
            ({"max_queue_size": 5}, {"backlogs.admit_if_room": 1}),
            ({"timeout_retry_limit": 5}, {}),
        ],
        ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
    )
    def test_a_job_costs_so_many_calls(self, either: Home, settings: dict[str, Any], more: dict[str, int]) -> None:
        assert self.calls(either, **settings) == PLAIN + Counter(more)

    def test_each_call_to_a_limit_is_one_request(self, either: Home, home: Stores, request: Any) -> None:
        if home.kind != "aws":
            pytest.skip("requests are counted on AWS")
        limited(either, slots=5, key_slots=5, rate_limit=5, max_queue_size=5)
        either = with_known_tenants(either)
        either.ports.jobs.head(Lane("main", "narrow"), 1)  # reads on how many keys it stands, as in the seconds before
        client = request.getfixturevalue("aws").clients.dynamodb
        seen: Counter[str] = Counter()

        def count(model: Any, **_: Any) -> None:
            seen[model.name] += 1

        client.meta.events.register("before-call.dynamodb", count)
        try:
            job = either.submit(queue="narrow", concurrency_key="a")
            assert seen == {"GetItem": 1, "UpdateItem": 1, "PutItem": 2}  # policy, admission, job, lane
            seen.clear()
            running = claim_for(either.ports, ticket_for(job), "w-1", LEASE, receives=1)
            assert isinstance(running, Claimed)
            assert seen == {"GetItem": 2, "Query": 1, "UpdateItem": 4}  # two semaphores, one window, the claim
            seen.clear()
            settle.complete(either.ports, running.job, 1)
            assert seen == {"UpdateItem": 3}
        finally:
            client.meta.events.unregister("before-call.dynamodb", count)

    def test_an_idle_minute_asks_once_for_all_semaphores(self, either: Home) -> None:
        calls = Calls()
        tick(calls.watching(either).ports, 60)
        assert Counter(calls.names)["slots.all"] == 1
