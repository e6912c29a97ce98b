"""Claims straight from the lanes, on both homes: exact, never doubled, and no ticket touched."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from support.clock import Clock
from support.homes import Home
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Forbidden, LeaseLost
from tidegate.domain.job import WAITING, ErrorType, Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec
from tidegate.ports import JobKey, Ports, Timer
from tidegate.service import attempts
from tidegate.service.claim_lanes import Wanted, claim_of_queues, claim_of_tenant
from tidegate.service.submit import submit_one
from tidegate.service.tick import check_timers

ANN = Caller("acme", "ann", frozenset({"submit", "work"}))
BOB = Caller("zeta", "bob", frozenset({"submit", "work"}))
WANTED = Wanted(worker_id="w-1", pool="default", lease_seconds=10)
NO_RETRY: Any = {"retry_limit": 0}


def submit(ports: Ports, caller: Caller = ANN, **fields: Any) -> Job:
    return submit_one(ports, caller, JobSpec(**{"name": "work", **fields})).job


def claim(ports: Ports, limit: int = 1, caller: Caller = ANN, **wanted: Any) -> Sequence[Job]:
    return claim_of_tenant(ports, caller, replace(WANTED, **wanted), limit)


def ids(jobs: Sequence[Job]) -> list[str]:
    return [job.id for job in jobs]


def stored(ports: Ports, job: Job) -> Job:
    (found,) = ports.jobs.get([JobKey(job.tenant, job.id)])
    assert found is not None
    return found


def lapse(ports: Ports, clock: Clock, job: Job) -> int:
    """Let the lease of a claimed job run out, and the clock look at the timer that the change feed set."""
    ports.timers.set([Timer(job.lease_until or 0, job.tenant, job.id, job.attempt)])
    clock.advance(WANTED.lease_seconds + ports.lease_grace_ms / 1000 + 1)
    return check_timers(ports, ports.now()).recovered


def test_a_claim_needs_the_scope(ports: Ports) -> None:
    with pytest.raises(Forbidden):
        claim(ports, caller=Caller("acme", "ann", frozenset({"submit", "read", "operate"})))


def test_nothing_waits(ports: Ports) -> None:
    assert claim(ports) == []


def test_a_claimed_job_is_held(ports: Ports) -> None:
    job = submit(ports, data={"a": 1})
    (held,) = claim(ports)
    assert (held.id, held.state, held.attempt, held.worker_id) == (job.id, State.ACTIVE, 1, "w-1")
    assert held.lease_until == ports.now() + 10_000
    assert held.data == {"a": 1}
    assert claim(ports) == []


def test_the_best_jobs_start_first_in_every_queue(ports: Ports, clock: Clock) -> None:
    ports.queues.put_if_unchanged(Queue(tenant="acme", name="mail"), None)
    wanted = [(5, "default"), (9, "mail"), (2, "mail"), (9, "default"), (10, "mail"), (5, "mail")]
    jobs = []
    for priority, queue in wanted:
        jobs.append(submit(ports, priority=priority, queue=queue))
        clock.advance(1)
    order = [4, 1, 3, 0, 5, 2]
    assert ids(claim(ports, 4)) == [jobs[index].id for index in order[:4]]
    assert ids(claim(ports, 4)) == [jobs[index].id for index in order[4:]]


def test_only_what_is_asked_for_is_started(ports: Ports) -> None:
    for name, pool in (("mail", "default"), ("train", "gpu")):
        ports.queues.put_if_unchanged(Queue(tenant="acme", name=name, pool=pool), None)
    here, mail, train = (submit(ports, queue=queue) for queue in ("default", "mail", "train"))
    assert ids(claim(ports, 9, queues=frozenset({"mail", "train", "nowhere"}))) == [mail.id]
    assert ids(claim(ports, 9, pool="gpu")) == [train.id]
    assert claim(ports, 9, names=frozenset({"other"})) == []
    assert ids(claim(ports, 9, names=frozenset({"work"}))) == [here.id]


def test_jobs_of_other_names_are_passed_over(ports: Ports) -> None:
    for number in range(30):
        submit(ports, name="other", priority=9, job_id=f"o-{number}")
    mine = submit(ports)
    assert ids(claim(ports, 2, names=frozenset({"work"}))) == [mine.id]


def test_a_paused_queue_starts_nothing(ports: Ports) -> None:
    queue = Queue(tenant="acme", name="default")
    ports.queues.put_if_unchanged(queue, None)
    submit(ports)
    ports.queues.put_if_unchanged(replace(queue, paused=True), queue)
    assert claim(ports) == []


def test_tenants_see_their_own_jobs_alone(ports: Ports) -> None:
    mine, yours = submit(ports), submit(ports, BOB)
    assert ids(claim(ports, 9, BOB)) == [yours.id]
    assert ids(claim(ports, 9)) == [mine.id]


def test_workers_of_the_home_serve_a_queue_of_every_tenant(ports: Ports) -> None:
    mine, yours = submit(ports), submit(ports, BOB)
    found = claim_of_queues(ports, replace(WANTED, queues=frozenset({"default"})), 9)
    assert sorted(ids(found)) == sorted([mine.id, yours.id])
    assert claim_of_queues(ports, replace(WANTED, queues=frozenset({"mail"})), 9) == []


def test_no_ticket_is_received_or_spent(ports: Ports) -> None:
    """The ticket of a job that was claimed without it comes later, as often as before, and finds the job running."""
    submit(ports)
    (job,) = claim(ports)
    (delivery,) = ports.tickets.receive("default", 10, 0)
    assert delivery.receives == 1
    attempts.complete(ports, ANN, job.id, 1, "done")
    assert stored(ports, job).state is State.COMPLETED


def test_a_delayed_job_starts_at_its_time_without_its_ticket(ports: Ports, clock: Clock) -> None:
    """Also one whose ticket is under way: the clock would look at it 90 s later only."""
    job = submit(ports, start_after=ports.now() + 5_000)
    assert claim(ports) == []
    clock.advance(4.9)
    assert claim(ports) == []
    clock.advance(0.2)
    assert ids(claim(ports)) == [job.id]


def test_a_due_job_takes_its_place_in_the_line(ports: Ports, clock: Clock) -> None:
    delayed = submit(ports, priority=9, start_after=ports.now() + 1_000)
    waiting = submit(ports, priority=5)
    clock.advance(2)
    assert ids(claim(ports, 2)) == [delayed.id, waiting.id]


def test_a_retry_starts_at_its_time_and_has_a_ticket_too(ports: Ports, clock: Clock) -> None:
    submit(ports, retry_delay=3)
    (job,) = claim(ports)
    failed = attempts.fail(ports, ANN, job.id, 1, ErrorType.AGENT, "bad page", permanent=False)
    assert (failed.state, failed.wake_at) == (State.RETRY, ports.now() + 3_000)
    assert claim(ports) == []
    clock.advance(3.1)
    assert len(ports.tickets.receive("default", 10, 0)) == 2
    (again,) = claim(ports)
    assert (again.id, again.attempt) == (job.id, 2)


def test_the_job_of_a_dead_worker_is_back_in_line_once_its_lease_is_over(ports: Ports, clock: Clock) -> None:
    """Nobody needs to take a ticket for it."""
    submit(ports)
    (job,) = claim(ports)
    assert lapse(ports, clock, job) == 1
    back = stored(ports, job)
    assert (back.state, back.attempt, back.wake_at) == (State.RETRY, 1, None)
    assert [(each.attempt, each.error_type) for each in back.failures] == [(1, ErrorType.SYSTEM)]
    (again,) = claim(ports, worker_id="w-2")
    assert (again.attempt, again.worker_id) == (2, "w-2")
    with pytest.raises(LeaseLost):
        attempts.complete(ports, ANN, job.id, 1, "from the dead")
    assert attempts.complete(ports, ANN, job.id, 2, "done").result == "done"


def test_a_job_that_kills_its_workers_ends(ports: Ports, clock: Clock) -> None:
    submit(ports, retry_limit=1)
    for _ in range(2):
        (job,) = claim(ports)
        assert lapse(ports, clock, job) == 1
    ended = stored(ports, job)
    assert (ended.state, ended.attempt, ended.error_type) == (State.FAILED, 2, ErrorType.SYSTEM)
    assert claim(ports) == []


def test_a_lease_that_was_kept_is_left_alone(ports: Ports, clock: Clock) -> None:
    submit(ports)
    (job,) = claim(ports)
    clock.advance(6)
    attempts.heartbeat(ports, ANN, job.id, 1, 10, None)
    ports.timers.set([Timer(job.lease_until or 0, job.tenant, job.id, 1)])
    clock.advance(6)
    assert check_timers(ports, ports.now()).recovered == 0
    assert stored(ports, job).state is State.ACTIVE


def test_an_expired_job_is_not_started(ports: Ports, clock: Clock) -> None:
    job = submit(ports, expire_in_seconds=5)
    clock.advance(6)
    assert claim(ports) == []
    assert stored(ports, job).state is State.EXPIRED


def test_slots_of_a_queue_bound_what_is_claimed_and_come_back(ports: Ports, clock: Clock) -> None:
    """When an attempt ends, when it lapses, and beside a queue that has no limits."""
    for queue in (Queue(tenant="acme", name="gpu", slots=2), Queue(tenant="acme", name="mail")):
        ports.queues.put_if_unchanged(queue, None)
    jobs = [submit(ports, queue="gpu", priority=9) for _ in range(5)]
    mail = submit(ports, queue="mail")
    first, second, third = claim(ports, 9)
    assert ids([first, second, third]) == [jobs[0].id, jobs[1].id, mail.id]
    assert claim(ports, 9) == []
    attempts.complete(ports, ANN, first.id, 1, "done")
    assert ids(claim(ports, 9)) == [jobs[2].id]
    assert lapse(ports, clock, second) == 1
    assert ids(claim(ports, 9)) == [jobs[1].id], "the job of the dead worker is the oldest"
    assert claim(ports, 9) == []


def test_jobs_of_one_key_are_claimed_one_after_the_other(ports: Ports) -> None:
    ports.queues.put_if_unchanged(Queue(tenant="acme", name="default", key_slots=1), None)
    keys = ["a", "a", "b"]
    jobs = [submit(ports, concurrency_key=key) for key in keys]
    started = claim(ports, 9)
    assert ids(started) == [jobs[0].id, jobs[2].id]
    attempts.complete(ports, ANN, started[0].id, 1, "done")
    assert ids(claim(ports, 9)) == [jobs[1].id]


def test_a_job_of_another_name_that_a_key_lets_start_is_given_back(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The best of the jobs put aside for a key is started before any other: here one that the worker does not serve."""
    ports.queues.put_if_unchanged(Queue(tenant="acme", name="default", key_slots=1), None)
    running = submit(ports, concurrency_key="a")
    (held,) = claim(ports)
    better = submit(ports, name="other", concurrency_key="a", priority=9)
    assert claim(ports, 9) == []
    mine = submit(ports, concurrency_key="a", priority=1)
    monkeypatch.setattr("tidegate.service.limits.promote", lambda *args: 0)  # whoever frees the slot dies right then
    attempts.complete(ports, ANN, running.id, held.attempt, "done")
    assert claim(ports, 9, names=frozenset({"work"})) == []
    back = stored(ports, better)
    assert (back.state in WAITING, back.attempt, back.attempts_allowed) == (True, 1, better.attempts_allowed + 1)
    assert ids(claim(ports, 9, names=frozenset({"work"}))) == [mine.id], "its slot is free again"


def test_racing_claims_start_each_job_once(home: Home) -> None:
    ports = home.ports
    wanted = 20
    for _ in range(wanted):
        submit(ports)

    def work(number: int) -> list[str]:
        taken: list[str] = []
        while found := claim(ports, 2, worker_id=f"w-{number}"):
            taken += ids(found)
        ports.close()
        return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [job_id for found in threads.map(work, range(4)) for job_id in found]
    assert len(taken) == len(set(taken))
    assert len(taken) + len(claim(ports, wanted)) == wanted
