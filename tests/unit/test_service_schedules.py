"""Schedules on a whole home: fired, overlapping, caught up, filled up, held; and a crash at every call."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from home import ADMIN, Home
from support.clock import START_MS, Clock
from support.schedules import SCHEDULE_ID
from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from tidegate.domain.firing import GRACE_MS
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.schedule import Fate, JobTemplate, Misfire, Overlap, Schedule, backfill_id, run_id
from tidegate.ports import JobQuery, Ports, ScheduleKey
from tidegate.service import schedules as service
from tidegate.service.fire_schedules import fire_schedules

ANN = Caller("main", "ann", frozenset({"submit", "read"}))
BOB = Caller("main", "bob", frozenset({"submit", "read"}))


def create(
    home: Home, name: str = "s", expression: str = "every 10s", caller: Caller = ADMIN, **fields: Any
) -> Schedule:
    job = fields.pop("job", JobTemplate(name="work"))
    return service.create_schedule(home.ports, caller, name=name, expression=expression, job=job, **fields)[0]


def stored(home: Home, name: str = "s") -> Schedule:
    (found,) = home.ports.schedules.get([ScheduleKey("main", name)])
    assert found is not None
    return found


def jobs(home: Home) -> list[Job]:
    """All jobs, the oldest first."""
    page = home.ports.jobs.page(JobQuery(tenant="main", limit=5_000))
    assert page.next_cursor is None
    return list(reversed(page.jobs))


def starts(home: Home) -> list[float]:
    """When each job may start, in seconds from the beginning."""
    return sorted(((job.start_after or job.created_at) - START_MS) / 1000 for job in jobs(home))


def pass_time(home: Home, seconds: float, period: float = 1.0) -> None:
    for _ in range(round(seconds / period)):
        home.clock.advance(period)
        home.tick(period)


def fates(home: Home) -> list[str]:
    return [f"{(each.at - START_MS) / 1000:g} {each.fate}" for each in stored(home).recent]


def test_each_time_has_its_job_which_starts_at_its_second(home: Home) -> None:
    create(home)
    ran: list[float] = []
    runner = home.runner(work=lambda job: ran.append((home.clock.now() - START_MS) / 1000))
    for _ in range(35):
        home.clock.advance(1)
        home.tick(1)
        home.drain(runner)
    assert ran == [10, 20, 30]
    first = jobs(home)[0]
    assert first.id == run_id(stored(home).id, START_MS + 10_000)
    assert first.metadata["schedule"] == "s"
    assert first.tags == ("schedule:s",)
    assert stored(home).fired == 3
    assert stored(home).last_run == START_MS + 30_000


def test_the_clock_of_the_cloud_looks_a_minute_ahead(home: Home) -> None:
    """Jobs are there before their time, and wait for it."""
    minutely = home.with_ports(clock_seconds=60.0)
    create(minutely, expression="every 20s")
    assert starts(minutely) == [20, 40, 60], "what comes before the first tick is released at once"
    assert {job.state for job in jobs(minutely)} == {State.CREATED}
    assert minutely.receive() is None
    pass_time(minutely, 60, 60)
    assert starts(minutely) == [20, 40, 60, 80, 100, 120]


def test_seconds_are_kept_with_late_ticks(home: Home) -> None:
    create(home, expression="every 2s")
    for _ in range(10):
        home.clock.advance(1.7)
        home.tick(1)
    assert starts(home) == [2 * n for n in range(1, 10)]


@pytest.mark.parametrize("count", [1, 250, 1_000])
def test_many_schedules_due_at_once(home: Home, count: int) -> None:
    """More than one page of them, fired by one tick."""
    for number in range(count):
        create(home, f"s{number:04d}", expression="every 1h")
    home.clock.advance(3600)
    assert home.tick(1).fired == count
    assert len(jobs(home)) == count
    assert home.tick(1).fired == 0


def test_many_times_of_one_schedule(home: Home) -> None:
    create(home, expression="every 1s", misfire=Misfire.RUN_ALL)
    home.clock.advance(1_000)
    assert home.tick(1).fired == 1_000, "the first was released with the schedule"
    assert starts(home) == list(range(1, 1_002))


def test_jobs_of_one_tenant_are_made_for_its_users(home: Home) -> None:
    create(home, "a", caller=ANN)
    create(home, "b", caller=BOB)
    create(home, "a", caller=Caller("zeta", "zoe", frozenset({"submit"})))
    home.clock.advance(10)
    assert home.tick(1).fired == 3
    assert sorted(job.owner for job in jobs(home)) == ["ann", "bob"]


def test_tenants_that_chose_the_same_id_are_kept_apart(home: Home) -> None:
    """Ids are unique in a tenant only: whoever knows another's id learns nothing and changes nothing by it."""
    for tenant, queue in (("main", "gone"), ("zeta", "default")):
        home.ports.queues.put_if_unchanged(Queue(tenant=tenant, name=queue), None)
        caller = Caller(tenant, "ann", frozenset({"admin"}))
        job = JobTemplate(name="work", queue=queue)
        create(home, caller=caller, job=job, schedule_id=SCHEDULE_ID, overlap=Overlap.SKIP)
    home.clock.advance(10)
    home.with_ports(queues=NoQueues()).tick(1)
    other = home.ports.schedules.get([ScheduleKey("zeta", "s")])[0]
    assert other is not None
    assert (other.last_error, other.fired) == (None, 1)
    assert (stored(home).fired, "gone" in str(stored(home).last_error)) == (0, True)


def test_a_run_before_that_was_erased_does_not_stop_the_next(home: Home) -> None:
    create(home, overlap=Overlap.CANCEL_RUNNING)
    home.clock.advance(10)
    home.tick(1)
    (first,) = jobs(home)

    class Erased:
        """The job is seen, and gone when it is to be cancelled."""

        def __init__(self, real: Any) -> None:
            self._real, self._asked = real, 0

        def get(self, keys: Any) -> Any:
            self._asked += 1
            return self._real.get(keys) if self._asked == 1 else [None] * len(keys)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    home.clock.advance(10)
    fire_schedules(home.with_ports(jobs=Erased(home.ports.jobs)).ports, home.clock.now())
    assert starts(home) == [10, 20]
    assert first.id != stored(home).last_job_id


def test_a_job_that_is_refused_is_told_and_the_schedule_goes_on(home: Home) -> None:
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="gone"), None)
    create(home, job=JobTemplate(name="work", queue="gone"))
    broken = home.with_ports(queues=NoQueues())
    broken.clock.advance(10)
    assert broken.tick(1).fired == 0
    assert "there is no queue 'gone'" in str(stored(home).last_error)
    assert fates(home) == ["10 refused"]
    home.clock.advance(10)
    assert home.tick(1).fired == 1
    assert stored(home).last_error is None


class NoQueues:
    def get(self, *_: Any) -> None:
        return None


def test_a_schedule_that_cannot_be_decided_stops_no_other(home: Home) -> None:
    create(home, "a", expression="0 0 * * *", timezone="Europe/Berlin")
    create(home, "b", expression="every 1d")
    home.clock.advance(86_400)
    without_berlin = home.with_ports(cron=NoZones())
    assert without_berlin.tick(1).fired == 1
    assert "zone" in str(stored(home, "a").last_error)
    home.clock.advance(300)
    assert home.tick(1).fired == 1
    assert stored(home, "a").last_error is None


class NoZones:
    def next_match(self, *_: Any) -> None:
        raise InvalidInput("no such zone")


def test_jobs_are_kept_long_enough_that_no_repeated_tick_makes_them_twice(home: Home) -> None:
    """Whatever the queue says: a job that is gone could be made again."""
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="short", keep_seconds=0), None)
    seen = create(home, job=JobTemplate(name="work", queue="short"))
    home.clock.advance(10)
    home.tick(1)
    home.drain(home.runner(work=lambda job: None))
    assert home.ports.schedules.replace_if_unchanged([(replace(seen, version=stored(home).version + 1), stored(home))])
    home.clock.advance(60)
    home.tick(1)
    assert Counter(job.id for job in jobs(home)).most_common(1)[0][1] == 1
    assert run_id(seen.id, START_MS + 10_000) in {job.id for job in jobs(home)}
    assert next(job for job in jobs(home) if job.id == run_id(seen.id, START_MS + 10_000)).state is State.COMPLETED


class TestDowntime:
    @pytest.mark.parametrize(
        ("misfire", "expected"),
        [
            (Misfire.SKIP, [7_200]),
            (Misfire.RUN_ONCE, [6_600, 7_200]),
            (Misfire.RUN_ALL, [600 * n for n in range(1, 13)]),
        ],
    )
    def test_the_policy_decides_about_missed_runs(self, home: Home, misfire: Misfire, expected: list[float]) -> None:
        create(home, expression="every 10m", misfire=misfire)
        home.clock.advance(7_200)
        home.tick(1)
        assert starts(home) == expected

    def test_two_clocks_that_find_the_same_downtime_agree(self, home: Home) -> None:
        """The decision of the first stands, though the second would take another one a minute later."""
        create(home, expression="every 10m", misfire=Misfire.RUN_ONCE)
        home.clock.advance(7_190)
        slow = home.with_ports(jobs=Dies(home.ports.jobs, "create"))
        with pytest.raises(Died):
            slow.tick(1)
        assert stored(home).releasing == (START_MS + 6_600_000,)
        home.clock.advance(900)
        home.tick(1)
        assert starts(home) == [6_600, 7_800]


class Died(Exception):
    """The process is no more."""


class Dies:
    """A port that dies when a method is called."""

    def __init__(self, real: Any, method: str) -> None:
        self._real, self._method = real, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise Died
        return getattr(self._real, name)


class TestOverlap:
    def run(self, home: Home, overlap: Overlap, seconds: int, each: int = 25) -> list[tuple[float, float, str]]:
        """Run jobs of `each` seconds on a schedule of every 10; answers begin, end and state of each job."""
        create(home, overlap=overlap)
        for _ in range(seconds):
            home.clock.advance(1)
            home.tick(1)
            self.work(home, each)
        spans = []
        for job in sorted(jobs(home), key=lambda job: job.started_at or 2**50):
            begin, end = job.started_at or 0, job.completed_at or 0
            spans.append(
                ((begin - START_MS) / 1000 if begin else -1, (end - START_MS) / 1000 if end else -1, job.state.value)
            )
        return spans

    def work(self, home: Home, each: int) -> None:
        """A worker with any number of hands."""
        from tidegate.domain import guarded
        from tidegate.domain.guard import Lease
        from tidegate.domain.ticket import Lane

        now = home.clock.now()
        for job in jobs(home):
            if job.state is State.CREATED and (job.wake_at or 0) <= now:
                lease = Lease("w", now + 10**9)
                home.ports.jobs.apply([guarded.claim_if_ready(Lane("main", "default"), job.id, lease, now)])
            elif job.state is State.ACTIVE and job.cancel_requested:
                home.ports.jobs.apply([guarded.cancel_if_held(job, now)])
            elif job.state is State.ACTIVE and now >= (job.started_at or 0) + each * 1000:
                home.ports.jobs.apply([guarded.complete_if_held(job, None, None, now)])

    def test_allow(self, home: Home) -> None:
        begins = [begin for begin, _, _ in self.run(home, Overlap.ALLOW, 60)]
        assert begins == [10, 20, 30, 40, 50, 60]

    def test_skip(self, home: Home) -> None:
        spans = self.run(home, Overlap.SKIP, 75)
        assert [span[:2] for span in spans[:2]] == [(10, 35), (40, 65)]
        assert "20 overlapped" in fates(home)
        assert "30 overlapped" in fates(home)

    def test_queue_one(self, home: Home) -> None:
        """The time of 20 waits until 35; that of 30 is let go; that of 40 waits until 61."""
        spans = self.run(home, Overlap.QUEUE_ONE, 100)
        assert [begin for begin, _, _ in spans[:3]] == [10, 36, 62]
        assert "30 overlapped" in fates(home)
        assert "20 fired" in fates(home)

    def test_cancel_running(self, home: Home) -> None:
        spans = self.run(home, Overlap.CANCEL_RUNNING, 41)
        assert [begin for begin, _, _ in spans] == [10, 20, 30, 40]
        assert [state for _, _, state in spans] == ["CANCELLED"] * 3 + ["ACTIVE"]

    @pytest.mark.parametrize("overlap", [Overlap.SKIP, Overlap.QUEUE_ONE])
    def test_never_two_at_once_and_none_more_than_needed(self, home: Home, overlap: Overlap) -> None:
        spans = sorted(self.run(home, overlap, 200, each=13))
        ended = [span for span in spans if span[1] > 0]
        assert all(one[1] <= other[0] for one, other in pairwise(ended))
        assert len(ended) >= 8


class TestHold:
    def test_no_schedule_of_the_tenant_runs_until_released(self, home: Home) -> None:
        create(home, misfire=Misfire.RUN_ALL)
        other = Caller("zeta", "zoe", frozenset({"admin"}))
        create(home, caller=other)
        service.hold_schedules(home.ports, ADMIN, "new disks")
        pass_time(home, 30)
        assert jobs(home) == []
        assert fates(home) == ["10 held", "20 held", "30 held"]
        assert len(home.ports.jobs.page(JobQuery(tenant="zeta")).jobs) == 3
        service.release_schedules(home.ports, ADMIN)
        pass_time(home, 10)
        assert starts(home) == [40]

    def test_only_operators_hold_and_release(self, home: Home) -> None:
        for act in (
            lambda: service.hold_schedules(home.ports, ANN, None),
            lambda: service.release_schedules(home.ports, ANN),
        ):
            with pytest.raises(Forbidden):
                act()


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


# A crash at every call.


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
