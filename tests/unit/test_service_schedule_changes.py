"""Schedules that are filled up, changed and deleted, on a whole home."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from home import ADMIN, Home
from support.clock import START_MS
from support.schedules import ANN, BOB, SCHEDULE_ID, Died, Dies, create, jobs, pass_time, starts, stored
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Conflict, Forbidden, InvalidInput, NotFound
from tidegate.domain.job import State
from tidegate.domain.schedule import Fate, JobTemplate, Misfire, Schedule, backfill_id, run_id
from tidegate.service import schedules as service


class TestBackfill:
    def begin(self, home: Home, **fields: Any) -> tuple[Schedule, int]:
        asked = {"first": START_MS - 3_600_000, "until": START_MS, "per_minute": 10, **fields}
        return service.backfill_schedule(home.ports, ADMIN, "s", **asked)

    def test_past_times_run_once_each_at_the_rate(self, home: Home) -> None:
        create(home, expression="every 1m", starts_at=START_MS - 86_400_000)
        schedule, count = self.begin(home)
        assert count == 61
        assert len(jobs(home)) == 10, "it begins at once"
        made = []
        for _ in range(8):
            pass_time(home, 57)
            made.append(sum(job.id.startswith(f"{schedule.id}.") for job in jobs(home)))
            pass_time(home, 3)
        assert made == [10, 20, 30, 40, 50, 60, 61, 61]
        filled = [job for job in jobs(home) if job.id.startswith(f"{schedule.id}.")]
        assert [job.id for job in filled] == [
            backfill_id(schedule.id, START_MS - 60_000 * n) for n in range(60, -1, -1)
        ]
        assert filled[0].metadata["scheduled_for"] == "2033-05-18T02:33:20Z"
        assert stored(home).backfill is None

    def test_what_it_made_is_in_the_history_beside_what_ran_in_time(self, home: Home) -> None:
        create(home, expression="every 1m", starts_at=START_MS - 86_400_000)
        pass_time(home, 60)
        schedule, _ = self.begin(home, first=START_MS - 180_000, until=START_MS - 60_000)
        runs = service.history(home.ports, stored(home))
        ran = [(run.firing.fate, run.firing.at, run.made and run.made.id) for run in runs]
        past = [START_MS - 60_000 * n for n in (1, 2, 3)]
        filled = [(Fate.BACKFILLED, at, backfill_id(schedule.id, at)) for at in past]
        now = START_MS + 60_000
        assert ran == [*filled, (Fate.FIRED, now, run_id(schedule.id, now))]

    def test_times_that_have_run_are_passed_over_and_a_second_backfill_makes_nothing(self, home: Home) -> None:
        schedule = create(home, expression="every 1m")
        pass_time(home, 600, 60)
        assert len(jobs(home)) == 11, "one is released ahead"
        _, count = self.begin(home, first=START_MS, until=START_MS + 600_000, per_minute=1_000)
        home.tick(1)
        assert count == 10
        assert len(jobs(home)) == 11
        assert stored(home).backfill is None
        assert schedule.id == stored(home).id

    def test_what_may_not_be_filled_up(self, home: Home) -> None:
        create(home, expression="every 1s", starts_at=START_MS - 86_400_000)
        for fields in (
            {"per_minute": 0},
            {"per_minute": 1_001},
            {"first": START_MS - 20_000_000},
            {"first": START_MS + 1},
        ):
            with pytest.raises(InvalidInput):
                self.begin(home, **fields)
        self.begin(home)
        with pytest.raises(Conflict):
            self.begin(home)
        service.disable_schedule(home.ports, ADMIN, "s")
        assert stored(home).backfill is None
        made = len(jobs(home))
        pass_time(home, 60, 30)
        assert len(jobs(home)) == made

    def test_a_hold_stops_it_for_a_while(self, home: Home) -> None:
        create(home, expression="at 2033-05-19T00:00:00Z", enabled=True)
        create(home, "h", expression="every 1h", starts_at=START_MS - 86_400_000)
        service.hold_schedules(home.ports, ADMIN, None)
        service.backfill_schedule(home.ports, ADMIN, "h", START_MS - 86_400_000, START_MS, 1_000)
        pass_time(home, 5)
        assert jobs(home) == []
        service.release_schedules(home.ports, ADMIN)
        pass_time(home, 2)
        assert len(jobs(home)) == 25


class TestChanges:
    def test_a_disabled_schedule_makes_nothing_and_an_enabled_one_starts_from_now(self, home: Home) -> None:
        create(home, misfire=Misfire.RUN_ALL)
        disabled = service.disable_schedule(home.ports, ADMIN, "s", "disks")
        assert (disabled.enabled, disabled.next_run, disabled.paused_by, disabled.paused_reason) == (
            False,
            None,
            "admin",
            "disks",
        )
        pass_time(home, 60)
        assert jobs(home) == []
        enabled = service.enable_schedule(home.ports, ADMIN, disabled.id)
        assert (enabled.paused_by, enabled.next_run) == (None, START_MS + 70_000)
        pass_time(home, 10)
        assert starts(home) == [70]

    def test_a_change_counts_the_next_run_anew(self, home: Home) -> None:
        create(home)
        changed = service.change_schedule(home.ports, ADMIN, "s", lambda _: {"expression": "every 1h"})
        assert changed.next_run == START_MS + 3_600_000
        pass_time(home, 60)
        assert jobs(home) == []

    def test_a_decision_under_way_is_carried_out_before_a_change(self, home: Home) -> None:
        create(home, expression="every 10m")
        home.clock.advance(7_190)
        with pytest.raises(Died):
            home.with_ports(jobs=Dies(home.ports.jobs, "create")).tick(1)
        service.disable_schedule(home.ports, ADMIN, "s")
        assert starts(home) == [6_600]
        assert stored(home).releasing == ()

    def test_a_trigger_runs_it_beside_its_times_even_when_disabled(self, home: Home) -> None:
        create(home, enabled=False)
        job = service.trigger_schedule(home.ports, ADMIN, "s")
        again = service.trigger_schedule(home.ports, ADMIN, "s", "mine")
        assert service.trigger_schedule(home.ports, ADMIN, "s", "mine") == again
        assert (job.state, job.metadata["schedule"], len(jobs(home))) == (State.CREATED, "s", 2)

    def test_a_deleted_schedule_is_gone_and_its_jobs_stay(self, home: Home) -> None:
        create(home)
        pass_time(home, 10)
        service.delete_schedule(home.ports, ADMIN, "s")
        pass_time(home, 30)
        assert starts(home) == [10]
        with pytest.raises(NotFound):
            service.get_schedule(home.ports, ADMIN, "s")

    def test_a_schedule_made_anew_under_the_same_name_has_jobs_of_its_own(self, home: Home) -> None:
        create(home)
        pass_time(home, 10)
        service.delete_schedule(home.ports, ADMIN, "s")
        create(home, starts_at=START_MS)
        pass_time(home, 10)
        assert starts(home) == [10, 20]

    def test_asking_again_with_the_same_id_makes_one(self, home: Home) -> None:
        first = create(home, schedule_id=SCHEDULE_ID)
        again, created = service.create_schedule(
            home.ports, ADMIN, name="s", expression="every 10s", job=JobTemplate(name="work"), schedule_id=SCHEDULE_ID
        )
        assert (again, created) == (first, False)
        for fields in ({}, {"schedule_id": SCHEDULE_ID.replace("a", "b")}, {"name": "t", "schedule_id": SCHEDULE_ID}):
            with pytest.raises(Conflict):
                create(home, **fields)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "fields",
        [
            {"expression": "at 2033-05-18T03:33:20Z"},
            {"expression": "every 1h", "ends_at": START_MS + 1},
            {"timezone": "Mars/Olympus"},
            {"job": JobTemplate(name="w", queue="nowhere")},
            {"schedule_id": "mine"},
        ],
    )
    def test_what_could_never_run_is_refused(self, home: Home, fields: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput):
            create(home, **fields)

    def test_who_may_see_and_change_what(self, home: Home) -> None:
        create(home, "ann", caller=ANN)
        create(home, "bob", caller=BOB)
        assert [each.name for each in service.list_schedules(home.ports, ANN, "", 10)[0]] == ["ann"]
        assert [each.name for each in service.list_schedules(home.ports, ADMIN, "", 10)[0]] == ["ann", "bob"]
        acts: list[Callable[[Caller, str], object]] = [
            lambda caller, name: service.get_schedule(home.ports, caller, name),
            lambda caller, name: service.disable_schedule(home.ports, caller, name),
            lambda caller, name: service.enable_schedule(home.ports, caller, name),
            lambda caller, name: service.change_schedule(home.ports, caller, name, lambda _: {}),
            lambda caller, name: service.trigger_schedule(home.ports, caller, name),
            lambda caller, name: service.backfill_schedule(home.ports, caller, name, 0, 1, 1),
            lambda caller, name: service.delete_schedule(home.ports, caller, name),
        ]
        for act in acts:
            with pytest.raises(NotFound):
                act(ANN, "bob")
            with pytest.raises(NotFound):
                act(Caller("zeta", "ann", frozenset({"admin"})), "ann")
            with pytest.raises(Forbidden):
                act(Caller("main", "ann", frozenset({"work"})), "ann")
        assert service.trigger_schedule(home.ports, ADMIN, "ann").owner == "ann"

    def test_pages_and_filters(self, home: Home) -> None:
        for number in range(7):
            create(home, f"s{number}", enabled=number % 2 == 0)
        page, cursor = service.list_schedules(home.ports, ADMIN, "", 3, enabled_only=True)
        assert ([each.name for each in page], cursor) == (["s0", "s2", "s4"], "s4")
        page, cursor = service.list_schedules(home.ports, ADMIN, "s4", 3, enabled_only=True)
        assert ([each.name for each in page], cursor) == (["s6"], None)

    def test_history_tells_the_jobs_that_are_kept(self, home: Home) -> None:
        create(home)
        pass_time(home, 30)
        home.drain(home.runner(work=lambda job: None))
        runs = service.history(home.ports, stored(home))
        assert [run.firing.fate for run in runs] == [Fate.FIRED] * 3
        assert [run.firing.at - START_MS for run in runs] == [30_000, 20_000, 10_000]
        assert {run.made.state for run in runs if run.made} == {State.COMPLETED}
