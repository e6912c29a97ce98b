"""The heart of a worker: a heartbeat and the end of its attempt never cross."""

from __future__ import annotations

import threading
import time

import pytest

from home import Home
from support.jobs import make_job
from tidegate.domain.job import Job, Progress, State
from tidegate.execution.context import JobContext
from tidegate.execution.pulse import Pulse
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Runner
from tidegate.ports import Delivery

JOB = make_job("j", state=State.ACTIVE, attempt=1)


def refuse(_: Job) -> None:
    raise AssertionError("nobody gives up here")


def test_the_end_of_an_attempt_waits_for_a_heartbeat_that_is_under_way() -> None:
    happened: list[str] = []
    begun = threading.Event()

    def beat(job: Job, progress: Progress | None) -> Job:
        begun.set()
        time.sleep(0.3)
        happened.append("beat")
        return job

    pulse = Pulse(0.0, beat, refuse)
    running = pulse.watch(JOB, JobContext(JOB, lambda: None), 60)
    assert begun.wait(5)
    pulse.release(running)
    happened.append("released")
    time.sleep(0.5)
    assert happened == ["beat", "released"]


def test_no_heartbeat_begins_after_the_end() -> None:
    beats: list[str] = []

    def beat(job: Job, progress: Progress | None) -> Job:
        beats.append(job.id)
        return job

    pulse = Pulse(60, beat, refuse)
    running = pulse.watch(JOB, JobContext(JOB, lambda: None), 60)
    pulse.beat_now(running)
    pulse.release(running)
    pulse.beat_now(running)
    assert beats == ["j"]


def test_a_heartbeat_that_hangs_holds_the_end_up_for_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.execution.pulse._BEAT_PATIENCE_SECONDS", 0.2)
    begun, over = threading.Event(), threading.Event()

    def beat(job: Job, progress: Progress | None) -> Job:
        begun.set()
        over.wait(60)
        return job

    pulse = Pulse(0.0, beat, refuse)
    running = pulse.watch(JOB, JobContext(JOB, lambda: None), 60)
    assert begun.wait(5)
    started = time.monotonic()
    pulse.release(running)
    over.set()
    assert 0.2 <= time.monotonic() - started < 50


def test_the_thread_ends_when_nothing_is_watched_and_the_next_attempt_has_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tidegate.execution.pulse._STEP_SECONDS", 0.01)
    beats = threading.Semaphore(0)

    def beat(job: Job, progress: Progress | None) -> Job:
        beats.release()
        return job

    pulse = Pulse(0.0, beat, refuse)
    before = set(threading.enumerate())

    def ours() -> set[threading.Thread]:
        return set(threading.enumerate()) - before

    for _ in range(2):
        running = pulse.watch(JOB, JobContext(JOB, lambda: None), 60)
        assert len(ours()) == 1
        assert beats.acquire(timeout=5)
        pulse.release(running)
        end = time.monotonic() + 5
        while ours() and time.monotonic() < end:
            time.sleep(0.01)
        assert not ours()


def test_a_retry_is_not_hidden_for_a_lease_by_a_late_heartbeat(home: Home) -> None:
    """The handler fails while its heartbeat is on the way to keep the ticket out of sight for a whole lease."""
    asked: list[float] = []
    beating = threading.Event()
    tickets = home.ports.tickets

    class SlowTickets:
        def __getattr__(self, name: str) -> object:
            return getattr(tickets, name)

        def again(self, delivery: Delivery, seconds: float) -> None:
            beating.set()
            time.sleep(0.2)
            asked.append(seconds)

    def work(context: JobContext) -> None:
        assert beating.wait(5)
        raise ValueError("bad page")

    slow = home.with_ports(tickets=SlowTickets())
    home.submit(retry_delay=2)
    runner = Runner(slow.ports, {"work": Executor("work", work)}, worker_id="w", lease_seconds=0.3, extend_tickets=True)
    slow.serve_one(runner)
    assert asked == [0.3, 2.0]
