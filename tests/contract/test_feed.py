"""`Timers` and `Figures`, which the change feed keeps."""

from __future__ import annotations

import pytest

from support.clock import START_MS
from tidegate.ports import Addition, Ports, Timer


def timer(offset: int, job_id: str = "job", attempt: int = 1, tenant: str = "acme") -> Timer:
    return Timer(START_MS + offset, tenant, job_id, attempt)


def due(ports: Ports, offset: int = 10**9, limit: int = 1_000) -> list[Timer]:
    return list(ports.timers.due(START_MS + offset, limit))


class TestTimers:
    def test_timers_are_due_soonest_first_and_not_before_their_time(self, ports: Ports) -> None:
        timers = [timer(offset, f"job:{offset}.x_y-z") for offset in (50, 10, 40, 20, 30)]
        ports.timers.set(timers)
        ordered = sorted(timers, key=lambda each: each.at)
        assert due(ports, 40) == ordered[:4]
        assert due(ports, 40, limit=2) == ordered[:2]
        assert due(ports, 9) == []

    def test_the_same_timer_twice_is_one(self, ports: Ports) -> None:
        ports.timers.set([timer(1), timer(1)])
        ports.timers.set([timer(1)])
        assert due(ports) == [timer(1)]

    def test_timers_that_differ_in_anything_are_different(self, ports: Ports) -> None:
        timers = [timer(1), timer(2), timer(1, "job2"), timer(1, attempt=2), timer(1, tenant="zeta")]
        ports.timers.set(timers)
        assert set(due(ports)) == set(timers)
        ports.timers.clear(timers[:2])
        assert set(due(ports)) == set(timers[2:])

    def test_cleared_timers_are_gone_and_clearing_again_is_nothing(self, ports: Ports) -> None:
        ports.timers.set([timer(1), timer(2)])
        for _ in range(2):
            ports.timers.clear([timer(1), timer(1), timer(3)])
        assert due(ports) == [timer(2)]

    def test_many_timers_at_once(self, ports: Ports) -> None:
        timers = [timer(offset, f"job-{offset}") for offset in range(70)]
        ports.timers.set(timers)
        assert due(ports) == timers
        ports.timers.clear(timers)
        assert due(ports) == []

    def test_none_at_all_is_allowed(self, ports: Ports) -> None:
        ports.timers.set([])
        ports.timers.clear([])
        assert due(ports) == []


class TestFigures:
    def test_amounts_are_added_up(self, ports: Ports) -> None:
        assert ports.figures.add_once("b1", [Addition("acme", "states", {"CREATED": 2, "ACTIVE": 1})])
        assert ports.figures.add_once("b2", [Addition("acme", "states", {"CREATED": -1, "COMPLETED": 5})])
        assert ports.figures.read("acme", "states") == {"CREATED": 1, "ACTIVE": 1, "COMPLETED": 5}

    def test_a_batch_that_comes_again_adds_nothing(self, ports: Ports) -> None:
        batch = [Addition("acme", "states", {"CREATED": 1}), Addition("zeta", "states", {"CREATED": 1})]
        assert [ports.figures.add_once("b1", batch) for _ in range(3)] == [True, False, False]
        assert ports.figures.read("acme", "states") == {"CREATED": 1}
        assert ports.figures.read("zeta", "states") == {"CREATED": 1}

    def test_a_series_named_twice_in_a_batch_gets_both(self, ports: Ports) -> None:
        batch = [Addition("acme", "states", {"a": 1}), Addition("acme", "states", {"a": 2, "b": 3})]
        assert ports.figures.add_once("b1", batch)
        assert ports.figures.read("acme", "states") == {"a": 3, "b": 3}

    def test_fields_that_come_to_zero_are_left_out(self, ports: Ports) -> None:
        ports.figures.add_once("b1", [Addition("acme", "states", {"a": 1, "b": 1, "c": 0})])
        ports.figures.add_once("b2", [Addition("acme", "states", {"a": -1})])
        assert ports.figures.read("acme", "states") == {"b": 1}

    def test_series_and_tenants_are_apart(self, ports: Ports) -> None:
        hour = "hour#2026-01-31T15"
        ports.figures.add_once("b1", [Addition("acme", hour, {"runs": 1}), Addition("acme", "states", {"runs": 2})])
        assert ports.figures.read("acme", hour) == {"runs": 1}
        assert ports.figures.read("acme", "states") == {"runs": 2}
        assert ports.figures.read("zeta", hour) == {}

    def test_field_names_are_data(self, ports: Ports) -> None:
        names = {"name": 1, "a.b": 2, "#n0": 3, ":v0": 4, "x = y": 5}
        ports.figures.add_once("b1", [Addition("acme", "states", names)])
        assert ports.figures.read("acme", "states") == names

    @pytest.mark.parametrize("additions", [[], [Addition("acme", "states", {})]], ids=["none", "empty"])
    def test_a_batch_of_nothing_counts_as_added(self, ports: Ports, additions: list[Addition]) -> None:
        assert ports.figures.add_once("b1", additions)
        assert not ports.figures.add_once("b1", [Addition("acme", "states", {"a": 1})])
        assert ports.figures.read("acme", "states") == {}

    def test_more_series_than_one_transaction_takes(self, ports: Ports) -> None:
        batch = [Addition(f"tenant-{number}", "states", {"a": number + 1}) for number in range(130)]
        assert [ports.figures.add_once("b1", batch) for _ in range(2)] == [True, False]
        assert [ports.figures.read(f"tenant-{number}", "states") for number in (0, 98, 99, 129)] == [
            {"a": 1},
            {"a": 99},
            {"a": 100},
            {"a": 130},
        ]
