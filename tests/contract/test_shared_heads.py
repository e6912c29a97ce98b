"""Heads of lanes that claims share for moments: how often the index is asked, and what starts instead of what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.job import Job
from tidegate.domain.ticket import ticket_for
from tidegate.execution.context import JobContext
from tidegate.execution.runner import Runner
from tidegate.ports import JobStore, Ready
from tidegate.service.claim import claim_own
from tidegate.service.control import reprioritise
from tidegate.service.heads import HEAD
from tidegate.service.policies import patch_queue, put_queue

HEAD_MS = 100


class Asked:
    """A store of jobs that counts how often the head of a lane is asked for."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self.times = 0
        self.lags_by: frozenset[str] = frozenset()
        """Jobs that the index still shows."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def head(self, lane: Any, limit: int, *args: Any, **kwargs: Any) -> Sequence[Ready]:
        self.times += 1
        found = self._jobs.head(lane, limit, *args, **kwargs)
        gone = [Ready(0, job_id) for job_id in self.lags_by if job_id not in {ready.job_id for ready in found}]
        return [*gone, *found][:limit]


class Busy:
    """A home whose worker shares heads; each attempt takes `attempt_ms`."""

    def __init__(self, home: Home) -> None:
        self.asked = Asked(home.ports.jobs)
        self.home = home.with_ports(jobs=self.asked, head_ms=HEAD_MS, first_look=HEAD)
        self.started: list[str] = []
        self.attempt_ms = 10
        self.meanwhile: Callable[[], object] = lambda: None
        self.runner: Runner = self.home.runner(work=self._work)

    def jobs(self, count: int, **fields: Any) -> list[Job]:
        return [self.home.submit(**fields) for _ in range(count)]

    def serve(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.home.serve_one(self.runner) is not None

    def _work(self, job: JobContext) -> None:
        self.started.append(job.id)
        self.home.clock.advance(self.attempt_ms / 1000)
        self.meanwhile()


@pytest.fixture
def busy(either: Home) -> Busy:
    return Busy(either)


def _ids(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in jobs]


def test_short_jobs_share_a_head_until_it_is_old(busy: Busy) -> None:
    jobs = busy.jobs(12)
    busy.serve(12)
    assert busy.started == _ids(jobs)
    assert busy.asked.times == 2


def test_a_worker_whose_jobs_take_longer_starts_the_best_each_time(busy: Busy) -> None:
    busy.attempt_ms = HEAD_MS
    waiting, better = busy.jobs(3), list[Job]()
    busy.meanwhile = lambda: None if better else better.extend(busy.jobs(1, priority=6))
    busy.serve(2)
    assert busy.started == [waiting[0].id, better[0].id]
    assert busy.asked.times == 2


def test_a_better_job_waits_no_longer_than_a_head_is_fresh(busy: Busy) -> None:
    busy.jobs(20)
    busy.serve()
    better = busy.jobs(1, priority=6)[0]
    came, began = busy.home.clock.now(), dict[str, int]()
    busy.meanwhile = lambda: began.setdefault(busy.started[-1], busy.home.clock.now() - busy.attempt_ms)
    busy.serve(15)
    assert 0 < began[better.id] - came <= HEAD_MS


def test_a_ticket_s_own_job_is_merged_by_its_rank(busy: Busy) -> None:
    """It came after the head was read, so the head does not show it."""
    waiting = busy.jobs(3)
    busy.serve()
    better = busy.jobs(1, priority=10)[0]
    busy.serve()
    assert busy.started == [waiting[0].id, better.id]
    assert busy.asked.times == 1


def test_a_head_that_others_take_from_is_asked_again_each_time_for_a_second(busy: Busy) -> None:
    jobs = busy.jobs(6)
    busy.attempt_ms = 0
    busy.serve()
    other = claim_own(busy.home.ports, ticket_for(jobs[1]), "another", 60)
    assert isinstance(other, Job)
    busy.serve(3)
    assert busy.started == _ids([jobs[0], *jobs[2:5]])
    assert busy.asked.times == 4
    busy.home.clock.advance(1)
    later = busy.jobs(3)
    busy.serve(4)
    assert busy.started[4:] == _ids([jobs[5], *later][: len(busy.started) - 4])
    assert busy.asked.times <= 6


def test_an_index_that_still_shows_what_was_started_costs_no_refused_claim(busy: Busy) -> None:
    jobs = busy.jobs(3)
    busy.attempt_ms = HEAD_MS
    busy.serve()
    busy.asked.lags_by = frozenset({jobs[0].id})
    busy.serve()
    assert busy.started == _ids(jobs[:2])
    assert busy.home.job(jobs[0].id).attempt == 1


def test_what_waits_again_is_started_though_it_was_just_tried(busy: Busy) -> None:
    """Its retry rides on its own ticket, also where better jobs come first."""
    busy.attempt_ms = 0
    flaky = busy.home.submit(name="flaky", retry_delay=0.0)
    runner = busy.home.runner(work=busy._work, flaky=_fail_once)
    busy.home.serve_one(runner)
    busy.home.clock.advance(0.05)
    better = busy.jobs(2, priority=6)
    busy.home.drain(runner)
    assert sorted(busy.started) == sorted(_ids(better))
    assert busy.home.job(flaky.id).state == "COMPLETED"


def _fail_once(job: JobContext) -> None:
    if job.attempt == 1:
        raise ConnectionError("the other side hung up")


@pytest.mark.parametrize("change", ["paused", "moved", "limited", "keys"])
def test_what_people_change_meanwhile_holds_at_once(busy: Busy, change: str) -> None:
    jobs = busy.jobs(4)
    busy.serve()
    ports = busy.home.ports
    if change == "moved":
        reprioritise(ports, ADMIN, jobs[3].id, 6)
        busy.home.clock.advance(HEAD_MS / 1000)
        busy.serve()
        assert busy.started[1] == jobs[3].id
        return
    put_queue(ports, ADMIN, "default", {})
    changes: dict[str, dict[str, Any]] = {"paused": {"paused": True}, "limited": {"slots": 1}, "keys": {"shards": 3}}
    patch_queue(ports, ADMIN, "default", changes[change])
    busy.home.drain(busy.runner, limit=100)
    assert len(busy.started) == (1 if change == "paused" else 4)
