"""Why a job is not running: every gate tells its facts, and the gates agree with the guard of a claim."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import START_MS
from support.jobs import make_job
from tidegate.domain import guarded
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import Join
from tidegate.domain.guard import Lease
from tidegate.domain.job import TERMINAL, WAITING, ErrorType, Job, Progress, State
from tidegate.domain.priority import Band
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.domain.why.before import Before, Parent
from tidegate.domain.why.explain import Why, explain
from tidegate.domain.why.gate import Gate, GateName
from tidegate.domain.why.limits import Limits, RateUse, SlotsUse
from tidegate.domain.why.line import Line, Waiting
from tidegate.domain.why.waiting import Surroundings
from tidegate.domain.why.workers import Workforce
from tidegate.domain.words import counted, duration, listed, shortened

NOW = START_MS
MAIL = Queue(tenant="acme", name="mail")
times = st.none() | st.integers(NOW - 10**9, NOW + 10**9)
texts = st.text(max_size=30)


def parents(*states: State | None) -> tuple[Parent, ...]:
    return tuple(Parent(f"n{number}", f"id-{number}", state) for number, state in enumerate(states))


@st.composite
def jobs(draw: st.DrawFn, states: frozenset[State] = frozenset(State)) -> Job:
    """Any job that could be stored, and some that could not."""
    state = draw(st.sampled_from(sorted(states)))
    return make_job(
        "j",
        state=state,
        priority=draw(st.integers(0, 10)),
        attempt=draw(st.integers(0, 5)),
        wake_at=draw(times) if state in WAITING else None,
        start_after=draw(times),
        expires_at=draw(times),
        started_at=draw(times),
        completed_at=draw(times),
        lease_until=draw(times),
        worker_id=draw(st.none() | texts),
        cancel_requested=draw(st.booleans()),
        progress=draw(st.none() | st.just(Progress(0.5, "half"))),
        error_type=draw(st.none() | st.sampled_from(list(ErrorType))),
        error_message=draw(st.none() | texts),
        reason=draw(st.none() | texts),
        dag_id=draw(st.none() | st.just("run")),
        node=draw(st.none() | st.just("n")),
        blocked=draw(st.booleans()) if state is State.CREATED else False,
        broken=draw(st.booleans()),
    )


befores = st.builds(
    Before,
    dag_id=st.just("run"),
    node=st.just("n"),
    run_state=st.sampled_from(list(RunState)),
    stopping=st.none() | st.just(RunState.CANCELLED),
    join=st.sampled_from(list(Join)),
    join_count=st.none() | st.integers(1, 5),
    total=st.integers(0, 200),
    seen=st.integers(0, 200),
    open=st.lists(st.none() | st.sampled_from(list(State)), max_size=8).map(lambda states: parents(*states)),
    broke=st.just(parents(State.FAILED)),
    entries=st.none() | st.integers(0, 100),
    entries_open=st.integers(0, 100),
)
lines = st.builds(
    Line,
    ahead=st.integers(0, 1000),
    exact=st.booleans(),
    first=st.just(("a", "b")),
    starts=st.integers(0, 10_000),
    seconds=st.floats(0, 1200),
)
pools = st.builds(Waiting, st.dictionaries(st.sampled_from(list(Band)), st.integers(0, 1000)), st.integers(0, 50))
uses = st.builds(
    SlotsUse,
    limit=st.integers(1, 5),
    holders=st.integers(0, 5).map(lambda count: tuple(f"j{n}" for n in range(count))),
    before=st.integers(0, 200),
    exact=st.booleans(),
)
rates = st.builds(
    RateUse,
    limit=st.integers(1, 100),
    taken=st.integers(0, 100),
    period=st.sampled_from(["second", "minute"]),
    ends_at=st.integers(NOW, NOW + 60_000),
)
forces = st.builds(
    Workforce,
    serving=st.integers(0, 3),
    places=st.integers(0, 9),
    busy=st.integers(0, 9),
    others=st.integers(0, 3),
    names=st.lists(texts, max_size=8).map(tuple),
    on_demand=st.booleans(),
)
queues = st.builds(
    lambda paused, by, reason: replace(MAIL, paused=paused, paused_by=by, paused_reason=reason),
    st.booleans(),
    st.none() | texts,
    st.none() | texts,
)


@st.composite
def surroundings(draw: st.DrawFn) -> Surroundings:
    return Surroundings(
        now=NOW,
        queue=draw(st.none() | queues),
        before=draw(st.none() | befores),
        line=draw(st.none() | lines),
        limits=Limits(draw(st.none() | uses), draw(st.none() | uses), draw(st.none() | rates)),
        workers=draw(st.none() | forces),
        pool=draw(st.none() | pools),
    )


def around(**facts: Any) -> Surroundings:
    return Surroundings(now=NOW, **{"queue": MAIL, **facts})


def gate(found: Why, name: GateName) -> Gate:
    (one,) = [each for each in found.gates if each.name is name]
    return one


def holding(found: Why) -> set[GateName]:
    return {each.name for each in found.gates if each.holds}


@given(jobs(), surroundings())
def test_every_job_gets_one_sentence_and_gates_of_plain_facts(job: Job, known: Surroundings) -> None:
    found = explain(job, known)
    assert found.verdict.endswith(".")
    assert "\n" not in found.verdict
    assert found.verdict[0].upper() == found.verdict[0]
    assert found.gates or job.state in WAITING
    assert len({each.name for each in found.gates}) == len(found.gates), "each gate once"
    for each in found.gates:
        assert each.message
        json.dumps(dict(each.facts))
        assert all(
            value is None or type(value) is int
            for name, value in each.facts.items()
            if name.endswith(("_at", "_until", "_after"))
        ), "what is named as a time is one"


GUARDED = {GateName.UPSTREAM, GateName.START_AFTER, GateName.RETRY, GateName.SNOOZE, GateName.EXPIRY}


@given(jobs(WAITING), surroundings())
def test_the_gates_of_the_job_itself_agree_with_the_guard_of_a_claim(job: Job, known: Surroundings) -> None:
    """What the explanation calls open can be claimed, and nothing else can."""
    claim = guarded.claim_if_ready(Lane("acme", "mail"), job.id, Lease("w", NOW + 1), NOW)
    assert claim.guard.holds(job) == (not holding(explain(job, known)) & GUARDED)


@given(jobs(), surroundings())
def test_only_a_job_that_waits_is_expected_to_start_and_never_before_its_time(job: Job, known: Surroundings) -> None:
    found = explain(job, known)
    if job.state not in WAITING:
        assert found.expected_start is None
        return
    if not found.gates or not holding(found):
        assert found.expected_start == NOW
    if found.expected_start is not None:
        assert found.expected_start >= max(NOW, job.wake_at or 0)
        assert not job.blocked


@given(st.integers(1, 900), st.integers(1, 100), st.integers(1, 10_000))
def test_whoever_stands_further_back_is_expected_later(ahead: int, more: int, starts: int) -> None:
    job = make_job("j")
    first = explain(job, around(line=Line(ahead, True, (), starts, 600)))
    second = explain(job, around(line=Line(ahead + more, True, (), starts, 600)))
    assert first.expected_start is not None
    assert second.expected_start is not None
    assert NOW < first.expected_start < second.expected_start


def test_a_line_moves_as_fast_as_it_lately_did() -> None:
    found = explain(make_job("j"), around(line=Line(30, True, ("a", "b"), 60, 600)))
    assert found.expected_start == NOW + 300_000
    assert found.verdict == "Not started: 30 jobs of its queue 'mail' rank before it, of which 6 start in a minute."
    assert gate(found, GateName.LINE).facts == {
        "queue": "mail",
        "ahead": 30,
        "exact": True,
        "first": ["a", "b"],
        "starts_per_minute": 6.0,
    }
    still = explain(make_job("j"), around(line=Line(1000, False)))
    assert still.expected_start is None
    assert "more than 1,000 jobs of its queue" in still.verdict
    assert "none started lately" in still.verdict


def test_several_gates_are_told_in_one_sentence() -> None:
    paused = replace(MAIL, paused=True, paused_by="ada", paused_reason="deploy")
    before = Before(
        dag_id="run", node="n", run_state=RunState.ACTIVE, total=2, seen=2, open=parents(State.ACTIVE, State.CREATED)
    )
    found = explain(make_job("j", blocked=True), around(queue=paused, before=before))
    assert found.verdict == (
        "Not started: it waits for nodes n0 (ACTIVE) and n1 (CREATED) of its run; "
        "and its queue 'mail' was paused by ada (deploy)."
    )
    assert found.expected_start is None
    assert gate(found, GateName.UPSTREAM).facts["waits_for"][0] == {"node": "n0", "job_id": "id-0", "state": "ACTIVE"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"run_state": RunState.CREATED}, "its run is still being stored"),
        ({"stopping": RunState.FAILED}, "its run is being stopped and will be FAILED"),
        ({"total": 300, "seen": 100, "open": parents(None)}, "(not stored) of its run and perhaps for more of its 300"),
        ({"join": Join.N_OF, "join_count": 2, "total": 1, "seen": 1, "open": parents(State.RETRY)}, "2 of which must"),
        ({"entries": 20, "entries_open": 7}, "it waits for 7 of the 20 jobs that it was fanned out into"),
        ({}, "it is let go within moments"),
    ],
)
def test_what_a_node_waits_for(changes: dict[str, Any], message: str) -> None:
    before = Before(**{"dag_id": "run", "node": "n", "run_state": RunState.ACTIVE, **changes})
    found = explain(make_job("j", blocked=True), around(before=before))
    assert message in gate(found, GateName.UPSTREAM).message


def test_times_and_pauses() -> None:
    later = explain(make_job("j", wake_at=NOW + 185_000, start_after=NOW + 185_000), around())
    assert later.verdict == "Not started: it is not to start before its time, in 3 min 5 s."
    assert later.expected_start == NOW + 185_000
    failed = make_job(
        "j",
        state=State.RETRY,
        attempt=2,
        wake_at=NOW + 4_000,
        error_type=ErrorType.AGENT,
        error_message="ValueError: bad\npage",
    )
    assert explain(failed, around()).verdict == (
        "Not started: attempt 2 of 4 failed (ValueError: bad page) and the next one begins in 4 s."
    )
    snoozed = replace(failed, error_type=None, error_message=None)
    assert explain(snoozed, around()).verdict == "Not started: its handler put it off: it goes on in 4 s."
    assert explain(replace(failed, wake_at=NOW - 1), around()).verdict.startswith("It is ready")
    late = explain(make_job("j", expires_at=NOW - 61_000), around())
    assert late.verdict == "Not started: it had to start 1 min 1 s ago at the latest, and will be marked as EXPIRED."
    assert late.expected_start is None


def test_slots_keys_and_rates_tell_who_holds_them() -> None:
    job = make_job("j", concurrency_key="acme")
    limits = Limits(
        SlotsUse(2, ("a", "b")),
        SlotsUse(1, ("a",), before=3),
        RateUse(10, 10, "minute", NOW + 20_000),
    )
    found = explain(job, around(line=Line(0, True, (), 6, 60), limits=limits))
    assert [each.message for each in found.gates if each.holds] == [
        "2 of the 2 slots of its queue 'mail' are taken",
        "1 of the 1 jobs that may run with its concurrency key 'acme' run, and 3 with that key wait before it",
        "10 of the 10 starts that its queue 'mail' may make in a minute were made; the next minute begins in 20 s",
    ]
    assert gate(found, GateName.SLOTS).facts["holders"] == ["a", "b"]
    assert found.expected_start == NOW + 20_000, "not before the next window"
    free = Limits(SlotsUse(2, ("a",)), SlotsUse(2, ("a",)), RateUse(10, 9, "second", NOW + 1))
    assert explain(job, around(line=Line(0, True), limits=free)).verdict.startswith("It is ready")


def test_a_full_queue_starts_its_next_job_when_one_lately_did() -> None:
    full = Limits(slots=SlotsUse(1, ("a",)))
    assert explain(make_job("j"), around(line=Line(0, True, (), 6, 60), limits=full)).expected_start == NOW + 10_000
    assert explain(make_job("j"), around(line=Line(0, True), limits=full)).expected_start is None


@pytest.mark.parametrize(
    ("force", "holds", "message"),
    [
        (Workforce(0, 0, 0, 0, (), False), True, "no worker of its pool 'default' was seen in the last minute"),
        (Workforce(0, 0, 0, 0, (), True), False, "was seen in the last minute; its ticket starts one"),
        (
            Workforce(0, 0, 0, 2, ("extract", "train"), True),
            True,
            "none of the 2 workers of its pool 'default' serves jobs named 'send' of queue 'mail' (they serve extract ",
        ),
        (Workforce(2, 4, 4, 1, (), False), True, "all 4 places of the workers that serve it are taken"),
        (Workforce(2, 4, 4, 1, (), True), False, "2 workers of its pool 'default' may take it"),
        (Workforce(1, 4, 3, 0, (), False), False, "1 worker of its pool 'default' may take it"),
    ],
)
def test_workers_that_serve_a_job(force: Workforce, holds: bool, message: str) -> None:
    found = gate(explain(make_job("j"), around(workers=force)), GateName.WORKERS)
    assert found.holds is holds
    assert message in found.message


def test_nobody_knows_when_a_worker_comes_but_when_one_gets_free() -> None:
    gone, busy = Workforce(0, 0, 0, 0, (), False), Workforce(1, 1, 1, 0, (), False)
    line = Line(0, True, (), 6, 60)
    assert explain(make_job("j"), around(workers=gone, line=line)).expected_start is None
    assert explain(make_job("j"), around(workers=busy, line=line)).expected_start == NOW + 10_000


def test_a_pool_serves_better_bands_first() -> None:
    waiting = Waiting({Band.CRITICAL: 2, Band.HIGH: 1, Band.NORMAL: 40, Band.LOW: 9}, 3)
    found = explain(make_job("j", priority=5), around(pool=waiting))
    assert "its pool 'default' has 3 tickets of higher priority" in found.verdict
    assert gate(found, GateName.POOL).facts["tickets_of_its_band"] == 40
    assert explain(make_job("j", priority=10), around(pool=waiting)).verdict.startswith("It is ready")


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "It is running for 12 s: attempt 1 of 4, on worker w-1."),
        ({"lease_until": NOW - 5_000}, "lease ran out 5 s ago, and another worker will take it over."),
        ({"lease_until": NOW, "attempt": 4}, "it will be marked as FAILED, for attempt 4 was the last allowed."),
        ({"cancel_requested": True, "reason": "enough"}, "It was asked to stop (enough), its worker learns of it"),
        ({"cancel_requested": True, "lease_until": NOW}, "it will be marked as CANCELLED; and it was asked to stop,"),
    ],
)
def test_a_job_that_runs(changes: dict[str, Any], verdict: str) -> None:
    fields = {"attempt": 1, "worker_id": "w-1", "started_at": NOW - 12_000, "lease_until": NOW + 9_000, **changes}
    assert verdict in explain(make_job("j", state=State.ACTIVE, **fields), around()).verdict


@pytest.mark.parametrize(
    ("state", "changes", "verdict"),
    [
        (
            State.FAILED,
            {"attempt": 4, "error_type": ErrorType.TIMEOUT, "error_message": "it took too long"},
            "It failed: attempt 4 of 4, the last allowed, ended with timeout: it took too long.",
        ),
        (
            State.FAILED,
            {"attempt": 1, "error_type": ErrorType.VALIDATION, "error_message": "no row"},
            "It failed for good in attempt 1 of 4, not to be repeated, with validation: no row.",
        ),
        (State.SKIPPED, {"reason": "upstream failed: a"}, "It was skipped: upstream failed: a."),
        (
            State.EXPIRED,
            {"reason": "not started in time"},
            "It expired 1 min after it was created: not started in time.",
        ),
        (State.CANCELLED, {"reason": "cancelled by ada"}, "It was cancelled before it started: cancelled by ada."),
        (
            State.CANCELLED,
            {"attempt": 1, "cancel_requested": True},
            "It was cancelled while it was running: nobody said why.",
        ),
        (State.COMPLETED, {"attempt": 2, "started_at": NOW + 58_000}, "It completed in attempt 2, after 2 s."),
    ],
)
def test_why_it_ended(state: State, changes: dict[str, Any], verdict: str) -> None:
    job = make_job("j", state=state, completed_at=NOW + 60_000, **changes)
    found = explain(job, around(before=None))
    assert state in TERMINAL
    assert found.verdict == verdict
    assert [each.name for each in found.gates] == [GateName.ENDED]


def test_a_skipped_node_names_who_broke_it() -> None:
    before = Before(dag_id="run", node="n", run_state=RunState.ACTIVE, broke=parents(State.FAILED))
    found = explain(
        make_job("j", state=State.SKIPPED, reason="upstream failed: n0", broken=True), around(before=before)
    )
    assert gate(found, GateName.ENDED).facts["because"] == [{"node": "n0", "job_id": "id-0", "state": "FAILED"}]


@pytest.mark.parametrize(
    ("ms", "said"),
    [
        (-5, "0 s"),
        (450, "0.5 s"),
        (4_000, "4 s"),
        (59_999, "59 s"),
        (60_000, "1 min"),
        (599_000, "9 min 59 s"),
        (7_500_000, "2 h 5 min"),
        (86_400_000, "1 day"),
        (200_000_000, "2 days 7 h"),
    ],
)
def test_durations_in_words(ms: int, said: str) -> None:
    assert duration(ms) == said


def test_counts_lists_and_foreign_texts() -> None:
    assert [counted(1, "job"), counted(1200, "job"), counted(5, "job", exact=False)] == [
        "1 job",
        "1,200 jobs",
        "more than 5 jobs",
    ]
    assert [listed(["a"], 1), listed(["a", "b"], 2), listed(["a", "b"], 5)] == ["a", "a and b", "a, b and 3 more"]
    assert shortened(" a\n b ") == "a b"
    assert len(shortened("x" * 1000)) == 200
