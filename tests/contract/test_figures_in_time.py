"""Depth and timeline, in both homes: from the change feed's figures and the ready index."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.clock import START_MS
from support.homes import Home
from support.jobs import make_job
from tidegate.domain.caller import Caller
from tidegate.domain.change import Change
from tidegate.domain.errors import Forbidden
from tidegate.domain.job import Job, Ms, State
from tidegate.domain.priority import Band, Ordering, rank_of
from tidegate.domain.ticket import Lane
from tidegate.ports import Ready
from tidegate.service.depth import Depth, depth
from tidegate.service.record_changes import record_changes
from tidegate.service.timeline import timeline

OLGA = Caller("acme", "olga", frozenset({"read", "operate"}))
RITA = Caller("acme", "rita", frozenset({"read"}))
MINUTE = 60_000


def ended(at: Ms, state: State = State.COMPLETED, took: int = 1_000) -> Change:
    return Change(
        tenant="acme", job_id=f"j{at}", old_state=State.ACTIVE, state=state, at=at, started_at=at - took, name="n",
        queue="q",
    )  # fmt: skip


def waiting(home: Home, *jobs: Job) -> None:
    """Store jobs that are ready, and count them."""
    home.ports.jobs.create(jobs)
    changes = [
        Change(
            tenant=job.tenant, job_id=job.id, old_state=None, state=job.state, queue=job.queue, name=job.name,
            is_waiting=job.priority,
        )
        for job in jobs
    ]  # fmt: skip
    record_changes(home.ports, f"batch-{jobs[0].id}", changes)


class TestTimeline:
    def test_steps_of_five_minutes_hold_what_ended_in_them(self, home: Home) -> None:
        hour = START_MS // 3_600_000 * 3_600_000
        ends = [ended(hour), ended(hour + 299_999), ended(hour + 300_000, State.FAILED), ended(hour - 1)]
        record_changes(home.ports, "b", ends)
        home.clock.advance((hour + 12 * MINUTE - home.clock.now()) / 1000)
        found = timeline(home.ports, OLGA, hours=1)
        assert (found.step_seconds, len(found.points)) == (300, 12)
        assert found.points[-1].at == hour + 10 * MINUTE
        told = {(point.at - hour) // MINUTE: (point.completed, point.failed) for point in found.points}
        assert {minute: counts for minute, counts in told.items() if any(counts)} == {-5: (1, 0), 0: (2, 0), 5: (0, 1)}
        assert (found.completed, found.failed, found.success_rate) == (3, 1, 75.0)

    def test_more_than_a_day_is_told_by_the_hour(self, home: Home) -> None:
        record_changes(home.ports, "b", [ended(START_MS), ended(START_MS - 30 * 3_600_000, State.FAILED)])
        found = timeline(home.ports, OLGA, hours=48)
        assert (found.step_seconds, len(found.points)) == (3_600, 48)
        assert (found.points[-1].completed, found.points[-31].failed) == (1, 1)

    def test_percentiles_are_of_the_completed_jobs(self, home: Home) -> None:
        changes = [ended(START_MS - number, took=100) for number in range(98)]
        changes += [ended(START_MS - 98, took=60_000), ended(START_MS - 99, took=60_000)]
        changes += [ended(START_MS - 100, State.FAILED, took=900_000)]
        record_changes(home.ports, "b", changes)
        found = timeline(home.ports, OLGA)
        assert found.p50_run_seconds == pytest.approx(0.1, rel=0.2)
        assert found.p99_run_seconds == pytest.approx(60, rel=0.42)

    def test_nothing_yet(self, home: Home) -> None:
        found = timeline(home.ports, OLGA)
        assert (len(found.points), found.success_rate, found.p50_run_seconds) == (288, None, None)

    def test_the_scope_read_is_needed(self, home: Home) -> None:
        with pytest.raises(Forbidden):
            timeline(home.ports, Caller("acme", "w", frozenset({"work"})))


class TestDepth:
    def test_jobs_are_told_by_priority_and_band(self, home: Home) -> None:
        waiting(home, *(make_job(f"j{number}", priority=number) for number in (10, 9, 7, 5, 4, 0)))
        found = depth(home.ports, OLGA)
        assert found.priorities == dict.fromkeys((0, 4, 5, 7, 9, 10), 1)
        assert found.bands == {Band.CRITICAL: 1, Band.HIGH: 2, Band.NORMAL: 2, Band.LOW: 1}

    def test_the_oldest_is_found_behind_jobs_of_higher_priority(self, home: Home) -> None:
        waiting(
            home,
            make_job("urgent", priority=10, created_at=START_MS + 2_000),
            make_job("young", priority=5, created_at=START_MS + 3_000),
            make_job("old", priority=5, created_at=START_MS + 1_000),
            make_job("elsewhere", priority=3, queue="mail", created_at=START_MS + 1_500),
        )
        home.clock.advance(11)
        assert self.oldest(depth(home.ports, OLGA)) == ("old", 10.0)

    def test_the_oldest_of_a_queue_that_ages_is_found(self, home: Home) -> None:
        rank = rank_of(Ordering.AGING, priority=5, created_at=START_MS, aging_seconds=60)
        waiting(home, make_job("aged", priority=5, rank=rank, created_at=START_MS))
        home.clock.advance(4)
        assert self.oldest(depth(home.ports, OLGA)) == ("aged", 4.0)

    def test_time_counts_from_when_it_could_start(self, home: Home) -> None:
        job = make_job("planned", created_at=START_MS, start_after=START_MS + 60_000, attempt=0)
        waiting(home, job, make_job("put-back", state=State.RETRY, attempt=1, updated_at=START_MS + 90_000))
        home.clock.advance(100)
        assert self.oldest(depth(home.ports, OLGA)) == ("planned", 40.0)

    def test_another_users_job_is_not_shown_but_its_age_is(self, home: Home) -> None:
        waiting(home, replace(make_job("hers"), owner="zoe"))
        home.clock.advance(3)
        found = depth(home.ports, RITA)
        assert (found.oldest, found.waiting_seconds) == (None, 3.0)

    def test_nothing_waits(self, home: Home) -> None:
        assert depth(home.ports, OLGA) == Depth({}, None, None)

    def oldest(self, found: Depth) -> tuple[str, float | None]:
        assert found.oldest is not None
        return found.oldest.id, found.waiting_seconds


def test_a_lane_can_be_read_from_a_rank_on(home: Home) -> None:
    home.ports.jobs.create([make_job(f"j{rank}", rank=rank) for rank in (5, 100, 7, 10**15)])
    lane = Lane("acme", "mail")
    assert list(home.ports.jobs.head(lane, 2, 7)) == [Ready(7, "j7"), Ready(100, "j100")]
    assert list(home.ports.jobs.head(lane, 9, 101)) == [Ready(10**15, f"j{10**15}")]
