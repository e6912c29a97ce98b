"""Guarded writes: every change of state obeys the transition table, and fences out old holders."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidegate.domain import guarded
from tidegate.domain.guard import Guard, GuardedWrite, Lease, Place, due_spot, spot_of
from tidegate.domain.job import (
    COARSE,
    OPEN,
    TERMINAL,
    TRANSITIONS,
    ErrorType,
    HardMiss,
    Job,
    Sla,
    State,
    states_named,
)
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec, new_job
from tidegate.domain.ticket import Lane

NOW = 1_800_000_000_000
LEASE = Lease("w-1", NOW + 10_000)


def job(state: State = State.CREATED, **values: object) -> Job:
    made = new_job(JobSpec(name="extract"), Queue(tenant="main", name="default"), job_id="j", owner="me", now=NOW)
    return replace(made, state=state, **values)  # type: ignore[arg-type]


FAILURE = guarded.failure_of(job(State.ACTIVE, attempt=1, worker_id="w-1", started_at=NOW), ErrorType.AGENT, "no", NOW)


def writes(now: int = NOW) -> dict[str, GuardedWrite]:
    """One write of every kind, for the job as it would be held."""
    held = job(State.ACTIVE, attempt=1, worker_id="w-1", started_at=NOW, lease_until=NOW)
    waiting, ended = job(), job(State.FAILED, attempt=4, completed_at=NOW)
    return {
        "claim_if_ready": guarded.claim_if_ready(Lane("main", "default"), "j", LEASE, now),
        "reclaim_if_lapsed": guarded.reclaim_if_lapsed(held, LEASE, now),
        "release_if_lapsed": guarded.release_if_lapsed(held, now),
        "fail_if_lapsed": guarded.fail_if_lapsed(held, now),
        "cancel_if_lapsed": guarded.cancel_if_lapsed(held, now),
        "extend_if_held": guarded.extend_if_held(held, now + 1, now, None),
        "complete_if_held": guarded.complete_if_held(held, {}, None, now),
        "skip_if_held": guarded.skip_if_held(held, "nothing", now),
        "retry_if_held": guarded.retry_if_held(held, FAILURE, now + 1, now, ticketed=True),
        "reset_if_held": guarded.reset_if_held(held, "stuck", now),
        "snooze_if_held": guarded.snooze_if_held(held, now + 1, now, ticketed=True),
        "fail_if_held": guarded.fail_if_held(held, FAILURE, now),
        "cancel_if_held": guarded.cancel_if_held(held, now),
        "cancel_if_waiting": guarded.cancel_if_waiting(waiting, "why", now),
        "request_cancel_if_active": guarded.request_cancel_if_active(held, "why", now),
        "expire_if_waiting": guarded.expire_if_waiting(waiting, now),
        "promote_if_due": guarded.promote_if_due(waiting, now),
        "park_if_waiting": guarded.park_if_waiting(waiting, now),
        "mark_ticketed_if_waiting": guarded.mark_ticketed_if_waiting(waiting, now),
        "move_if_waiting": guarded.move_if_waiting(waiting, 10, 1, now),
        "restart_if_ended": guarded.restart_if_ended(ended, now),
        "fan_out_if_blocked": guarded.fan_out_if_blocked(job(blocked=True), {"entries": 2}, now),
        "unblock": guarded.unblock(job(blocked=True), now),
        "skip_if_blocked": guarded.skip_if_blocked(job(blocked=True), "why", now, broken=True),
        "block_again_if_ended": guarded.block_again_if_ended(ended, now),
        "note_sla_if_open": guarded.note_sla_if_open(waiting, Sla.AT_RISK, 1, now),
        "wait_with_if_open": guarded.wait_with_if_open(waiting, "token"),
        "end_if_hard_missed": guarded.end_if_hard_missed(held, now),
    }


def test_the_table_of_writes_is_complete() -> None:
    """A new kind of write cannot be added without being checked here."""
    public = {
        name
        for name, function in vars(guarded).items()
        if inspect.isfunction(function) and function.__annotations__.get("return") == "GuardedWrite"
        if not name.startswith("_")
    }
    assert public == set(writes())


@pytest.mark.parametrize("name", sorted(writes()))
def test_every_write_obeys_the_transition_table(name: str) -> None:
    """From every state that its guard admits, a write leads only where the table allows.

    A reclaim is the one write that stays in its state: ACTIVE under the next attempt.
    """
    write = writes()[name]
    if name == "reclaim_if_lapsed":
        assert write.next_attempt
        assert write.guard.states == {write.values["state"]}
    elif "state" in write.values:
        for before in write.guard.states:
            assert write.values["state"] in TRANSITIONS[before], f"{before} -> {write.values['state']}"


@pytest.mark.parametrize("name", sorted(name for name in writes() if name.endswith("_if_held")))
def test_settling_is_fenced(name: str) -> None:
    """Whoever holds an older attempt, or none, changes nothing."""
    guard = writes()[name].guard
    assert guard.holds(job(State.ACTIVE, attempt=1))
    assert not guard.holds(job(State.ACTIVE, attempt=2))
    assert not any(guard.holds(job(state, attempt=1)) for state in State if state is not State.ACTIVE)


@pytest.mark.parametrize("name", sorted(writes()))
def test_what_ends_or_starts_leaves_the_ready_index(name: str) -> None:
    """The spot that a write gives equals the spot of the job that it makes."""
    write = writes()[name]
    state = write.values.get("state")
    if state in TERMINAL or state is State.ACTIVE:
        assert write.spot is not None
        made = job(state, completed_at=write.values.get("completed_at"))
        assert write.spot == spot_of(made)


def test_only_a_claim_raises_the_attempt() -> None:
    raising = {name for name, write in writes().items() if write.next_attempt}
    assert raising == {"claim_if_ready", "reclaim_if_lapsed"}


def test_a_ready_job_is_claimed_only_in_its_time() -> None:
    guard = writes()["claim_if_ready"].guard
    assert guard.holds(job())
    assert not guard.holds(job(wake_at=NOW + 1))
    assert guard.holds(job(State.RETRY, wake_at=NOW))
    assert not guard.holds(job(expires_at=NOW))
    assert guard.holds(job(expires_at=NOW + 1))
    assert not guard.holds(job(State.ACTIVE))


def test_a_running_job_is_reclaimed_only_after_its_lease() -> None:
    guard = writes()["reclaim_if_lapsed"].guard
    assert guard.holds(job(State.ACTIVE, attempt=1, lease_until=NOW))
    assert not guard.holds(job(State.ACTIVE, attempt=1, lease_until=NOW + 1))
    assert not guard.holds(job(State.ACTIVE, attempt=2, lease_until=NOW))
    assert not guard.holds(job(State.ACTIVE, attempt=1, lease_until=NOW - 1)), (
        "its holder was heard of since it was read"
    )


@pytest.mark.parametrize("state", [State.CREATED, State.RETRY, State.ACTIVE])
@pytest.mark.parametrize(("policy", "end"), [(HardMiss.EXPIRE, State.EXPIRED), (HardMiss.FAIL, State.FAILED)])
def test_a_missed_hard_deadline_ends_an_open_job_as_its_policy_says(state: State, policy: HardMiss, end: State) -> None:
    """On record goes the attempt that it ended; a job that waited had none under way."""
    seen = job(state, attempt=1, on_hard_miss=policy, hard_sla=NOW - 1)
    write = guarded.end_if_hard_missed(seen, NOW)
    assert end in TRANSITIONS[state]
    assert (write.values["state"], write.values["sla"], write.values["reason"]) == (
        end, Sla.HARD_MISSED, guarded.MISSED_HARD,
    )  # fmt: skip
    assert ("failures" in write.values) == (state is State.ACTIVE)
    assert write.guard.holds(seen)
    assert not any(write.guard.holds(replace(seen, state=other)) for other in State if other is not state)
    assert not write.guard.holds(replace(seen, attempt=2))
    assert not write.guard.holds(replace(seen, sla=Sla.HARD_MISSED))


def test_a_note_on_deadlines_only_grows_and_moves_a_waiting_job() -> None:
    waiting = job(sla=Sla.AT_RISK)
    write = guarded.note_sla_if_open(waiting, Sla.SOFT_MISSED, 7, NOW)
    assert (write.values["rank"], write.spot) == (7, spot_of(replace(waiting, rank=7)))
    assert write.guard.holds(waiting)
    for other in (
        replace(waiting, sla=Sla.SOFT_MISSED),
        replace(waiting, state=State.ACTIVE),
        replace(waiting, updated_at=NOW + 1),
        replace(waiting, blocked=True),
    ):
        assert not write.guard.holds(other)
    running = guarded.note_sla_if_open(job(State.ACTIVE, attempt=1), Sla.SOFT_MISSED, 7, NOW)
    assert (running.spot, set(running.values)) == (None, {"sla", "updated_at"})
    assert not running.guard.holds(job(State.ACTIVE, attempt=2))


def test_a_job_past_its_hard_deadline_is_not_started() -> None:
    """Unless a miss is only told, or was dealt with before the job was started over."""
    guard = writes()["claim_if_ready"].guard
    assert guard.holds(job(hard_sla=NOW))
    assert not guard.holds(job(hard_sla=NOW - 1))
    assert guard.holds(job(hard_sla=NOW - 1, on_hard_miss=HardMiss.ONLY_TELL))
    assert guard.holds(job(hard_sla=NOW - 1, sla=Sla.HARD_MISSED))


def test_a_job_started_over_is_not_told_of_the_same_deadlines_again() -> None:
    late = job(State.FAILED, attempt=1, soft_sla=NOW - 9, hard_sla=NOW + 9, completed_at=NOW, updated_at=NOW)
    assert guarded.restart_if_ended(late, NOW + 5).values["sla"] is Sla.SOFT_MISSED
    assert "sla" not in guarded.restart_if_ended(replace(late, completed_at=NOW - 9), NOW + 5).values
    assert not guarded.restart_if_ended(late, NOW + 5).guard.holds(replace(late, updated_at=NOW + 1))


def test_a_job_to_be_stopped_does_not_wait_for_a_retry() -> None:
    guard = writes()["retry_if_held"].guard
    assert not guard.holds(job(State.ACTIVE, attempt=1, cancel_requested=True))


def test_a_restart_keeps_old_holders_out_and_gives_fresh_attempts() -> None:
    ended = job(State.FAILED, attempt=4, attempts_allowed=4, retry_limit=3)
    write = guarded.restart_if_ended(ended, NOW)
    assert "attempt" not in write.values
    assert write.values["attempts_allowed"] == 8
    again = replace(ended, state=State.CREATED, attempts_allowed=8)
    assert again.retry_count == 0
    assert replace(again, attempt=5).retry_count == 0
    assert replace(again, attempt=8).retry_count == 3


@given(limit=st.integers(0, 50), snoozes=st.integers(0, 50))
def test_snoozing_never_uses_up_a_retry(limit: int, snoozes: int) -> None:
    running = job(State.ACTIVE, attempt=1, attempts_allowed=1 + limit, retry_limit=limit)
    for _ in range(snoozes):
        write = guarded.snooze_if_held(running, NOW + 1, NOW, ticketed=True)
        allowed = write.values["attempts_allowed"]
        running = replace(running, attempt=running.attempt + 1, attempts_allowed=allowed)
    assert running.retry_count == 0
    assert running.is_last_attempt == (limit == 0)


def test_a_history_stays_bounded() -> None:
    running = job(State.ACTIVE, attempt=1, worker_id="w", started_at=NOW)
    for _ in range(100):
        failure = guarded.failure_of(running, ErrorType.AGENT, "x" * 100_000, NOW)
        running = replace(
            running, failures=guarded.retry_if_held(running, failure, NOW, NOW, ticketed=True).values["failures"]
        )
    assert len(running.failures) == guarded.MAX_FAILURES_KEPT
    assert all(len(each.error_message) == guarded.MAX_ERROR_LENGTH for each in running.failures)


def test_delayed_jobs_stand_apart_from_ready_ones() -> None:
    soon, late = job(wake_at=NOW + 60_000), job(wake_at=NOW + 3_600_000)
    assert spot_of(job()).place is Place.READY
    assert spot_of(soon) == due_spot(NOW + 60_000, ticketed=True)
    assert spot_of(late) == due_spot(NOW + 3_600_000, ticketed=False)
    assert spot_of(soon).order > NOW + 60_000  # its own ticket comes first, the clock only rescues


def test_the_states_are_those_of_the_documents() -> None:
    assert [str(state) for state in State] == [
        "CREATED", "RETRY", "ACTIVE", "COMPLETED", "SKIPPED", "EXPIRED", "CANCELLED", "FAILED",
    ]  # fmt: skip
    assert {State.CREATED, State.RETRY, State.ACTIVE} == OPEN
    assert all(bool(TRANSITIONS[state]) == (state is not State.COMPLETED) for state in State)
    assert set(TRANSITIONS) == set(COARSE) == set(State)


@pytest.mark.parametrize(
    ("word", "states"),
    [
        ("pending", {State.CREATED, State.RETRY}),
        ("running", {State.ACTIVE}),
        ("Active", {State.ACTIVE}),
        ("COMPLETED", {State.COMPLETED}),
        ("nonsense", set()),
    ],
)
def test_filters_take_both_vocabularies(word: str, states: set[State]) -> None:
    assert states_named(word) == states


def test_a_guard_with_nothing_but_states_admits_just_those() -> None:
    guard = Guard(frozenset({State.ACTIVE}))
    assert [state for state in State if guard.holds(job(state))] == [State.ACTIVE]
