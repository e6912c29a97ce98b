"""`JobStore`: creating, reading, writing under guards, and erasing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from support.clock import START_MS, Clock
from support.jobs import FULL, make_job
from tidegate.domain import guarded
from tidegate.domain.guard import Guard, GuardedWrite, Lease, Outcome, Place, Spot, spot_of
from tidegate.domain.job import OPEN, TERMINAL, ErrorType, Failure, HardMiss, Job, Progress, Sla, State
from tidegate.domain.ticket import Lane
from tidegate.ports import Glimpse, JobKey, Ports, Ready

LANE = Lane("acme", "mail")
HOUR_MS = 3_600_000
ACTIVE: Mapping[str, Any] = {"state": State.ACTIVE, "attempt": 1, "worker_id": "w1", "lease_until": START_MS + 60_000}


def key_of(job: Job) -> JobKey:
    return JobKey(job.tenant, job.id)


def stored(ports: Ports, job: Job) -> Job:
    """Store a job and return it."""
    assert ports.jobs.create([job]) == [None]
    return job


def read(ports: Ports, job: Job) -> Job | None:
    return ports.jobs.get([key_of(job)])[0]


def head_ids(ports: Ports, lane: Lane = LANE, limit: int = 100) -> list[str]:
    return [ready.job_id for ready in ports.jobs.head(lane, limit)]


def due_ids(ports: Ports, by: int = START_MS * 2) -> list[str]:
    return [key.job_id for key in ports.jobs.due(by, 100)]


IDS = pytest.mark.parametrize("named", [False, True], ids=["uuid", "named"])


def an_id(clock: Clock, named: bool) -> str:
    return "Invoice:2026-01.x_y" if named else clock.new_id()


class TestCreate:
    @IDS
    def test_a_job_is_read_as_it_was_stored_with_every_field(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = stored(ports, make_job(an_id(clock, named), **FULL))
        assert read(ports, job) == job

    def test_the_full_job_leaves_no_field_at_its_default(self) -> None:
        job = make_job("x", **FULL)
        defaults = [each.name for each in fields(Job) if getattr(job, each.name) == each.default]
        assert defaults == []

    @IDS
    def test_a_job_is_read_as_it_was_stored_with_defaults(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = stored(ports, make_job(an_id(clock, named)))
        assert read(ports, job) == job

    @pytest.mark.parametrize("value", [0, "", [], {}, False, 0.0, [None], {"a": None}, 1e300, 2**60, "\u0000"])
    def test_every_json_value_comes_back_the_same(self, ports: Ports, clock: Clock, value: object) -> None:
        job = stored(ports, make_job(clock.new_id(), data=value, result=value))
        found = read(ports, job)
        assert found is not None
        assert (found.data, found.result) == (value, value)
        assert type(found.data) is type(value)

    @IDS
    def test_the_second_job_of_an_id_is_refused_and_answered_with_the_first(
        self, ports: Ports, clock: Clock, named: bool
    ) -> None:
        first = stored(ports, make_job(an_id(clock, named), data=1))
        second = replace(first, data=2, created_at=START_MS + 5)
        assert ports.jobs.create([second]) == [first]
        assert read(ports, first) == first

    @IDS
    def test_the_same_job_created_again_is_refused(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = stored(ports, make_job(an_id(clock, named)))
        assert ports.jobs.create([job]) == [job]
        assert ports.jobs.create([job, make_job(clock.new_id())])[0] == job

    def test_tenants_do_not_share_ids(self, ports: Ports) -> None:
        ours = stored(ports, make_job("report", data="ours"))
        theirs = stored(ports, replace(ours, tenant="zeta", data="theirs"))
        assert ports.jobs.get([key_of(ours), key_of(theirs)]) == [ours, theirs]

    @pytest.mark.parametrize("count", [0, 2, 26, 60])
    def test_a_batch_stores_every_job(self, ports: Ports, clock: Clock, count: int) -> None:
        jobs = [make_job(clock.new_id(), data=number) for number in range(count)]
        assert list(ports.jobs.create(jobs)) == [None] * count
        assert list(ports.jobs.get([key_of(job) for job in jobs])) == jobs
        assert head_ids(ports) == [job.id for job in jobs]

    def test_in_a_batch_each_job_is_guarded_for_itself(self, ports: Ports, clock: Clock) -> None:
        old = [stored(ports, make_job(clock.new_id(), data="old")), stored(ports, make_job("order-1", data="old"))]
        new = [make_job(clock.new_id()), make_job("order-2"), make_job(clock.new_id())]
        batch = [new[0], replace(old[0], data="new"), new[1], replace(old[1], data="new"), new[2]]
        assert list(ports.jobs.create(batch)) == [None, old[0], None, old[1], None]
        assert list(ports.jobs.get([key_of(job) for job in batch])) == [new[0], old[0], new[1], old[1], new[2]]

    @IDS
    def test_an_id_twice_in_one_batch_belongs_to_the_first(self, ports: Ports, clock: Clock, named: bool) -> None:
        first = make_job(an_id(clock, named), data=1)
        assert list(ports.jobs.create([first, replace(first, data=2), replace(first, data=3)])) == [None, first, first]

    @IDS
    def test_a_batch_does_not_bring_back_a_job_that_moved_on(self, ports: Ports, clock: Clock, named: bool) -> None:
        jobs = [make_job(an_id(clock, named)), make_job(clock.new_id())]
        ports.jobs.create(jobs)
        claim = guarded.claim_if_ready(LANE, jobs[0].id, Lease("w", START_MS + 9), START_MS)
        claimed = ports.jobs.apply([claim])[0].job
        assert list(ports.jobs.create(jobs)) == [claimed, jobs[1]]
        assert read(ports, jobs[0]) == claimed


class TestGet:
    def test_answers_come_in_the_order_asked_for_with_none_for_absent_jobs(self, ports: Ports, clock: Clock) -> None:
        a, b = stored(ports, make_job(clock.new_id())), stored(ports, make_job("b"))
        asked = [JobKey("acme", "nobody"), key_of(b), JobKey("acme", clock.new_id()), key_of(a), key_of(b)]
        assert list(ports.jobs.get(asked)) == [None, b, None, a, b]

    def test_another_tenants_job_is_absent(self, ports: Ports, clock: Clock) -> None:
        a, b = stored(ports, make_job(clock.new_id())), stored(ports, make_job("b"))
        assert list(ports.jobs.get([JobKey("zeta", a.id), JobKey("zeta", b.id)])) == [None, None]

    def test_more_jobs_than_one_request_takes(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id()) for _ in range(120)]
        ports.jobs.create(jobs)
        assert list(ports.jobs.get([key_of(job) for job in jobs])) == jobs
        assert list(ports.jobs.glimpse([key_of(job) for job in jobs])) == [Glimpse(State.CREATED, False)] * 120

    def test_a_glimpse_tells_how_a_job_stands_and_nothing_of_one_that_get_does_not_see(
        self, ports: Ports, clock: Clock
    ) -> None:
        done: dict[str, Any] = {"state": State.COMPLETED, "attempt": 1, "completed_at": START_MS}
        a = stored(ports, make_job(clock.new_id(), state=State.SKIPPED, broken=True, completed_at=START_MS))
        b = stored(ports, make_job("b", **done, keep_until=START_MS + HOUR_MS))
        outlived = stored(ports, make_job(clock.new_id(), **done, keep_until=START_MS + 1))
        clock.advance(1)
        asked = [key_of(b), JobKey("zeta", b.id), JobKey("acme", "nobody"), key_of(outlived), key_of(a), key_of(b)]
        seen = Glimpse(State.COMPLETED, False)
        assert list(ports.jobs.glimpse(asked)) == [seen, None, None, None, Glimpse(State.SKIPPED, True), seen]


GUARDED_JOBS: list[dict[str, Any]] = [
    {},
    {"state": State.RETRY, "attempt": 1},
    {"wake_at": START_MS - 1},
    {"wake_at": START_MS},
    {"wake_at": START_MS + 1},
    {"expires_at": START_MS - 1},
    {"expires_at": START_MS},
    {"expires_at": START_MS + 1},
    {"state": State.ACTIVE, "attempt": 1, "lease_until": START_MS - 1},
    {"state": State.ACTIVE, "attempt": 2, "lease_until": START_MS},
    {"state": State.ACTIVE, "attempt": 1, "lease_until": START_MS + 1},
    {"state": State.ACTIVE, "attempt": 2, "lease_until": None},
    {"state": State.ACTIVE, "attempt": 1, "cancel_requested": True, "lease_until": START_MS},
    {"hard_sla": START_MS - 1},
    {"hard_sla": START_MS},
    {"hard_sla": START_MS - 1, "on_hard_miss": HardMiss.ONLY_TELL},
    {"hard_sla": START_MS - 1, "on_hard_miss": HardMiss.FAIL, "sla": Sla.SOFT_MISSED},
    {"hard_sla": START_MS - 1, "sla": Sla.HARD_MISSED},
    {"soft_sla": START_MS - 1, "sla": Sla.AT_RISK},
    *({"state": state, "attempt": 1, "hard_sla": START_MS - 1} for state in sorted(TERMINAL)),
]

ALL = frozenset(State)
GUARDS = {
    "any state": Guard(ALL),
    "no state": Guard(frozenset()),
    "waiting": Guard(frozenset({State.CREATED, State.RETRY})),
    "active": Guard(frozenset({State.ACTIVE})),
    "failed": Guard(frozenset({State.FAILED})),
    "attempt 0": Guard(ALL, attempt=0),
    "attempt 1": Guard(ALL, attempt=1),
    "woken": Guard(ALL, woken_by=START_MS),
    "unexpired": Guard(ALL, unexpired_at=START_MS),
    "expired": Guard(ALL, expired_by=START_MS),
    "lapsed": Guard(ALL, lease_ended_by=START_MS),
    "lease as seen": Guard(ALL, lease_seen=START_MS),
    "to stop": Guard(ALL, cancel_requested=True),
    "not to stop": Guard(ALL, cancel_requested=False),
    "all that a claim asks": Guard(frozenset({State.CREATED}), woken_by=START_MS, unexpired_at=START_MS),
    "all that a reclaim asks": Guard(
        frozenset({State.ACTIVE}), attempt=1, lease_ended_by=START_MS, lease_seen=START_MS - 1
    ),
    "all that a retry asks": Guard(frozenset({State.ACTIVE}), attempt=1, cancel_requested=False),
    "not stopped": Guard(OPEN, unstopped_at=START_MS),
    "nothing noted": Guard(ALL, sla_below=Sla.AT_RISK),
    "no miss noted": Guard(ALL, sla_below=Sla.SOFT_MISSED),
    "times at zero": Guard(ALL, woken_by=0, unexpired_at=0),
}


class TestGuards:
    @pytest.mark.parametrize("guard", GUARDS.values(), ids=GUARDS.keys())
    def test_a_write_is_applied_exactly_when_its_guard_holds(self, ports: Ports, clock: Clock, guard: Guard) -> None:
        jobs = [make_job(clock.new_id(), **changes) for changes in GUARDED_JOBS]
        ports.jobs.create(jobs)
        outcomes = ports.jobs.apply([GuardedWrite("acme", job.id, guard, {"reason": "written"}) for job in jobs])
        for job, outcome, now in zip(jobs, outcomes, ports.jobs.get([key_of(job) for job in jobs]), strict=True):
            holds = guard.holds(job)
            assert outcome.applied is holds
            assert outcome.job == now == (replace(job, reason="written") if holds else job)


class TestApply:
    @IDS
    def test_a_claim_starts_the_next_attempt_and_leaves_the_lane(self, ports: Ports, clock: Clock, named: bool) -> None:
        job = stored(ports, make_job(an_id(clock, named)))
        claim = guarded.claim_if_ready(LANE, job.id, Lease("w1", START_MS + 60_000), START_MS + 1)
        outcome = ports.jobs.apply([claim])[0]
        expected = replace(job, **ACTIVE, started_at=START_MS + 1, updated_at=START_MS + 1)
        assert outcome.applied
        assert outcome.job == expected == read(ports, job)
        assert head_ids(ports) == []
        assert not ports.jobs.apply([claim])[0].applied

    def test_a_write_to_an_absent_job_makes_none(self, ports: Ports, clock: Clock) -> None:
        writes = [GuardedWrite("acme", name, Guard(ALL), {"reason": "x"}) for name in (clock.new_id(), "nobody")]
        for outcome in ports.jobs.apply(writes):
            assert outcome == Outcome(False, None)
        assert list(ports.jobs.get([JobKey("acme", write.job_id) for write in writes])) == [None, None]

    def test_another_tenants_job_is_not_touched(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id()))
        assert ports.jobs.apply([GuardedWrite("zeta", job.id, Guard(ALL), {"reason": "x"})])[0].job is None
        assert read(ports, job) == job

    def test_writes_of_one_call_are_applied_each_for_itself_and_answered_in_order(
        self, ports: Ports, clock: Clock
    ) -> None:
        jobs = [make_job(clock.new_id(), attempt=number % 2) for number in range(20)]
        ports.jobs.create(jobs)
        writes = [GuardedWrite("acme", job.id, Guard(ALL, attempt=1), {"priority": 9}) for job in jobs]
        outcomes = ports.jobs.apply(writes)
        assert [outcome.applied for outcome in outcomes] == [job.attempt == 1 for job in jobs]
        assert [outcome.job.id for outcome in outcomes if outcome.job] == [job.id for job in jobs]

    def test_a_full_life_is_written_as_the_domain_says(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id()))
        failure = Failure(1, "w1", START_MS, START_MS + 2, ErrorType.AGENT, "ouch: ünïcode")

        def step(write: GuardedWrite) -> Job:
            outcome = ports.jobs.apply([write])[0]
            assert outcome.applied
            assert outcome.job is not None
            assert outcome.job == read(ports, job)
            assert all(getattr(outcome.job, name) == value for name, value in write.values.items())
            return outcome.job

        active = step(guarded.claim_if_ready(LANE, job.id, Lease("w1", START_MS + 10), START_MS))
        beaten = step(guarded.extend_if_held(active, START_MS + 20, START_MS + 1, Progress(0.5, "half")))
        waiting = step(guarded.retry_if_held(beaten, failure, START_MS + 2_000, START_MS + 2, ticketed=False))
        assert due_ids(ports) == [job.id]
        assert head_ids(ports) == []
        ready = step(guarded.promote_if_due(waiting, START_MS + 2_000))
        assert due_ids(ports) == []
        assert head_ids(ports) == [job.id]
        step(guarded.move_if_waiting(ready, 9, 7, START_MS + 2_001))
        assert ports.jobs.head(LANE, 1) == [Ready(7, job.id)]
        again = step(guarded.claim_if_ready(LANE, job.id, Lease("w2", START_MS + 3_000), START_MS + 2_002))
        assert again.attempt == 2
        stolen = step(guarded.reclaim_if_lapsed(again, Lease("w3", START_MS + 9_000), START_MS + 3_000))
        assert stolen.attempt == 3
        stopping = step(guarded.request_cancel_if_active(stolen, "enough", START_MS + 3_001))
        assert not ports.jobs.apply([guarded.retry_if_held(stopping, failure, START_MS, START_MS, ticketed=False)])[
            0
        ].applied
        ended = step(guarded.cancel_if_held(stopping, START_MS + 3_002))
        assert ended.lease_until is None
        restarted = step(guarded.restart_if_ended(ended, START_MS + 3_003))
        assert restarted.cancel_requested is False
        assert head_ids(ports) == [job.id]
        final = step(guarded.claim_if_ready(LANE, job.id, Lease("w4", START_MS + 9_000), START_MS + 3_004))
        done = step(guarded.complete_if_held(final, {"pages": 0}, None, START_MS + 3_005))
        assert (done.state, done.result, done.attempt) == (State.COMPLETED, {"pages": 0}, 4)
        assert head_ids(ports) == due_ids(ports) == []

    def test_a_holder_that_lost_its_lease_changes_nothing(self, ports: Ports, clock: Clock) -> None:
        zombie = stored(ports, make_job(clock.new_id(), **ACTIVE))
        current = ports.jobs.apply([guarded.reclaim_if_lapsed(zombie, Lease("w2", START_MS * 2), START_MS + 60_000)])[0]
        late = START_MS + 60_001
        failure = guarded.failure_of(zombie, ErrorType.AGENT, "late", late)
        writes = [
            guarded.complete_if_held(zombie, "late", None, late),
            guarded.extend_if_held(zombie, late, late, None),
            guarded.skip_if_held(zombie, "late", late),
            guarded.retry_if_held(zombie, failure, late, late, ticketed=False),
            guarded.snooze_if_held(zombie, late, late, ticketed=False),
            guarded.fail_if_held(zombie, failure, late),
            guarded.cancel_if_held(zombie, late),
            guarded.fail_if_lapsed(zombie, START_MS * 3),
            guarded.cancel_if_lapsed(zombie, START_MS * 3),
        ]
        for outcome in ports.jobs.apply(writes):
            assert not outcome.applied
            assert outcome.job == current.job
        assert read(ports, zombie) == current.job

    def test_falsy_results_are_results(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id(), **ACTIVE, result="old"))
        outcome = ports.jobs.apply([guarded.complete_if_held(job, 0, None, START_MS)])[0]
        assert outcome.job is not None
        assert outcome.job.result == 0
        assert outcome.job.result is not False

    def test_none_takes_a_value_away(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id(), **FULL))
        nothing: dict[str, Any] = {
            "wake_at": None,
            "progress": None,
            "result": None,
            "error_type": None,
            "reason": None,
        }
        outcome = ports.jobs.apply([GuardedWrite("acme", job.id, Guard(ALL), nothing)])[0]
        assert outcome.job == replace(job, **nothing)

    def test_a_write_without_a_spot_leaves_the_job_where_it_stands(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id()))
        ports.jobs.apply([GuardedWrite("acme", job.id, Guard(ALL), {"reason": "x"})])
        assert head_ids(ports) == [job.id]


class TestHead:
    def test_the_best_rank_comes_first_and_the_older_of_equals(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id(), priority=priority) for priority in (5, 9, 0, 10, 5)]
        ports.jobs.create(jobs)
        order = sorted(jobs, key=lambda job: (job.rank, job.id))
        assert list(ports.jobs.head(LANE, 10)) == [Ready(job.rank, job.id) for job in order]
        assert head_ids(ports, limit=2) == [order[0].id, order[1].id]

    def test_ranks_are_compared_as_numbers(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id(), rank=rank) for rank in (10, 9, 10**15, 0, 99)]
        ports.jobs.create(jobs)
        assert [ready.rank for ready in ports.jobs.head(LANE, 10)] == [0, 9, 10, 99, 10**15]

    def test_lanes_are_apart(self, ports: Ports, clock: Clock) -> None:
        jobs = [
            make_job(clock.new_id()),
            make_job(clock.new_id(), queue="mail2"),
            make_job(clock.new_id(), tenant="acme2"),
        ]
        ports.jobs.create(jobs)
        assert head_ids(ports) == [jobs[0].id]
        assert head_ids(ports, Lane("acme", "mail2")) == [jobs[1].id]
        assert head_ids(ports, Lane("acme2", "mail")) == [jobs[2].id]
        assert head_ids(ports, Lane("zeta", "mail")) == []

    def test_jobs_that_wait_run_or_ended_are_not_in_it(self, ports: Ports, clock: Clock) -> None:
        ended = [{"state": state, "completed_at": 1} for state in TERMINAL]
        changes: list[Mapping[str, Any]] = [{"wake_at": START_MS + 1}, ACTIVE, *ended]
        ports.jobs.create([make_job(clock.new_id(), **each) for each in changes])
        assert head_ids(ports) == []

    def test_named_jobs_are_known_by_their_own_ids(self, ports: Ports) -> None:
        ports.jobs.create([make_job("first"), make_job("second", rank=1)])
        assert head_ids(ports) == ["second", "first"]

    def test_a_long_lane_is_read_up_to_the_limit(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id()) for _ in range(60)]
        ports.jobs.create(jobs)
        assert head_ids(ports, limit=40) == [job.id for job in jobs[:40]]


class TestDue:
    def test_the_soonest_comes_first_and_none_before_its_time(self, ports: Ports, clock: Clock) -> None:
        jobs = [make_job(clock.new_id(), wake_at=START_MS + offset) for offset in (30, 10, 20, 40, 0, 25)]
        ports.jobs.create(jobs)
        by_time = sorted(jobs, key=lambda job: spot_of(job).order)
        last = spot_of(by_time[4]).order
        assert list(ports.jobs.due(last, 10)) == [key_of(job) for job in by_time[:5]]
        assert list(ports.jobs.due(last, 2)) == [key_of(job) for job in by_time[:2]]
        assert list(ports.jobs.due(spot_of(by_time[0]).order - 1, 10)) == []

    def test_it_spans_all_tenants_and_queues(self, ports: Ports) -> None:
        jobs = [
            make_job("a-b", wake_at=START_MS + 1),
            make_job("a-b", tenant="zeta", queue="other", wake_at=START_MS + 2),
        ]
        ports.jobs.create(jobs)
        assert list(ports.jobs.due(START_MS * 2, 10)) == [JobKey("acme", "a-b"), JobKey("zeta", "a-b")]


class TestSpot:
    def test_every_state_has_its_spot(self, ports: Ports, clock: Clock) -> None:
        spots = {state: spot_of(make_job("x", state=state)).place for state in State}
        assert spots[State.CREATED] is Place.READY
        jobs = {state: stored(ports, make_job(clock.new_id(), state=state, completed_at=START_MS)) for state in State}
        ready = [jobs[state].id for state in (State.CREATED, State.RETRY)]
        assert head_ids(ports) == ready

    def test_a_write_can_move_a_job_into_a_lane_and_out_of_it(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id()))
        into_due = GuardedWrite("acme", job.id, Guard(ALL), {"wake_at": 7}, Spot(Place.DUE, order=7))
        off = GuardedWrite("acme", job.id, Guard(ALL), {"wake_at": None}, Spot(Place.OFF))
        ports.jobs.apply([into_due])
        assert (head_ids(ports), due_ids(ports)) == ([], [job.id])
        ports.jobs.apply([off])
        assert (head_ids(ports), due_ids(ports)) == ([], [])


class TestErase:
    @IDS
    @pytest.mark.parametrize("state", sorted(State))
    def test_only_ended_jobs_are_erased(self, ports: Ports, clock: Clock, named: bool, state: State) -> None:
        job = stored(ports, make_job(an_id(clock, named), state=state, completed_at=START_MS))
        assert ports.jobs.erase_if_ended(key_of(job)) is (state in TERMINAL)
        assert read(ports, job) == (None if state in TERMINAL else job)
        assert ports.jobs.erase_if_ended(key_of(job)) is False

    @IDS
    def test_an_erased_id_can_be_used_again(self, ports: Ports, clock: Clock, named: bool) -> None:
        old = stored(ports, make_job(an_id(clock, named), state=State.FAILED, completed_at=START_MS))
        assert read(ports, old) == old
        assert ports.jobs.erase_if_ended(key_of(old))
        new = stored(ports, make_job(old.id, created_at=START_MS + 100, data="new"))
        assert read(ports, new) == new
        assert ports.jobs.apply([GuardedWrite("acme", new.id, Guard(ALL), {"reason": "x"})])[0].applied

    def test_another_tenants_job_is_not_erased(self, ports: Ports, clock: Clock) -> None:
        job = stored(ports, make_job(clock.new_id(), state=State.FAILED))
        assert ports.jobs.erase_if_ended(JobKey("zeta", job.id)) is False
        assert read(ports, job) == job
