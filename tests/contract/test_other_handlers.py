"""Workers with different handlers on one pool: each runs its own jobs, and leaves those of the others alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.attempts import ADMIN, LAPSED_SECONDS, LEASE_SECONDS, serve, stored, submitted
from support.clock import Clock
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import encode, ticket_for
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.ports import Delivery, Ports, Timer
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.settle import complete
from tidegate.service.tick import check_timers


def one_of_several(ports: Ports, *names: str) -> Runner:
    """A worker with handlers of these names, which leaves other jobs to others."""
    executors = {name: Executor(name, lambda job: job.name) for name in names}
    return Runner(ports, executors, worker_id="-".join(names), lease_seconds=LEASE_SECONDS, leaves_others=True)


def bear(runner: Runner, job: Job, receives: int = 1) -> Verdict:
    """Hand a worker the job's ticket."""
    return runner.serve(Delivery(encode(ticket_for(job)), "pool/normal", "receipt", receives), lambda _: None)


def test_a_lane_is_looked_through_for_some_names(ports: Ports) -> None:
    others = [submitted(ports, "other", priority=9) for _ in range(12)]
    mine = [submitted(ports, "mine", priority=priority) for priority in (3, 7)]
    lane = ticket_for(mine[0]).lane
    named = [ready.job_id for ready in ports.jobs.head(lane, 5, names=("mine", "none"))]
    assert named == [mine[1].id, mine[0].id]
    assert [ready.job_id for ready in ports.jobs.head(lane, 1, names={"other"})] == [others[0].id]
    assert ports.jobs.head(lane, 5, names={"none"}) == []


def test_a_job_for_others_is_left_to_them_and_uses_up_no_attempt(ports: Ports) -> None:
    theirs = submitted(ports, "theirs", priority=10, retry_limit=0)
    mine = submitted(ports, "mine", priority=0)
    here, there = one_of_several(ports, "mine"), one_of_several(ports, "theirs")
    waits = [bear(here, theirs, receives) for receives in (1, 2, 3, 99)]
    assert waits == [Again(0.1), Again(0.2), Again(0.4), Again(10.0)]
    bear(here, mine)
    assert (stored(ports, mine).result, stored(ports, theirs).attempt) == ("mine", 0)
    bear(there, theirs)
    assert (stored(ports, theirs).state, stored(ports, theirs).attempt) == (State.COMPLETED, 1)


def test_each_gets_its_own_from_one_queue_of_tickets(ports: Ports, clock: Clock) -> None:
    jobs = [submitted(ports, name, priority=number % 11) for number, name in enumerate(("a", "b") * 10)]
    workers = [one_of_several(ports, "a"), one_of_several(ports, "b")]
    for _ in range(20):
        for runner in workers:
            serve(ports, runner)
            clock.advance(11)
    ended = [stored(ports, job) for job in jobs]
    assert {(job.worker_id, job.result, job.attempt) for job in ended} == {("a", "a", 1), ("b", "b", 1)}


def test_the_job_of_a_worker_that_vanished_is_not_taken_over_by_others(ports: Ports, clock: Clock) -> None:
    job = submitted(ports, "theirs", retry_limit=3)
    lost = replace(ticket_for(job))
    assert stored(ports, job).state is State.CREATED

    class Died(Exception):
        """The worker is no more."""

    def die(_: object) -> None:
        raise Died

    runner = one_of_several(ports, "theirs")
    with pytest.raises(Died):
        Runner(
            ports,
            {"theirs": Executor("theirs", lambda job: 1)},
            worker_id="w",
            lease_seconds=LEASE_SECONDS,
            on_start=die,
        ).serve(Delivery(encode(lost), "pool/normal", "receipt", 1), lambda _: None)
    held = stored(ports, job)
    clock.advance(LAPSED_SECONDS)
    assert isinstance(bear(one_of_several(ports, "mine"), job), Again)
    assert stored(ports, job).attempt == 1
    ports.timers.set([Timer(held.lease_until or 0, job.tenant, job.id, 1)])
    assert check_timers(ports, ports.now()).recovered == 1
    bear(runner, job)
    assert (stored(ports, job).state, stored(ports, job).attempt) == (State.COMPLETED, 2)


def test_jobs_that_wait_for_a_slot_of_their_key_go_to_who_runs_them(ports: Ports, clock: Clock) -> None:
    ports.queues.put_if_unchanged(Queue(tenant=ADMIN.tenant, name="keyed", key_slots=1), None)

    def keyed(name: str, priority: int) -> Job:
        return submitted(ports, name, queue="keyed", concurrency_key="k", retry_limit=0, priority=priority)

    first = keyed("mine", 10)
    holding = claim_for(ports, ticket_for(first), "w", LEASE_SECONDS, receives=1)
    assert isinstance(holding, Claimed)
    theirs, mine = keyed("theirs", 9), keyed("mine", 1)
    workers = [one_of_several(ports, "mine"), one_of_several(ports, "theirs")]
    for runner, job in zip(workers, (mine, theirs), strict=True):
        bear(runner, job, receives=2)
    complete(ports, holding.job, None)
    for _ in range(4):
        clock.advance(11)
        for runner, job in zip(workers, (mine, theirs), strict=True):
            bear(runner, job, receives=2)
    ended = [(job.state, job.result, job.attempt) for job in (stored(ports, theirs), stored(ports, mine))]
    assert ended == [(State.COMPLETED, "theirs", 1), (State.COMPLETED, "mine", 1)]


def test_what_tidegate_does_itself_for_runs_is_done_by_everybody(ports: Ports) -> None:
    assert {"tidegate.gather", "mine"} <= set(one_of_several(ports, "mine").takes)
