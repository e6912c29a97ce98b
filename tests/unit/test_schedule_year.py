"""A virtual year of ticks: every policy, doubled and skipped ticks, crashes; nothing twice, nothing lost."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from support.clock import Clock
from support.schedules import SCHEDULE_ID, make_schedule
from tidegate.adapters.cron import ZonedCron
from tidegate.domain.firing import GRACE_MS
from tidegate.domain.job import Job, Ms, State
from tidegate.domain.schedule import Misfire, Overlap, Schedule, next_time, run_id, started
from tidegate.ports import Ports
from tidegate.runtime import embedded
from tidegate.service.fire_schedules import fire_schedules

YEAR_MS = 365 * 86_400_000
PERIOD_MS = 60_000
CRON = ZonedCron()
RULES = (
    ("0 2 * * *", "Europe/Berlin"),
    ("30 1,2 * * *", "America/New_York"),
    ("45 1,13 * * *", "Australia/Lord_Howe"),
    ("15 3 * * *", "Africa/Casablanca"),
    ("0 0 1 * *", "Asia/Gaza"),
    ("0 9 * * MON-FRI", "UTC"),
    ("every 17h", "UTC"),
)


@dataclass
class Made:
    """A job store that only remembers: a year's jobs in memory. Each job takes `seconds` from its start."""

    clock: Clock
    seconds: Callable[[Job], float] = lambda job: 30.0
    jobs: dict[str, Job] = field(default_factory=dict)
    puts: Counter[str] = field(default_factory=Counter)

    def create(self, jobs: Sequence[Job]) -> list[Job | None]:
        answers = [self.jobs.get(job.id) for job in jobs]
        for job, existing in zip(jobs, answers, strict=True):
            if existing is None:
                self.jobs[job.id] = job
                self.puts[job.id] += 1
        return answers

    def get(self, keys: Sequence[Any]) -> list[Job | None]:
        return [self._now(self.jobs.get(key.job_id)) for key in keys]

    def apply(self, writes: Sequence[Any]) -> list[Any]:
        from tidegate.domain.guard import Outcome

        outcomes = []
        for write in writes:
            job = self._now(self.jobs.get(write.job_id))
            assert job is not None
            applied = write.guard.holds(job)
            if applied:
                job = self.jobs[write.job_id] = replace(job, **write.values)
            outcomes.append(Outcome(applied, job))
        return outcomes

    def _now(self, job: Job | None) -> Job | None:
        if job is None or job.completed_at is not None:
            return job
        begin = job.wake_at or job.created_at
        end = begin + round(self.seconds(job) * 1000)
        if job.cancel_requested:
            end = min(end, job.updated_at + 1_000)
        if self.clock.now() >= end:
            state = State.CANCELLED if job.cancel_requested else State.COMPLETED
            return replace(job, state=state, completed_at=end)
        return replace(job, state=State.ACTIVE, attempt=1) if self.clock.now() >= begin else job


class Silent:
    """Tickets that nobody needs here."""

    def send(self, tickets: Any) -> None:
        return


@pytest.fixture
def world(tmp_path: Path, clock: Clock) -> Iterator[tuple[Ports, Made, Clock]]:
    made = Made(clock)
    app = embedded(tmp_path / "home", now=clock.now, new_id=clock.new_id, synchronous="NORMAL")
    app.ports.close()
    ports: Any = replace(app.ports, jobs=made, tickets=Silent(), clock_seconds=60.0)  # type: ignore[arg-type]
    yield ports, made, clock
    ports.close()


def all_times(schedule: Schedule, until: Ms) -> list[Ms]:
    times: list[Ms] = []
    at = next_time(schedule, schedule.created_at, CRON.next_match)
    while at is not None and at <= until:
        times.append(at)
        at = next_time(schedule, at, CRON.next_match)
    return times


def ticks(rng: random.Random, start: Ms, end: Ms) -> Iterator[tuple[Ms, int]]:
    """When the clock ticks, and how often at that moment: some are lost, some doubled, of some hours all are lost."""
    at = start
    while at < end:
        at += PERIOD_MS
        draw = rng.random()
        if draw < 0.00002:
            at += rng.randrange(1, 30) * 3_600_000  # nothing ticked for hours
        elif draw < 0.01:
            continue  # EventBridge lost one
        yield at + rng.randrange(900), 2 if draw > 0.99 else 1


def store(ports: Ports, clock: Clock, **fields: Any) -> list[Schedule]:
    """For every rule and misfire policy a schedule that allows overlaps, and one of the other policies in turn."""
    made = []
    others = [overlap for overlap in Overlap if overlap is not Overlap.ALLOW]
    combinations = [
        (rule, misfire, overlap)
        for (r, rule), (m, misfire) in itertools.product(enumerate(RULES), enumerate(Misfire))
        for overlap in (Overlap.ALLOW, others[(r + m) % len(others)])
    ]
    for number, ((expression, zone), misfire, overlap) in enumerate(combinations):
        schedule = make_schedule(
            f"s{number:03d}",
            id=SCHEDULE_ID[:-3] + f"{number:03d}",
            expression=expression,
            timezone=zone,
            misfire=misfire,
            overlap=overlap,
            **fields,
        )
        schedule = started(schedule, clock.now(), CRON.next_match)
        assert ports.schedules.create(schedule)
        made.append(schedule)
    return made


def next_look(ports: Ports) -> Ms:
    """When something is due next."""
    (key,) = ports.schedules.due(2**50, 1)
    (schedule,) = ports.schedules.get([key])
    assert schedule is not None
    assert schedule.look_at is not None
    return schedule.look_at


def run_until(ports: Ports, clock: Clock, end: Ms, rng: random.Random) -> tuple[int, int, list[tuple[Ms, Ms]]]:
    """Tick until `end`; answers ticks done, ticks doubled, and the gaps between ticks."""
    count = doubled = 0
    gaps, last, soonest = [], clock.now(), 0
    for at, times in ticks(rng, clock.now(), end):
        if at < last:
            continue
        gaps.append((last, at))
        last = at
        clock.advance((at - clock.now()) / 1000)
        # a tick with nothing due does no more than look: only each hundredth of these is made
        if at + PERIOD_MS >= soonest or count % 100 == 0:
            for _ in range(times):
                fire_schedules(ports, clock.now() + PERIOD_MS)
            soonest = next_look(ports)
        count, doubled = count + times, doubled + (times > 1)
    return count, doubled, gaps


def test_a_year_of_ticks_loses_and_doubles_nothing(
    world: tuple[Ports, Made, Clock], capsys: pytest.CaptureFixture[str]
) -> None:
    """Overlap allowed: every time that was not missed by downtime has exactly one job; run_all leaves out none."""
    ports, made, clock = world
    rng, begin = random.Random(4), time.process_time()
    schedules = store(ports, clock, misfire_window_seconds=30 * 86_400.0)
    end = clock.now() + YEAR_MS
    count, doubled, gaps = run_until(ports, clock, end, rng)
    outages = [(low, high) for low, high in gaps if high - low > GRACE_MS]
    lost, extra, expected_total = 0, 0, 0
    for schedule in schedules:
        times = all_times(schedule, clock.now() + PERIOD_MS)
        by_id = {run_id(schedule.id, at): at for at in times}
        fired = {by_id[job_id] for job_id in by_id if job_id in made.puts}
        if schedule.overlap is Overlap.ALLOW:
            expected = set(expected_times(schedule, times, outages))
            lost, extra = lost + len(expected - fired), extra + len(fired - expected)
            expected_total += len(expected)
        else:
            extra += len(fired - set(times))
    twice = sum(puts > 1 for puts in made.puts.values())
    seconds = time.process_time() - begin
    with capsys.disabled():
        print(  # noqa: T201
            f"\n  a virtual year: {count} ticks ({doubled} doubled, {len(outages)} outages), "
            f"{len(schedules)} schedules, {len(made.puts)} jobs, {twice} duplicated, {lost} lost, "
            f"{extra} unasked for, in {seconds:.1f} s of processor time"
        )
    assert len(outages) > 3
    assert expected_total > 5_000
    assert (twice, lost, extra) == (0, 0, 0)


def expected_times(schedule: Schedule, times: list[Ms], outages: list[tuple[Ms, Ms]]) -> Iterator[Ms]:
    """The times that the policy lets run: all but some of those that an outage made late by more than the grace."""
    missed: dict[int, list[Ms]] = {}
    for at in times:
        late_in = next(
            (number for number, (low, high) in enumerate(outages) if low + PERIOD_MS < at < high - GRACE_MS), None
        )
        if late_in is None:
            yield at
        else:
            missed.setdefault(late_in, []).append(at)
    for each in missed.values():
        if schedule.misfire is Misfire.RUN_ALL:
            yield from each
        elif schedule.misfire is Misfire.RUN_ONCE:
            yield each[-1]
