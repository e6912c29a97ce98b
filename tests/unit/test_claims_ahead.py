"""An embedded worker claims its next job in the commit that records the outcome of the one before."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from home import Home
from tidegate.domain.errors import NotFound, Unavailable
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.execution import attempt_runner, pulse
from tidegate.execution.context import JobContext
from tidegate.worker.options import WorkerOptions
from tidegate.worker.pull import PullLoop


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be recorded is tried again at once."""
    monkeypatch.setattr(attempt_runner, "time", SimpleNamespace(sleep=lambda _: None, monotonic=time.monotonic))


def loop_of(home: Home, work: Any) -> PullLoop:
    return PullLoop(home.app, home.runner(work=work), WorkerOptions(poll_interval=0.01))


def ends(home: Home, jobs: list[Job]) -> list[tuple[State, int]]:
    """State and attempt of each."""
    return [(found.state, found.attempt) for found in (home.job(job.id) for job in jobs)]


def test_outcome_and_next_claim_are_one_commit(home: Home) -> None:
    """A commit each for the first claim, for each outcome with the claim that follows it, and for the last outcome."""
    jobs, commits = [home.submit() for _ in range(4)], list[list[tuple[State, int]]]()

    @contextmanager
    def together() -> Iterator[None]:
        with home.ports.together():
            yield
        commits.append(ends(home, jobs))

    watched = home.with_ports(together=together)
    loop_of(watched, lambda job: None)._round(10)
    done, started, waits = (State.COMPLETED, 1), (State.ACTIVE, 1), (State.CREATED, 0)
    assert commits == [
        [done, started, waits, waits],
        [done, done, started, waits],
        [done, done, done, started],
        [done] * 4,
    ]


def test_a_commit_that_fails_takes_the_claim_back_too(home: Home) -> None:
    """The outcome is recorded at the second try, the next job is claimed by itself: neither runs twice."""
    jobs, ran = [home.submit() for _ in range(3)], list[str]()
    failing = [True, False]

    @contextmanager
    def together() -> Iterator[None]:
        with home.ports.together():
            yield
            if failing and failing.pop(0):
                raise Unavailable("the disk is full")

    def work(context: JobContext) -> None:
        ran.append(context.id)

    loop_of(home.with_ports(together=together), work)._round(10)
    assert ran == [job.id for job in jobs]
    assert ends(home, jobs) == [(State.COMPLETED, 1)] * 3


def test_a_claim_that_cannot_be_made_costs_the_job_before_nothing(home: Home) -> None:
    """Its queue was deleted: that is told when its own turn comes, the outcome before it is on record."""
    home.ports.queues.put_if_unchanged(Queue(tenant="main", name="gone"), None)
    before, gone = home.submit(), home.submit(queue="gone")

    class Queues:
        def get(self, tenant: str, name: str) -> Queue | None:
            return None

    with pytest.raises(NotFound):
        loop_of(home.with_ports(queues=Queues()), lambda job: "done")._round(10)
    assert ends(home, [before, gone]) == [(State.COMPLETED, 1), (State.CREATED, 0)]
    assert home.job(before.id).result == "done"


def test_a_worker_that_is_told_to_stop_claims_nothing_more(home: Home) -> None:
    jobs = [home.submit() for _ in range(3)]
    loop: PullLoop = loop_of(home, lambda job: loop.stop())
    loop._round(10)
    assert ends(home, jobs) == [(State.COMPLETED, 1), (State.CREATED, 0), (State.CREATED, 0)]
    assert len(home.ports.tickets.receive("default", 10, 0)) == 2


def test_tickets_taken_ahead_are_for_others_once_a_job_lasts(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else they would wait behind it until they can be seen again, beside workers that have nothing to do."""
    monkeypatch.setattr(pulse, "_LASTING_SECONDS", 0.0)
    jobs, left, seen = [home.submit() for _ in range(4)], list[int](), list[int]()

    def work(context: JobContext) -> None:
        watching = runner._pulse
        assert watching._running is not None
        if context.id == jobs[1].id:
            watching._look_after(watching._running)
            watching._look_after(watching._running)
            seen.append(len(home.ports.tickets.receive("default", 10, 0)))
        left.append(len(loop._ahead))

    runner = home.runner(work=work)
    loop = PullLoop(home.app, runner, WorkerOptions(poll_interval=0.01))
    loop._round(10)
    assert (seen, left) == ([2], [3, 0])
    assert [state for state, _ in ends(home, jobs)] == [State.COMPLETED] * 2 + [State.CREATED] * 2
