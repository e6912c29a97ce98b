"""`Slots`, `Rates`, `Backlogs` and `UniqueKeys`, and what `JobStore` does for them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from contract.test_races import at_once
from support.clock import START_MS, Clock
from support.homes import Home
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.guard import Lease
from tidegate.domain.job import Job, State, UniquePolicy
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane
from tidegate.ports import Addition, Holding, JobKey, Ports, backlog_series

LANE = Lane("acme", "mail")
LANE_SLOTS = Semaphore(LANE)
KEY_SLOTS = Semaphore(LANE, "customer #7/ä")


class TestSlots:
    @pytest.mark.parametrize("semaphore", [LANE_SLOTS, KEY_SLOTS], ids=["lane", "key"])
    def test_no_more_are_granted_than_there_are(self, ports: Ports, semaphore: Semaphore) -> None:
        answers = [ports.slots.acquire_if_free(semaphore, f"h{number}", 2) for number in range(4)]
        assert [answer.granted for answer in answers] == [True, True, False, False]
        assert answers[-1].holding.holders == {"h0", "h1"}
        assert ports.slots.get(semaphore).holders == {"h0", "h1"}

    def test_who_has_a_slot_is_granted_it_again_and_has_one(self, ports: Ports) -> None:
        assert all(ports.slots.acquire_if_free(LANE_SLOTS, "h", 1).granted for _ in range(3))
        assert ports.slots.get(LANE_SLOTS).holders == {"h"}

    def test_a_slot_that_was_given_back_is_granted_to_another(self, ports: Ports) -> None:
        assert ports.slots.acquire_if_free(LANE_SLOTS, "a", 1).granted
        left = ports.slots.release(LANE_SLOTS, "a")
        assert left is not None
        assert (left.holders, left.waiting) == (frozenset(), None)
        assert ports.slots.acquire_if_free(LANE_SLOTS, "b", 1).granted

    def test_giving_back_what_one_has_not_changes_nothing(self, ports: Ports) -> None:
        assert ports.slots.release(LANE_SLOTS, "a") is None
        ports.slots.acquire_if_free(LANE_SLOTS, "a", 1)
        assert ports.slots.release(LANE_SLOTS, "b") is None
        assert ports.slots.get(LANE_SLOTS).holders == {"a"}

    def test_semaphores_are_apart(self, ports: Ports) -> None:
        others = [Semaphore(Lane("acme", "post")), Semaphore(Lane("zeta", "mail")), KEY_SLOTS, Semaphore(LANE, "#")]
        for semaphore in (LANE_SLOTS, *others):
            assert ports.slots.acquire_if_free(semaphore, "h", 1).granted

    def test_a_lower_limit_counts_those_that_are_held(self, ports: Ports) -> None:
        for number in range(3):
            ports.slots.acquire_if_free(LANE_SLOTS, f"h{number}", 5)
        ports.slots.release(LANE_SLOTS, "h0")
        assert not ports.slots.acquire_if_free(LANE_SLOTS, "new", 2).granted
        ports.slots.release(LANE_SLOTS, "h1")
        assert ports.slots.acquire_if_free(LANE_SLOTS, "new", 2).granted

    def test_whoever_gives_back_a_slot_learns_that_a_job_waits(self, ports: Ports) -> None:
        ports.slots.acquire_if_free(LANE_SLOTS, "a", 1)
        ports.slots.expect(LANE_SLOTS, "job-1")
        ports.slots.expect(LANE_SLOTS, "job-2")
        refused = ports.slots.acquire_if_free(LANE_SLOTS, "b", 1)
        assert refused.holding.waiting == "job-2"
        left = ports.slots.release(LANE_SLOTS, "a")
        assert left is not None
        assert left.waiting == "job-2"

    def test_one_may_wait_for_what_nobody_ever_held(self, ports: Ports) -> None:
        ports.slots.expect(KEY_SLOTS, "job-1")
        assert ports.slots.get(KEY_SLOTS).waiting == "job-1"
        assert ports.slots.acquire_if_free(KEY_SLOTS, "a", 1).holding.waiting == "job-1"

    def test_tidying_forgets_who_waits_and_keeps_who_holds(self, ports: Ports) -> None:
        ports.slots.acquire_if_free(LANE_SLOTS, "a", 1)
        ports.slots.expect(LANE_SLOTS, "job-1")
        ports.slots.tidy(ports.slots.get(LANE_SLOTS))
        assert ports.slots.get(LANE_SLOTS).waiting is None
        assert ports.slots.get(LANE_SLOTS).holders == {"a"}

    def test_tidying_forgets_a_semaphore_that_nobody_holds(self, ports: Ports) -> None:
        ports.slots.acquire_if_free(LANE_SLOTS, "a", 1)
        ports.slots.release(LANE_SLOTS, "a")
        ports.slots.expect(LANE_SLOTS, "job-1")
        ports.slots.tidy(ports.slots.get(LANE_SLOTS))
        assert ports.slots.all(None, 10) == []

    def test_tidying_leaves_what_has_changed_since(self, ports: Ports) -> None:
        ports.slots.acquire_if_free(LANE_SLOTS, "a", 2)
        for change in (
            lambda: ports.slots.expect(LANE_SLOTS, "job-1"),
            lambda: ports.slots.acquire_if_free(LANE_SLOTS, "b", 2),
            lambda: (ports.slots.release(LANE_SLOTS, "a"), ports.slots.release(LANE_SLOTS, "b")),
            lambda: ports.slots.expect(LANE_SLOTS, "job-2"),
            lambda: ports.slots.acquire_if_free(LANE_SLOTS, "c", 2),
        ):
            seen = ports.slots.get(LANE_SLOTS)
            change()
            now = ports.slots.get(LANE_SLOTS)
            ports.slots.tidy(seen)
            assert ports.slots.get(LANE_SLOTS) == now

    def test_semaphores_are_listed_by_lane_and_in_pages(self, ports: Ports) -> None:
        mine = [Semaphore(LANE), Semaphore(LANE, "a"), Semaphore(LANE, "b#c"), Semaphore(LANE, "d")]
        others = [Semaphore(Lane("acme", "mail.2"), "x"), Semaphore(Lane("acme", "a")), Semaphore(Lane("b", "mail"))]
        for semaphore in (*others, *mine):
            ports.slots.acquire_if_free(semaphore, "h", 1)
        assert [each.semaphore for each in ports.slots.of_lane(LANE, 10)] == mine
        assert [each.semaphore for each in ports.slots.of_lane(LANE, 2)] == mine[:2]
        found: list[Holding] = []
        page = ports.slots.all(None, 3)
        while page:
            found += page
            page = ports.slots.all(page[-1].semaphore, 3)
        assert len(found) == 7
        assert {each.semaphore for each in found} == {*mine, *others}
        assert all(each.holders == {"h"} for each in found)

    def test_of_ten_threads_three_get_one_of_three_slots(self, ports: Ports) -> None:
        granted = at_once(ports, lambda number: ports.slots.acquire_if_free(LANE_SLOTS, f"h{number}", 3).granted)
        assert Counter(granted) == {True: 3, False: 7}
        assert len(ports.slots.get(LANE_SLOTS).holders) == 3


class TestRates:
    def test_no_more_starts_are_counted_than_a_window_has(self, ports: Ports) -> None:
        assert [ports.rates.take_if_left(LANE, 1_000, 2) for _ in range(3)] == [True, True, False]
        assert ports.rates.taken(LANE, 1_000) == 2
        assert ports.rates.take_if_left(LANE, 2_000, 2)
        assert ports.rates.taken(LANE, 2_000) == 1

    def test_a_start_that_did_not_happen_is_left_for_another(self, ports: Ports) -> None:
        ports.rates.take_if_left(LANE, 1_000, 1)
        ports.rates.give_back(LANE, 1_000)
        assert ports.rates.taken(LANE, 1_000) == 0
        assert ports.rates.take_if_left(LANE, 1_000, 1)

    def test_nothing_is_given_back_to_another_window_or_below_none(self, ports: Ports) -> None:
        ports.rates.take_if_left(LANE, 2_000, 1)
        ports.rates.give_back(LANE, 1_000)
        assert not ports.rates.take_if_left(LANE, 2_000, 1)
        for _ in range(2):
            ports.rates.give_back(LANE, 2_000)
        assert [ports.rates.take_if_left(LANE, 2_000, 1) for _ in range(2)] == [True, False]

    def test_lanes_are_apart(self, ports: Ports) -> None:
        assert ports.rates.take_if_left(LANE, 1_000, 1)
        assert ports.rates.take_if_left(Lane("acme", "post"), 1_000, 1)
        assert ports.rates.take_if_left(Lane("zeta", "mail"), 1_000, 1)

    def test_of_ten_threads_four_get_one_of_four_starts(self, ports: Ports) -> None:
        taken = at_once(ports, lambda _: ports.rates.take_if_left(LANE, 1_000, 4))
        assert Counter(taken) == {True: 4, False: 6}


class TestBacklogs:
    def test_as_many_are_admitted_as_there_is_room_for(self, ports: Ports) -> None:
        admitted = [ports.backlogs.admit_if_room(LANE, count, 5, START_MS) for count in (2, 2, 2, 1)]
        assert admitted == [2, 2, 1, 0]
        assert ports.backlogs.size(LANE) == 5
        assert ports.backlogs.admit_if_room(Lane("acme", "post"), 9, 5, START_MS) == 5

    def test_a_lower_limit_counts_those_that_wait(self, ports: Ports) -> None:
        ports.backlogs.admit_if_room(LANE, 5, 5, START_MS)
        assert ports.backlogs.admit_if_room(LANE, 1, 2, START_MS) == 0

    def test_what_was_not_stored_is_taken_off(self, ports: Ports) -> None:
        ports.backlogs.admit_if_room(LANE, 3, 5, START_MS)
        ports.backlogs.withdraw(LANE, 2)
        assert ports.backlogs.size(LANE) == 1
        feed_adds(ports, pending=-1)
        assert ports.backlogs.correct(LANE, START_MS + 1) == 0

    def test_the_change_feed_takes_off_what_left(self, ports: Ports) -> None:
        ports.backlogs.admit_if_room(LANE, 3, 3, START_MS)
        feed_adds(ports, pending=-3, size=-2)
        assert ports.backlogs.size(LANE) == 1
        assert ports.backlogs.admit_if_room(LANE, 3, 3, START_MS) == 2

    def test_what_was_counted_and_never_stored_is_taken_off_in_time(self, ports: Ports) -> None:
        ports.backlogs.admit_if_room(LANE, 3, 3, START_MS)
        feed_adds(ports, pending=-1)
        assert ports.backlogs.correct(LANE, START_MS) == 0
        assert ports.backlogs.correct(LANE, START_MS + 1) == 2
        assert ports.backlogs.correct(LANE, START_MS + 1) == 0
        assert ports.backlogs.size(LANE) == 1

    def test_of_ten_threads_no_more_are_admitted_than_there_is_room_for(self, ports: Ports) -> None:
        admitted = at_once(ports, lambda _: ports.backlogs.admit_if_room(LANE, 3, 20, START_MS))
        assert sum(admitted) == 20


def feed_adds(ports: Ports, **amounts: int) -> None:
    assert ports.figures.add_once(f"batch-{amounts}", [Addition("acme", backlog_series(LANE), amounts)])


class TestParked:
    def test_a_parked_job_leaves_its_lane_and_waits_by_rank_beside_it(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id(), concurrency_key="a", priority=priority) for priority in (3, 8, 5)]
        other = make_job(clock.new_id(), concurrency_key="b")
        ports.jobs.create([*jobs, other])
        outcomes = ports.jobs.apply([guarded.park_if_waiting(job, START_MS) for job in (*jobs, other)])
        assert all(outcome.applied for outcome in outcomes)
        assert ports.jobs.head(LANE, 10) == []
        assert [ready.job_id for ready in ports.jobs.parked(LANE, "a", 10)] == [jobs[i].id for i in (1, 2, 0)]
        assert [ready.job_id for ready in ports.jobs.parked(LANE, "a", 1)] == [jobs[1].id]
        assert [ready.job_id for ready in ports.jobs.parked(LANE, "b", 10)] == [other.id]
        assert ports.jobs.parked(Lane("acme", "post"), "a", 10) == []

    def test_a_parked_job_gets_in_line_again_or_leaves(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id(), concurrency_key="a") for _ in range(4)]
        ports.jobs.create(jobs)
        ports.jobs.apply([guarded.park_if_waiting(job, START_MS) for job in jobs])
        leaving = [
            guarded.promote_if_due(jobs[0], START_MS),
            guarded.cancel_if_waiting(jobs[1], "why", START_MS),
            guarded.claim_if_ready(LANE, jobs[2].id, Lease("w", START_MS + 1, "q.1.ff.x"), START_MS),
            guarded.move_if_waiting(jobs[3], 9, 7, START_MS),
        ]
        assert all(outcome.applied for outcome in ports.jobs.apply(leaving))
        assert ports.jobs.parked(LANE, "a", 10) == []
        assert {ready.job_id for ready in ports.jobs.head(LANE, 10)} == {jobs[0].id, jobs[3].id}

    def test_a_claim_names_its_slots_on_the_job(self, ports: Ports, clock: Clock) -> None:
        job = make_job(clock.new_id(), slot="q.0.old.x")
        ports.jobs.create([job])
        claim = guarded.claim_if_ready(LANE, job.id, Lease("w", START_MS, "q.1.ff.x"), START_MS)
        (outcome,) = ports.jobs.apply([claim])
        assert outcome.job is not None
        assert outcome.job.slot == "q.1.ff.x"
        (again,) = ports.jobs.apply([guarded.reclaim_if_lapsed(outcome.job, Lease("v", START_MS + 9), START_MS)])
        assert again.job is not None
        assert (again.job.attempt, again.job.slot) == (2, "q.1.ff.x")

    def test_what_has_changed_is_not_parked(self, ports: Ports, clock: Clock) -> None:
        job = make_job(clock.new_id(), concurrency_key="a", wake_at=START_MS + 5)
        ports.jobs.create([job])
        assert not ports.jobs.apply([guarded.park_if_waiting(job, START_MS)])[0].applied
        assert not ports.jobs.apply([guarded.park_if_waiting(replace(job, attempt=1), START_MS + 5)])[0].applied


POLICIES = (UniquePolicy.REJECT_DUPLICATE, UniquePolicy.ALLOW_DUPLICATE, UniquePolicy.REPLACE)


def keyed(clock: Clock, job_id: str | None = None, **changes: Any) -> Job:
    values = {"unique_key": "invoice #7", "policy": UniquePolicy.REJECT_DUPLICATE, **changes}
    return make_job(job_id or clock.new_id(), **values)


def end(ports: Ports, job: Job, state: State = State.CANCELLED) -> Job:
    """End a job that waits."""
    if state is State.CANCELLED:
        (outcome,) = ports.jobs.apply([guarded.cancel_if_waiting(job, "why", START_MS)])
    else:
        (claim,) = ports.jobs.apply([guarded.claim_if_ready(LANE, job.id, Lease("w", START_MS + 9), START_MS)])
        assert claim.job is not None
        (outcome,) = ports.jobs.apply([guarded.complete_if_held(claim.job, 1, None, START_MS)])
    assert outcome.job is not None
    assert outcome.job.state is state
    return outcome.job


@pytest.mark.parametrize("named", [False, True], ids=["key", "named"])
class TestUniqueKeys:
    def test_an_open_job_keeps_another_of_its_key_out(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second = (keyed(clock, f"order-{n}" if named else None) for n in (1, 2))
        assert ports.jobs.create([first]) == [None]
        assert ports.jobs.create([second]) == [first]
        assert ports.jobs.get([JobKey("acme", second.id)]) == [None]
        assert ports.unique_keys.holder(LANE, "invoice #7") == first.id

    def test_of_two_in_one_batch_the_first_is_stored(self, ports: Ports, clock: Clock, named: bool) -> None:
        jobs = [keyed(clock, f"order-{n}" if named else None) for n in range(4)]
        assert ports.jobs.create(jobs) == [None, jobs[0], jobs[0], jobs[0]]

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("state", [State.CANCELLED, State.COMPLETED])
    def test_an_ended_job_is_out_of_the_way(
        self, ports: Ports, clock: Clock, named: bool, policy: UniquePolicy, state: State
    ) -> None:
        first, second = (keyed(clock, f"order-{n}" if named else None, policy=policy) for n in (1, 2))
        ports.jobs.create([first])
        end(ports, first, state)
        assert ports.jobs.create([second]) == [None]
        assert ports.unique_keys.holder(LANE, "invoice #7") == second.id

    def test_reject_all_refuses_after_the_end_too(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second = (keyed(clock, f"order-{n}" if named else None, policy=UniquePolicy.REJECT_ALL) for n in (1, 2))
        ports.jobs.create([first])
        ended = end(ports, first)
        assert ports.jobs.create([second]) == [ended]
        assert ports.jobs.erase_if_ended(JobKey("acme", first.id))
        assert ports.jobs.create([second]) == [None]

    def test_a_job_whose_keeping_has_ended_is_out_of_the_way(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second = (
            keyed(clock, f"order-{n}" if named else None, policy=UniquePolicy.REJECT_ALL, keep_until=START_MS + 1_000)
            for n in (1, 2)
        )
        ports.jobs.create([first])
        end(ports, first)
        clock.advance(2)
        assert ports.jobs.create([second]) == [None]

    def test_one_that_runs_and_was_asked_to_stop_is_replaced(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second = (keyed(clock, f"order-{n}" if named else None, policy=UniquePolicy.REPLACE) for n in (1, 2))
        ports.jobs.create([first])
        (claim,) = ports.jobs.apply([guarded.claim_if_ready(LANE, first.id, Lease("w", START_MS + 9), START_MS)])
        assert claim.job is not None
        assert ports.jobs.create([second]) == [claim.job]
        ports.jobs.apply([guarded.request_cancel_if_active(claim.job, "why", START_MS)])
        (waiting,) = ports.jobs.create([replace(second, policy=UniquePolicy.REJECT_DUPLICATE)])
        assert waiting is not None
        assert waiting.id == first.id
        assert ports.jobs.create([second]) == [None]

    def test_the_same_job_again_is_answered_as_such(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = keyed(clock, "order-1" if named else None, policy=UniquePolicy.REJECT_ALL)
        ports.jobs.create([job])
        assert ports.jobs.create([job]) == [job]
        ended = end(ports, job)
        assert ports.jobs.create([job]) == [ended]
        later = keyed(clock, policy=UniquePolicy.REJECT_DUPLICATE)
        assert ports.jobs.create([later]) == [None]
        assert ports.jobs.create([job]) == [ended]

    def test_a_job_that_begins_anew_needs_its_key(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second = (keyed(clock, f"order-{n}" if named else None) for n in (1, 2))
        ports.jobs.create([first])
        ended = end(ports, first)
        ports.jobs.create([second])
        (refused,) = ports.jobs.apply([guarded.restart_if_ended(ended, START_MS)])
        assert (refused.applied, refused.job) == (False, ended)
        end(ports, second)
        (applied,) = ports.jobs.apply([guarded.restart_if_ended(ended, START_MS)])
        assert applied.applied
        assert applied.job is not None
        assert applied.job.state is State.CREATED
        assert ports.unique_keys.holder(LANE, "invoice #7") == first.id
        (third,) = ports.jobs.create([keyed(clock)])
        assert third is not None
        assert third.id == first.id

    def test_other_keys_queues_and_tenants_are_apart(self, ports: Ports, clock: Clock, named: bool) -> None:
        others: list[dict[str, Any]] = [{}, {"unique_key": "x"}, {"queue": "post"}, {"tenant": "zeta"}]
        jobs = [keyed(clock, f"o-{n}" if named else None, **each) for n, each in enumerate(others)]
        assert ports.jobs.create(jobs) == [None] * 4

    def test_allow_all_neither_takes_nor_minds_a_key(self, ports: Ports, clock: Clock, named: bool) -> None:
        first, second, third = (
            keyed(clock, f"order-{n}" if named else None, policy=UniquePolicy.ALLOW_ALL) for n in range(3)
        )
        assert ports.jobs.create([first, second]) == [None, None]
        assert ports.jobs.create([keyed(clock)]) == [None]
        assert ports.jobs.create([third]) == [None]

    def test_a_key_is_dropped_by_its_job_alone(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = keyed(clock, "order-1" if named else None)
        ports.jobs.create([job])
        ports.unique_keys.drop_if_held(LANE, "invoice #7", "another")
        assert ports.unique_keys.holder(LANE, "invoice #7") == job.id
        ports.unique_keys.drop_if_held(LANE, "invoice #7", job.id)
        assert ports.unique_keys.holder(LANE, "invoice #7") is None
        ports.unique_keys.drop_if_held(LANE, "invoice #7", job.id)


def test_of_ten_threads_with_one_key_exactly_one_stores_its_job(home: Home) -> None:
    for turn in range(3):
        jobs = [keyed(home.clock, None if n % 2 else f"order-{turn}-{n}", unique_key=f"k{turn}") for n in range(10)]

        def create(number: int, jobs: list[Job] = jobs) -> list[Job | None]:
            return list(home.ports.jobs.create([jobs[number]]))

        answers = at_once(home.ports, create)
        assert sum(answer == [None] for answer in answers) == 1
        assert sum(job is not None for job in home.ports.jobs.get([JobKey("acme", job.id) for job in jobs])) == 1


def test_a_restart_and_submissions_race_for_one_key(home: Home) -> None:
    """However they interleave, one job of the key is open in the end."""
    for turn in range(5):
        first = keyed(home.clock, unique_key=f"k{turn}")
        home.ports.jobs.create([first])
        ended = end(home.ports, first)
        jobs = [first, *(keyed(home.clock, unique_key=f"k{turn}") for _ in range(4))]

        def act(number: int, jobs: list[Job] = jobs, ended: Job = ended) -> bool:
            if number == 0:
                return home.ports.jobs.apply([guarded.restart_if_ended(ended, START_MS)])[0].applied
            return home.ports.jobs.create([jobs[number]]) == [None]

        assert Counter(at_once(home.ports, act, 5)) == {True: 1, False: 4}
        stored = home.ports.jobs.get([JobKey("acme", job.id) for job in jobs])
        assert sum(job is not None and job.state is State.CREATED for job in stored) == 1
