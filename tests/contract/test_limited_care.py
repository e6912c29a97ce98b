"""Limited queues and those who look after jobs: the doctor, resets of stuck attempts, runs, retention."""

from __future__ import annotations

from typing import Any

import pytest

from contract.limited import NARROW, claim, held, jobs_of, let_pass, limited, note_running, started
from home import ADMIN, Home
from tidegate.domain import guarded
from tidegate.domain.change import Change
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import State
from tidegate.domain.limits import Holder, Semaphore
from tidegate.ports import Addition, backlog_series
from tidegate.service import settle
from tidegate.service.claim import Later, Spent
from tidegate.service.control import cancel, erase
from tidegate.service.examine import GRACE_MS, Drift, examine, repair_counters
from tidegate.service.maintenance import Action, Selection, maintain, reset_stuck
from tidegate.service.record_changes import record_changes
from tidegate.service.runs import submit_dag
from tidegate.service.tick import tick


def run(home: Home, *jobs: dict[str, Any]) -> None:
    """A run of independent nodes."""
    nodes = tuple(NodeSpec(id=f"n{number}", job=job) for number, job in enumerate(jobs))
    submit_dag(home.ports, ADMIN, DagSpec(name="d", nodes=nodes), {})


def drifts(home: Home) -> dict[Drift, int]:
    return {finding.drift: finding.count for finding in examine(home.ports).findings}


class TestDoctor:
    def test_jobs_that_wait_for_a_slot_are_in_order(self, either: Home) -> None:
        """Neither the ready ones of a full lane nor the parked ones of a full key need a ticket."""
        limited(either, slots=2, key_slots=1)
        running = started(either, either.submit(queue="narrow", concurrency_key="a").id)
        either.drain(either.runner())
        parked = [either.submit(queue="narrow", concurrency_key="a") for _ in range(3)]
        either.drain(either.runner())
        assert len(either.ports.jobs.parked(NARROW, "a", 9)) == 3
        either.clock.advance(GRACE_MS / 1000 + 1)
        assert drifts(either) == {}
        settle.complete(either.ports, running, 1)
        let_pass(either, either.runner(work=lambda job: None), 300, lambda: held(either.ports) == {})
        assert {job.state for job in jobs_of(either, parked)} == {State.COMPLETED}

    def test_ready_jobs_that_could_start_and_have_no_ticket_are_found(self, either: Home) -> None:
        limited(either, slots=2)
        started(either, either.submit(queue="narrow").id)
        for _ in range(4):
            either.submit(queue="narrow")
        while (delivery := either.receive()) is not None:
            either.ports.tickets.finish([delivery])
        either.clock.advance(GRACE_MS / 1000 + 1)
        assert drifts(either)[Drift.LOST_TICKET] == 1

    def test_a_leaked_slot_is_found_and_given_back(self, either: Home) -> None:
        limited(either, slots=2)
        ended = started(either, either.submit(queue="narrow").id)
        either.ports.jobs.apply([guarded.complete_if_held(ended, 1, None, either.clock.now())])
        orphan = str(Holder(True, False, either.clock.now(), "ff", "nobody"))
        assert either.ports.slots.acquire_if_free(Semaphore(NARROW), orphan, 2).granted
        assert Drift.LEAKED_SLOT not in drifts(either)
        either.clock.advance(300 + GRACE_MS / 1000)
        assert drifts(either)[Drift.LEAKED_SLOT] == 2
        examine(either.ports, repair=True)
        assert held(either.ports) == {}
        assert Drift.LEAKED_SLOT not in drifts(either)

    def test_a_running_job_keeps_its_slot(self, either: Home) -> None:
        limited(either, slots=1)
        started(either, either.submit(queue="narrow").id)
        either.clock.advance(86_400)
        assert Drift.LEAKED_SLOT not in drifts(either)

    def test_a_size_unlike_a_recount_is_found_and_put_right(self, either: Home) -> None:
        limited(either, max_queue_size=9)
        jobs = [either.submit(queue="narrow") for _ in range(3)]
        stored = [Addition("main", backlog_series(NARROW), {"pending": -3})]
        either.ports.figures.add_once("stored", stored)
        assert ("main", backlog_series(NARROW)) not in examine(either.ports).counts
        either.ports.backlogs.admit_if_room(NARROW, 2, 9, either.clock.now())
        counts = {key: lacking for key, lacking in examine(either.ports).counts.items() if key[1].startswith("backlog")}
        assert counts == {("main", backlog_series(NARROW)): {"size": -2, "pending": -2}}
        repair_counters(either.ports, counts)
        assert either.ports.backlogs.size(NARROW) == len(jobs)
        assert either.ports.backlogs.correct(NARROW, either.clock.now() + 1) == 0


def test_a_reset_attempt_gives_its_slots_back(either: Home) -> None:
    limited(either, slots=1, key_slots=1)
    job = either.submit(queue="narrow", concurrency_key="a")
    started(either, job.id)
    note_running(either, [job])
    either.clock.advance(5)
    _, reset = reset_stuck(either.ports, ADMIN, 1, confirm=True)
    assert reset == 1
    assert held(either.ports) == {}
    assert started(either, job.id).attempt == 2


def test_many_are_retried_only_where_their_unique_keys_are_free(either: Home) -> None:
    limited(either)
    first, second = (either.submit(queue="narrow", unique_key=key) for key in "ab")
    for job in (first, second):
        cancel(either.ports, ADMIN, job.id)
    taken = either.submit(queue="narrow", unique_key="a")
    done = maintain(either.ports, ADMIN, Action.RETRY, Selection(states=frozenset({State.CANCELLED})), confirm=True)
    assert (done.matched, done.done) == (2, 1)
    assert [job.state for job in jobs_of(either, [first, second, taken])] == ["CANCELLED", "CREATED", "CREATED"]


def test_the_feed_forgets_the_key_of_an_erased_job_and_no_other(either: Home) -> None:
    first = either.submit(unique_key="k")
    cancel(either.ports, ADMIN, first.id)
    erase(either.ports, ADMIN, first.id)
    gone = Change(
        tenant="main",
        job_id=first.id,
        old_state=State.CANCELLED,
        state=None,
        attempt=0,
        queue="default",
        unique_key="k",
    )
    lane = NARROW._replace(queue="default")
    assert either.ports.unique_keys.holder(lane, "k") == first.id
    second = either.submit(unique_key="k")
    record_changes(either.ports, "b1", [gone])
    assert either.ports.unique_keys.holder(lane, "k") == second.id
    cancel(either.ports, ADMIN, second.id)
    erase(either.ports, ADMIN, second.id)
    record_changes(
        either.ports,
        "b2",
        [
            Change(
                tenant="main",
                job_id=second.id,
                old_state=State.CANCELLED,
                state=None,
                attempt=0,
                queue="default",
                unique_key="k",
            )
        ],
    )
    assert either.ports.unique_keys.holder(lane, "k") is None


class TestRuns:
    def test_nodes_share_the_slots_of_their_queue(self, either: Home) -> None:
        limited(either, slots=1, key_slots=1)
        job = {"name": "work", "queue": "narrow", "concurrency_key": "a"}
        run(either, job, job)
        first = either.receive()
        second = either.receive()
        assert first is not None
        assert second is not None
        ready = either.ports.jobs.head(NARROW, 5)
        running = started(either, ready[0].job_id)
        assert isinstance(claim(either, ready[1].job_id), Later | Spent)
        settle.complete(either.ports, running, 1)
        assert started(either, ready[1].job_id)

    def test_a_run_is_admitted_whole_and_not_counted(self, either: Home) -> None:
        limited(either, max_queue_size=1)
        job = {"name": "work", "queue": "narrow"}
        run(either, job, job)
        assert not either.job(either.ports.jobs.head(NARROW, 5)[0].job_id).counted
        assert either.ports.backlogs.size(NARROW) == 0

    def test_a_node_takes_no_unique_key(self, either: Home) -> None:
        with pytest.raises(InvalidInput, match=r"nodes\.1\.unique_key"):
            run(either, {"name": "work"}, {"name": "work", "unique_key": "k"})


def test_a_vanished_worker_of_a_limited_queue_is_recovered_by_the_clock_alone(either: Home) -> None:
    """It died in mid-job, and its ticket with it: lease timer, ticket, reclaim; the slot goes over, then comes back."""
    limited(either, slots=1, retry_limit=1)
    job, other = (either.submit(queue="narrow") for _ in range(2))
    lost = started(either, job.id)
    while (delivery := either.receive()) is not None:
        either.ports.tickets.finish([delivery])
    record_changes(
        either.ports,
        "b",
        [Change(tenant="main", job_id=job.id, old_state=State.CREATED, state=State.ACTIVE, attempt=1,
                lease_until=lost.lease_until)],
    )  # fmt: skip
    ran: list[str] = []
    runner = either.runner(work=lambda context: ran.append(context.id))
    for _ in range(5):
        either.clock.advance(61)
        tick(either.ports, 60)
        either.drain(runner)
    assert ran == [job.id, other.id]
    assert held(either.ports) == {}
