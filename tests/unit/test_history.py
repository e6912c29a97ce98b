"""What is known of a job's past."""

from __future__ import annotations

from typing import Any

import pytest

from home import ADMIN, LEASE_SECONDS, Home
from tidegate.domain.history import Ending, History, history_of
from tidegate.domain.job import State
from tidegate.domain.ticket import ticket_for
from tidegate.execution.context import JobContext
from tidegate.service.claim import claim_for
from tidegate.service.control import cancel, retry


def past(home: Home, job_id: str) -> History:
    return history_of(home.job(job_id))


def told(history: History) -> list[tuple[int, str, str | None]]:
    return [(each.attempt, each.outcome.value, each.error_message) for each in history.attempts]


def states(history: History) -> list[tuple[str, int | None, str | None]]:
    return [(change.state.value, change.attempt, change.note) for change in history.changes]


def test_a_job_that_fails_twice_and_then_succeeds(home: Home) -> None:
    job = home.submit(retry_delay=1)
    start = home.clock.now()

    def work(context: JobContext) -> str:
        home.clock.advance(3)
        if context.attempt < 3:
            raise ValueError(f"page {context.attempt}")
        return "done"

    home.settle(home.runner(work=work), seconds=30)
    found = past(home, job.id)
    assert told(found) == [
        (1, "failed", "ValueError: page 1"),
        (2, "failed", "ValueError: page 2"),
        (3, "completed", None),
    ]
    assert {each.worker_id for each in found.attempts} == {"w-1"}
    first = found.attempts[0]
    assert (first.started_at, first.ended_at) == (start, start + 3_000)
    assert states(found) == [
        ("CREATED", None, None),
        ("ACTIVE", 1, None),
        ("RETRY", 1, "ValueError: page 1"),
        ("ACTIVE", 2, None),
        ("RETRY", 2, "ValueError: page 2"),
        ("ACTIVE", 3, None),
        ("COMPLETED", 3, None),
    ]
    assert [change.at for change in found.changes] == sorted(change.at for change in found.changes)
    assert found.forgotten == 0


def test_a_job_that_waits_has_no_attempts(home: Home) -> None:
    found = past(home, home.submit().id)
    assert (found.attempts, states(found)) == ((), [("CREATED", None, None)])


def test_a_running_attempt_has_no_end(home: Home) -> None:
    job = home.submit()
    claim_for(home.ports, ticket_for(job), "w-9", LEASE_SECONDS, receives=1)
    (attempt,) = past(home, job.id).attempts
    assert (attempt.outcome, attempt.worker_id, attempt.ended_at) == (Ending.RUNNING, "w-9", None)


def test_failing_for_good_says_why(home: Home) -> None:
    job = home.submit(retry_limit=0)

    def work(context: JobContext) -> None:
        raise ValueError("bad page")

    home.drain(home.runner(work=work))
    found = past(home, job.id)
    assert told(found) == [(1, "failed", "ValueError: bad page")]
    assert states(found)[-1] == ("FAILED", 1, "ValueError: bad page")


@pytest.mark.parametrize(("answer", "ending"), [("skip", "skipped"), ("snooze", "snoozed")])
def test_skips_and_snoozes(home: Home, answer: str, ending: str) -> None:
    job = home.submit()

    def work(context: JobContext) -> Any:
        return context.skip("nothing to do") if answer == "skip" else context.snooze(60)

    home.drain(home.runner(work=work))
    found = past(home, job.id)
    assert told(found) == [(1, ending, None)]
    expected = ("SKIPPED", 1, "nothing to do") if answer == "skip" else ("RETRY", 1, "snoozed")
    assert states(found)[-1] == expected


def test_snoozes_before_the_last_leave_no_record(home: Home) -> None:
    job = home.submit()
    home.settle(home.runner(work=lambda context: context.snooze(5) if context.attempt < 4 else "done"), seconds=30)
    found = past(home, job.id)
    assert (told(found), found.forgotten) == ([(4, "completed", None)], 3)


def test_only_the_last_twenty_failures_are_kept(home: Home) -> None:
    job = home.submit(retry_limit=24, retry_delay=1, retry_backoff=False)

    def work(context: JobContext) -> None:
        raise ValueError("bad page")

    home.settle(home.runner(work=work), seconds=60)
    found = past(home, job.id)
    assert ([each.attempt for each in found.attempts], found.forgotten) == (list(range(6, 26)), 5)


def test_cancelled_while_running_and_started_over(home: Home) -> None:
    job = home.submit()

    def work(context: JobContext) -> str:
        cancel(home.ports, ADMIN, context.id, "not needed")
        context.heartbeat()
        return str(context.cancelled)

    home.drain(home.runner(work=work))
    found = past(home, job.id)
    assert told(found) == [(1, "cancelled", None)]
    assert states(found)[-1] == ("CANCELLED", 1, "not needed")
    home.clock.advance(1)
    retry(home.ports, ADMIN, job.id)
    again = past(home, job.id)
    assert told(again) == [(1, "cancelled", None)]
    assert states(again)[-1] == ("CREATED", 1, "started over")


def test_cancelled_while_it_snoozed(home: Home) -> None:
    job = home.submit()
    home.drain(home.runner(work=lambda context: context.snooze(60)))
    cancel(home.ports, ADMIN, job.id)
    found = past(home, job.id)
    assert told(found) == [(1, "snoozed", None)]
    assert found.changes[-1].state is State.CANCELLED
