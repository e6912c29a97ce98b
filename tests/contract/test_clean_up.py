"""Cancelling a running job: its handler stops, what it left is cleaned up, and whatever goes wrong is on record."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from support.attempts import ADMIN, LAPSED_SECONDS, LEASE_SECONDS, serve, stored, submitted, worker
from support.aws import VISIBILITY_SECONDS
from support.clock import Clock
from tidegate import executor
from tidegate.domain.errors import InvalidInput, LeaseLost
from tidegate.domain.history import Ending, history_of
from tidegate.domain.job import ErrorType, Job, State
from tidegate.domain.ticket import ticket_for
from tidegate.execution import registry
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.ports import Ports
from tidegate.service import settle
from tidegate.service.claim import CLEAN_UP_TRIES, Claimed, claim_for
from tidegate.service.control import cancel
from tidegate.service.read_log import read_log

Handler = Callable[[JobContext], Any]


def cancelled_by_itself(ports: Ports) -> Handler:
    """A handler that is cancelled while it runs, sees that, and obeys."""

    def work(context: JobContext) -> str:
        cancel(ports, ADMIN, context.id)
        context.heartbeat()
        return "stopped" if context.cancelled else "finished"

    return work


def log_of(ports: Ports, job: Job) -> list[str]:
    found = read_log(ports, ADMIN, job.id, after=None, limit=100)
    return [f"{told.line.level} {told.line.message}" for told in found.lines]


def claimed(ports: Ports, job: Job, worker_id: str, cleans_up: tuple[str, ...] = ()) -> Job:
    ticket = ticket_for(stored(ports, job))
    claim = claim_for(ports, ticket, worker_id, LEASE_SECONDS, receives=1, cleans_up=cleans_up)
    assert isinstance(claim, Claimed)
    return claim.job


def test_the_clean_up_runs_once_after_the_handler_with_its_job(ports: Ports) -> None:
    seen: list[tuple[str, Any, bool, State]] = []
    job = submitted(ports, data={"file": "a"})

    def clean(context: JobContext) -> None:
        seen.append((context.id, context.data, context.cancelled, stored(ports, job).state))
        context.log.info("removed %s", context.data["file"])

    serve(ports, worker(ports, Executor("work", cancelled_by_itself(ports), on_cancel=clean)))
    assert seen == [(job.id, {"file": "a"}, True, State.ACTIVE)]
    done = stored(ports, job)
    assert (done.state, done.result, done.error_message, done.failures) == (State.CANCELLED, None, None, ())
    assert log_of(ports, job) == ["INFO removed a"]


@pytest.mark.parametrize("outcome", ["raises", "snoozes", "times out"])
def test_an_attempt_that_cannot_go_on_because_of_the_cancelling_is_cleaned_up_too(ports: Ports, outcome: str) -> None:
    """The handler never looked; it is found out when the attempt asks for another one."""
    seen: list[str] = []
    job = submitted(ports, timeout=0.3 if outcome == "times out" else 60)

    def work(context: JobContext) -> Any:
        cancel(ports, ADMIN, context.id)
        if outcome == "snoozes":
            return context.snooze(60)
        if outcome == "times out":
            time.sleep(5)
        raise ValueError("bad page")

    serve(ports, worker(ports, Executor("work", work, on_cancel=lambda context: seen.append(context.id))))
    done = stored(ports, job)
    assert (done.state, seen) == (State.CANCELLED, [job.id])
    expected = {"raises": ErrorType.AGENT, "snoozes": None, "times out": ErrorType.TIMEOUT}[outcome]
    assert done.error_type == expected
    assert [failure.error_type for failure in done.failures] == ([] if expected is None else [expected])


def test_jobs_that_end_otherwise_are_not_cleaned_up(ports: Ports) -> None:
    seen: list[str] = []

    def work(context: JobContext) -> str:
        cancel(ports, ADMIN, context.id)
        return "finished nevertheless"

    job, waiting = submitted(ports), submitted(ports, start_after=ports.now() + 60_000)
    cancel(ports, ADMIN, waiting.id)
    serve(ports, worker(ports, Executor("work", work, on_cancel=lambda context: seen.append(context.id))))
    assert stored(ports, job).state is State.COMPLETED
    assert stored(ports, waiting).state is State.CANCELLED
    assert seen == []


def test_an_error_in_the_clean_up_is_logged_and_recorded(ports: Ports) -> None:
    job = submitted(ports)

    def clean(context: JobContext) -> None:
        raise OSError("disk is gone")

    serve(ports, worker(ports, Executor("work", cancelled_by_itself(ports), on_cancel=clean)))
    done = stored(ports, job)
    message = "clean-up failed: OSError: disk is gone"
    assert (done.state, done.error_type, done.error_message) == (State.CANCELLED, ErrorType.AGENT, message)
    (record,) = history_of(done).attempts
    assert (record.outcome, record.error_message) == (Ending.CANCELLED, message)
    assert log_of(ports, job) == [f"ERROR {message}"]


def test_a_clean_up_has_a_time_limit_of_its_own(ports: Ports) -> None:
    job = submitted(ports)
    over = threading.Event()
    stuck = Executor("work", cancelled_by_itself(ports), on_cancel=lambda _: over.wait(60), on_cancel_timeout=0.2)
    begun = time.monotonic()
    serve(ports, worker(ports, stuck))
    assert time.monotonic() - begun < 50
    over.set()
    done = stored(ports, job)
    assert (done.state, done.error_type) == (State.CANCELLED, ErrorType.TIMEOUT)
    assert (done.error_message or "").startswith("clean-up failed: ")


def test_the_next_worker_cleans_up_after_one_that_vanished(ports: Ports, clock: Clock) -> None:
    """Also when the lost attempt was the last one allowed."""
    calls: list[str] = []
    job = submitted(ports, retry_limit=0, data={"file": "a"})
    assert len(ports.tickets.receive("default", 1, 0)) == 1
    claimed(ports, job, "gone")
    cancel(ports, ADMIN, job.id)
    clock.advance(VISIBILITY_SECONDS + LAPSED_SECONDS)

    def work(context: JobContext) -> None:
        calls.append("work")

    def clean(context: JobContext) -> None:
        calls.append(f"clean {context.data['file']} in attempt {context.attempt}")

    serve(ports, worker(ports, Executor("work", work, on_cancel=clean)))
    done = stored(ports, job)
    assert calls == ["clean a in attempt 2"]
    assert (done.state, done.attempt) == (State.CANCELLED, 2)
    assert [(each.attempt, each.outcome) for each in history_of(done).attempts] == [
        (1, Ending.FAILED),
        (2, Ending.CANCELLED),
    ]


def test_a_clean_up_that_keeps_killing_its_worker_is_given_up(ports: Ports, clock: Clock) -> None:
    job = submitted(ports, retry_limit=0)
    claimed(ports, job, "w-0")
    cancel(ports, ADMIN, job.id)
    for number in range(CLEAN_UP_TRIES):
        clock.advance(LAPSED_SECONDS)
        claimed(ports, job, f"w-{number + 1}", cleans_up=("work",))
    clock.advance(LAPSED_SECONDS)
    ticket = ticket_for(stored(ports, job))
    assert not isinstance(claim_for(ports, ticket, "w", LEASE_SECONDS, receives=2, cleans_up=("work",)), Claimed)
    done = stored(ports, job)
    assert done.state is State.CANCELLED
    assert [failure.attempt for failure in done.failures] == [1, 2, 3]


def test_without_a_clean_up_a_job_whose_worker_vanished_ends_at_once(ports: Ports, clock: Clock) -> None:
    job = submitted(ports)
    holder = claimed(ports, job, "gone")
    cancel(ports, ADMIN, job.id)
    clock.advance(LAPSED_SECONDS)
    serve(ports, worker(ports, work=lambda context: "never"))
    done = stored(ports, job)
    assert (done.state, done.attempt) == (State.CANCELLED, 1)
    assert "vanished" in done.failures[0].error_message
    with pytest.raises(LeaseLost):
        settle.complete(ports, holder, "late")


def test_who_lost_the_lease_leaves_the_cleaning_to_who_has_it(ports: Ports, clock: Clock) -> None:
    """Otherwise it would take away what the attempt that holds the job now is working with."""
    seen: list[str] = []
    job = submitted(ports)

    def work(context: JobContext) -> str:
        clock.advance(LAPSED_SECONDS)
        claimed(ports, job, "another")
        context.heartbeat()
        return "stopped" if context.cancelled else "finished"

    serve(ports, worker(ports, Executor("work", work, on_cancel=lambda context: seen.append(context.id))))
    assert seen == []
    assert (stored(ports, job).state, stored(ports, job).attempt) == (State.ACTIVE, 2)


def test_the_decorator_takes_it_and_leaves_the_function_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    def clean(job: JobContext) -> None: ...

    @executor("extract", on_cancel=clean, on_cancel_timeout=5)
    def extract(job: JobContext) -> str:
        return "plain"

    made = registry._registered["extract"]
    assert (made.run, made.on_cancel, made.on_cancel_timeout) == (extract, clean, 5)
    with pytest.raises(InvalidInput, match="on_cancel_timeout"):
        executor("other", on_cancel=clean, on_cancel_timeout=0)
