"""A claim whose answer gets lost uses up no attempt: whoever made it asks again, and knows it by its token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from support.attempts import ADMIN, LEASE_SECONDS, serve, stored, submitted, worker
from support.homes import Home
from tidegate.domain import guarded
from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import GuardedWrite, Lease, Outcome
from tidegate.domain.job import State
from tidegate.domain.ticket import Lane
from tidegate.ports import Ports
from tidegate.service.claim_lanes import Wanted, claim_of_tenant
from tidegate.service.own_claim import claimed, lease_for

WANTED = Wanted(worker_id="w-1", pool="default", lease_seconds=LEASE_SECONDS)


class Deaf:
    """A job store some of whose answers to `apply` get lost: those of these numbers, from 1."""

    def __init__(self, jobs: Any, *lost: int, applied: bool = True) -> None:
        self._jobs = jobs
        self._lost = lost
        self._applied = applied
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._jobs, name)

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        self.calls += 1
        if self.calls not in self._lost:
            answer: Sequence[Outcome] = self._jobs.apply(writes)
            return answer
        if self._applied:
            self._jobs.apply(writes)
        raise Unavailable("no answer")


@pytest.mark.parametrize("applied", [True, False], ids=["unreported", "refused"])
def test_a_job_with_one_attempt_runs_in_it_when_the_answer_to_its_claim_is_lost(ports: Ports, *, applied: bool) -> None:
    job = submitted(ports, retry_limit=0)
    deaf = Deaf(ports.jobs, 1, applied=applied)
    faulty = replace(ports, jobs=deaf)
    serve(faulty, worker(faulty, work=lambda context: context.attempt))
    done = stored(ports, job)
    assert (done.state, done.result, done.attempt) == (State.COMPLETED, 1, 1)
    assert deaf.calls == 3, "the claim, the claim again, and the outcome"


def test_no_answer_at_all_is_left_to_the_lease(ports: Ports) -> None:
    job = submitted(ports)
    deaf = Deaf(ports.jobs, 1, 2)
    faulty = replace(ports, jobs=deaf)
    with pytest.raises(Unavailable):
        serve(faulty, worker(faulty, work=lambda context: None))
    assert (stored(ports, job).state, deaf.calls) == (State.ACTIVE, 2)


def test_the_claim_of_somebody_else_is_not_taken_for_ones_own(ports: Ports) -> None:
    """Also of one who calls itself the same, in the same millisecond."""
    job, now = submitted(ports), ports.now()
    lane = Lane(job.tenant, job.queue)
    first, second = (lease_for(ports, "w-1", LEASE_SECONDS, now) for _ in range(2))
    ports.jobs.apply([guarded.claim_if_ready(lane, job.id, first, now)])
    faulty = replace(ports, jobs=Deaf(ports.jobs, 1))
    outcome = claimed(faulty, guarded.claim_if_ready(lane, job.id, second, now), second)
    assert not outcome.applied
    assert not Lease("w-1", now).is_of(stored(ports, job)), "a lease without a token is nobody's"


def test_a_claim_that_was_asked_to_stop_in_between_is_still_ones_own(ports: Ports) -> None:
    job, now = submitted(ports), ports.now()
    lease = lease_for(ports, "w-1", LEASE_SECONDS, now)
    claim = guarded.claim_if_ready(Lane(job.tenant, job.queue), job.id, lease, now)

    class Stopping(Deaf):
        def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
            try:
                return super().apply(writes)
            except Unavailable:
                self._jobs.apply([guarded.request_cancel_if_active(job, "enough", now + 1)])
                raise

    outcome = claimed(replace(ports, jobs=Stopping(ports.jobs, 1)), claim, lease)
    assert outcome.applied
    assert outcome.job is not None
    assert outcome.job.cancel_requested


def test_jobs_that_were_claimed_before_the_trouble_get_to_their_worker(ports: Ports) -> None:
    """Of three that are claimed at once, the third's claim fails twice."""
    jobs = [submitted(ports) for _ in range(3)]
    faulty = replace(ports, jobs=Deaf(ports.jobs, 3, 4, applied=False))
    started = claim_of_tenant(faulty, ADMIN, WANTED, 3)
    assert [job.id for job in started] == [job.id for job in jobs[:2]]
    with pytest.raises(Unavailable):
        claim_of_tenant(replace(ports, jobs=Deaf(ports.jobs, 1, 2, applied=False)), ADMIN, WANTED, 3)


class NoData:
    """A blob store that cannot be read for a while."""

    def __init__(self, blobs: Any, fails: int) -> None:
        self._blobs = blobs
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def get(self, key: str) -> bytes:
        self._fails -= 1
        if self._fails >= 0:
            raise Unavailable("no answer")
        content: bytes = self._blobs.get(key)
        return content


def test_data_that_cannot_be_read_use_up_no_attempt(home: Home) -> None:
    """The job waits a moment, and then has the attempts that it had."""
    ports = home.ports
    job = submitted(ports, data={"text": "x" * 150_000}, retry_limit=0)
    faulty = replace(ports, blobs=NoData(ports.blobs, 1))
    runner = worker(faulty, work=lambda context: len(context.data["text"]))
    serve(faulty, runner)
    waiting = stored(ports, job)
    assert (waiting.state, waiting.retry_count) == (State.RETRY, 0)
    home.clock.advance(10)
    (again,) = claim_of_tenant(ports, ADMIN, WANTED, 1)
    runner.run_held(again)
    assert (stored(ports, job).state, stored(ports, job).result) == (State.COMPLETED, 150_000)
