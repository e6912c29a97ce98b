"""Schedules on a whole home: fired, overlapping, caught up, held."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from home import ADMIN, Home
from support.clock import START_MS
from support.schedules import ANN, BOB, SCHEDULE_ID, Died, Dies, create, fates, jobs, pass_time, starts, stored
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Forbidden, InvalidInput
from tidegate.domain.job import State
from tidegate.domain.queue import Queue
from tidegate.domain.schedule import JobTemplate, Misfire, Overlap, run_id
from tidegate.ports import JobQuery, ScheduleKey
from tidegate.service import schedules as service
from tidegate.service.fire_schedules import fire_schedules


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
