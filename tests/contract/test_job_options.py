"""What a submission may ask for, seen through on both homes by workers and the clock."""

from __future__ import annotations

import time

import pytest

from home import ADMIN, Home
from tidegate.domain.errors import Conflict
from tidegate.domain.job import ErrorType, Job, State
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.ports import JobKey
from tidegate.service.control import reprioritise
from tidegate.service.submit import submit_one
from tidegate.service.tick import tick

DAY = 86_400


def pass_minutes(home: Home, minutes: int, ran: list[tuple[str, int]]) -> None:
    """Minutes of the deployed stack: a tick each, and a worker that looks each second."""
    runner = home.runner(work=lambda job: ran.append((job.id, home.clock.now())))
    for second in range(60 * minutes):
        if second % 60 == 0:
            tick(home.ports, 60)
        home.drain(runner)
        home.clock.advance(1)


def test_a_job_for_a_second_thirty_days_ahead_starts_in_that_second(either: Home) -> None:
    begin = either.clock.now() + 30 * DAY * 1_000 + 17_000
    job = either.submit(start_after=begin)
    ran: list[tuple[str, int]] = []
    pass_minutes(either, 2, ran)
    either.clock.advance(30 * DAY - 180)
    pass_minutes(either, 3, ran)
    assert [(job_id, at // 1_000) for job_id, at in ran] == [(job.id, begin // 1_000)]


def test_a_job_that_is_not_started_in_time_expires(either: Home) -> None:
    job, other = either.submit(expire_in_seconds=30), either.submit(expire_in_seconds=600)
    either.clock.advance(31)
    ran: list[str] = []
    either.drain(either.runner(work=lambda context: ran.append(context.id)))
    assert either.job(job.id).state is State.EXPIRED
    assert ran == [other.id]


def test_an_ended_job_is_gone_after_its_time(either: Home) -> None:
    until = either.clock.now() + 3_600_000
    job = either.submit(keep_until=until)
    either.drain(either.runner(work=lambda context: None))
    assert either.job(job.id).state is State.COMPLETED
    either.clock.advance(3_601)
    assert either.ports.jobs.get([JobKey("main", job.id)]) == [None]


def test_an_attempt_that_takes_too_long_fails_as_timeout(either: Home) -> None:
    job = either.submit(timeout=0.1, retry_limit=0)

    def work(_: JobContext) -> None:
        time.sleep(5)

    either.drain(either.runner(work=work))
    failed = either.job(job.id)
    assert (failed.state, failed.error_type) == (State.FAILED, ErrorType.TIMEOUT)
    assert [failure.error_type for failure in failed.failures] == [ErrorType.TIMEOUT]


def test_a_priority_changed_after_submission_moves_the_job_at_once(either: Home) -> None:
    jobs = [either.submit(priority=priority) for priority in (6, 5, 4)]
    reprioritise(either.ports, ADMIN, jobs[2].id, 9)
    ran: list[str] = []
    either.drain(either.runner(work=lambda context: ran.append(context.id)))
    assert ran == [jobs[2].id, jobs[0].id, jobs[1].id]


@pytest.mark.parametrize("job_id", ["order-1", None])
def test_the_same_request_is_the_same_job_and_another_is_refused(either: Home, job_id: str | None) -> None:
    def ask(**fields: object) -> Job:
        return submit_one(either.ports, ADMIN, JobSpec(name="work", job_id=named, **fields)).job  # type: ignore[arg-type]

    named = job_id or either.ports.new_id()
    first = ask(data={"a": 1}, unique_key="k")
    assert ask(data={"a": 1}, unique_key="k") == first
    for other in ({"data": {"a": 2}, "unique_key": "k"}, {"data": {"a": 1}, "unique_key": "l"}, {"data": {"a": 1}}):
        with pytest.raises(Conflict):
            ask(**other)
    either.drain(either.runner(work=lambda context: None))
    assert ask(data={"a": 1}, unique_key="k").state is State.COMPLETED
