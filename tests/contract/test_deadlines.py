"""Deadlines in both homes: noted, told once, counted, and done as the queue says; what jobs without them pay."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tidegate_functions.changes import handler as changes

from support.attempts import ADMIN, serve, stored, submitted, worker
from support.homes import Home, stream_records
from tidegate import runtime
from tidegate.adapters.sqlite.feed import SqliteFeed
from tidegate.adapters.sqlite.ports import open_database
from tidegate.domain.change import Change
from tidegate.domain.errors import LeaseLost
from tidegate.domain.events import AnyEvent, Event
from tidegate.domain.job import ErrorType, Job, Sla, State
from tidegate.domain.limits import Semaphore
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.ports import DEADLINES, Ports, Timer
from tidegate.runtime import App
from tidegate.service import settle
from tidegate.service.claim import Claimed, claim_for
from tidegate.service.control import cancel, reprioritise, retry
from tidegate.service.examine import Drift, examine
from tidegate.service.policies import put_queue
from tidegate.service.stats import SlaFigures, sla_figures
from tidegate.service.tick import tick
from tidegate.settings import Settings

Records = Sequence[dict[str, Any] | Change]
TOLD = "job.sla."


@dataclass(slots=True)
class Life:
    """A home whose change feed and clock go on when told to; a tick may come twice."""

    home: Home
    ports: Ports
    read: Callable[[], Records]
    events: list[AnyEvent] = field(default_factory=list)
    seen: int = 0

    def publish(self, events: Sequence[AnyEvent]) -> None:
        self.events += events

    def feed(self) -> None:
        """What was committed since goes through the change feed's function."""
        records = self.read()[self.seen :]
        self.seen += len(records)
        if records:
            with runtime.use(App(self.ports, Settings(stage="test", pools={"default": {}}))):
                assert not changes.handler({"Records": records}, None)["batchItemFailures"]

    def tick(self) -> str:
        """The change feed, then two clocks at once, then the change feed; answers what was noted."""
        self.feed()
        ticked = [tick(self.ports, self.ports.clock_seconds) for _ in range(2)]
        self.feed()
        names = ("at_risk", "missed_soft", "missed_hard")
        return " ".join(name for name in names for each in ticked for _ in range(getattr(each, name)))

    def after(self, seconds: float) -> str:
        """So much later, a tick."""
        self.home.clock.advance(seconds)
        return self.tick()

    def told(self) -> list[tuple[str, str]]:
        """What was told of deadlines: `at_risk` and so on, and the job's state."""
        found = [each for each in self.events if isinstance(each, Event) and each.type.startswith(TOLD)]
        assert len({event.id for event in found}) == len(found)
        assert all(event.old_state == event.state for event in found)
        return [(event.type.removeprefix(TOLD), str(event.state)) for event in found]

    def figures(self, queue: str = "default") -> SlaFigures | None:
        return next((each for each in sla_figures(self.ports, ADMIN) if each.queue == queue), None)

    def claim(self, job: Job) -> Job:
        found = claim_for(self.ports, ticket_for(job), "w-1", 1e6, receives=1)
        assert isinstance(found, Claimed)
        return found.job


@pytest.fixture
def life(home: Home, tmp_path: Path) -> Iterator[Life]:
    database = open_database(tmp_path) if home.kind == "sqlite" else None
    read = (lambda: stream_records(home)) if database is None else lambda: SqliteFeed(database).read(1_000)
    made = Life(home, home.ports, read)
    made.ports = replace(home.ports, events=made)
    yield made
    if database is not None:
        database.close()


def put(life: Life, name: str = "default", **settings: Any) -> None:
    put_queue(life.ports, ADMIN, name, settings)


def test_a_waiting_job_is_told_at_risk_soft_and_hard_once_each_and_expires(life: Life) -> None:
    job = submitted(life.ports, soft_sla_seconds=1_000, hard_sla_seconds=2_000)
    assert life.tick() == ""
    assert life.after(800) == ""
    assert life.after(100) == "at_risk"
    assert stored(life.ports, job).sla is Sla.AT_RISK
    assert life.figures() == SlaFigures("default", 0, 0, 0, 1)
    assert life.after(100) == ""
    assert life.after(0.001) == "missed_soft"
    assert life.figures() == SlaFigures("default", 0, 1, 0, 0)
    assert life.after(999.999) == ""
    assert life.after(0.001) == "missed_hard"
    ended = stored(life.ports, job)
    assert (ended.state, ended.sla, ended.reason) == (
        State.EXPIRED, Sla.HARD_MISSED, "its hard deadline passed before it was done",
    )  # fmt: skip
    assert ended.failures == ()
    assert life.told() == [("at_risk", "CREATED"), ("soft_missed", "CREATED"), ("hard_missed", "EXPIRED")]
    assert life.after(10**6) == ""
    assert life.figures() == SlaFigures("default", 0, 1, 1, 0)
    assert list(life.ports.timers.due(10**15, 10)) == []


def test_a_clock_that_stood_still_tells_of_each_miss_and_of_no_risk_that_is_over(life: Life) -> None:
    submitted(life.ports, soft_sla_seconds=10, hard_sla_seconds=20)
    life.feed()
    assert life.after(60) == "missed_hard"
    assert life.told() == [("soft_missed", "EXPIRED"), ("hard_missed", "EXPIRED")]
    assert life.figures() == SlaFigures("default", 0, 1, 1, 0)


def test_a_running_job_is_ended_and_its_holder_locked_out(life: Life) -> None:
    put(life, on_hard_miss="fail")
    job = submitted(life.ports, hard_sla_seconds=600)
    held = life.claim(job)
    life.feed()
    life.after(601)
    ended = stored(life.ports, job)
    assert (ended.state, ended.error_type) == (State.FAILED, ErrorType.TIMEOUT)
    assert [(each.attempt, each.worker_id) for each in ended.failures] == [(1, "w-1")]
    for settled in (settle.complete, settle.heartbeat):
        with pytest.raises(LeaseLost):
            settled(life.ports, held, 1.0)
    assert stored(life.ports, job) == ended
    assert life.told() == [("hard_missed", "FAILED")]


def test_a_miss_that_is_only_told_leaves_the_job_alone(life: Life) -> None:
    put(life, on_hard_miss="only_tell")
    job = submitted(life.ports, hard_sla_seconds=600)
    life.feed()
    assert life.after(601) == "missed_hard"
    assert stored(life.ports, job).state is State.CREATED
    serve(life.ports, worker(life.ports, work=lambda job: 1))
    life.tick()
    assert stored(life.ports, job).state is State.COMPLETED
    assert life.told() == [("hard_missed", "CREATED")]
    assert life.figures() == SlaFigures("default", 0, 0, 1, 0)


def test_a_job_that_ends_late_before_the_clock_looks_is_told_by_its_end(life: Life) -> None:
    """Its result counts: work that is done is not thrown away."""
    job = submitted(life.ports, soft_sla_seconds=600, hard_sla_seconds=700)
    held = life.claim(job)
    life.home.clock.advance(701)
    settle.complete(life.ports, held, 1)
    life.tick()
    assert stored(life.ports, job).state is State.COMPLETED
    assert life.told() == [("soft_missed", "COMPLETED"), ("hard_missed", "COMPLETED")]
    assert life.figures() == SlaFigures("default", 0, 1, 1, 0)


def test_a_job_that_is_done_in_time_has_met_its_deadline_and_is_never_looked_at(life: Life) -> None:
    put(life, "slow", soft_sla_seconds=600)
    job = submitted(life.ports, queue="slow")
    serve(life.ports, worker(life.ports, work=lambda job: 1))
    life.feed()
    assert list(life.ports.timers.due(10**15, 10)) == []
    other = submitted(life.ports, queue="slow")
    life.feed()
    cancel(life.ports, ADMIN, other.id)
    assert life.after(601) == ""
    assert stored(life.ports, job).sla is Sla.NONE
    assert (life.told(), life.figures("slow")) == ([], SlaFigures("slow", 1, 0, 0, 0))


def test_a_job_at_risk_that_makes_it_has_met_its_deadline(life: Life) -> None:
    job = submitted(life.ports, soft_sla_seconds=600)
    life.feed()
    assert life.after(560) == "at_risk"
    settle.complete(life.ports, life.claim(job), 1)
    life.tick()
    assert life.figures() == SlaFigures("default", 1, 0, 0, 0)


def test_past_its_hard_deadline_a_job_is_ended_by_the_worker_that_would_start_it(life: Life) -> None:
    job = submitted(life.ports, hard_sla_seconds=60)
    life.home.clock.advance(61)
    assert serve(life.ports, worker(life.ports, work=lambda job: pytest.fail("it ran"))) > 0
    assert stored(life.ports, job).state is State.EXPIRED
    life.tick()
    assert life.told() == [("hard_missed", "EXPIRED")]


@pytest.mark.parametrize("policy", ["expire", "fail"])
def test_a_job_that_is_retried_by_hand_after_a_miss_runs_and_is_told_of_nothing_again(life: Life, policy: str) -> None:
    put(life, on_hard_miss=policy)
    job = submitted(life.ports, soft_sla_seconds=60, hard_sla_seconds=120)
    life.feed()
    life.after(121)
    retry(life.ports, ADMIN, job.id)
    life.after(600)
    assert stored(life.ports, job).state is State.CREATED
    serve(life.ports, worker(life.ports, work=lambda job: 1))
    life.tick()
    assert stored(life.ports, job).state is State.COMPLETED
    assert Counter(kind for kind, _ in life.told()) == {"soft_missed": 1, "hard_missed": 1}
    assert life.figures() == SlaFigures("default", 0, 1, 1, 0)


def test_a_job_that_ended_late_and_is_retried_is_told_of_its_next_deadline_only(life: Life) -> None:
    job = submitted(life.ports, soft_sla_seconds=60, hard_sla_seconds=1_200)
    life.home.clock.advance(61)
    cancel(life.ports, ADMIN, job.id)
    life.feed()
    retry(life.ports, ADMIN, job.id)
    life.feed()
    life.after(1_200)
    assert [kind for kind, _ in life.told()] == ["soft_missed", "hard_missed"]


def ready(life: Life) -> list[str]:
    ids = [each.job_id for each in life.ports.jobs.head(Lane("main", "default"), 10)]
    found = {job.id: job.name for job in life.ports.jobs.page(_all()).jobs}
    return [found[job_id] for job_id in ids]


def _all() -> Any:
    from tidegate.ports import JobQuery

    return JobQuery(tenant="main")


@pytest.mark.parametrize("ordering", ["strict", "aging"])
def test_a_job_that_missed_its_soft_deadline_goes_before_all_but_critical_ones(life: Life, ordering: str) -> None:
    put(life, ordering=ordering, aging_seconds=3_600)
    late = submitted(life.ports, "late", soft_sla_seconds=60, priority=0)
    for name, priority in (("high", 9), ("critical", 10), ("normal", 5)):
        submitted(life.ports, name, priority=priority)
    assert ready(life) == ["critical", "high", "normal", "late"]
    life.feed()
    assert life.after(61) == "missed_soft"
    assert ready(life) == ["late", "critical", "high", "normal"]  # older than the critical one
    assert stored(life.ports, late).priority == 0
    reprioritise(life.ports, ADMIN, late.id, 1)
    assert ready(life)[0] == "late"


def test_in_deadline_order_the_least_slack_goes_first_by_how_long_the_name_usually_takes(life: Life) -> None:
    put(life, ordering="deadline")
    for name, seconds in (("quick", 1), ("long", 900)):
        for _ in range(3):
            held = life.claim(submitted(life.ports, name))
            life.home.clock.advance(seconds)
            settle.complete(life.ports, held, None)
    life.feed()
    for name, soft in (("quick", 4_000), ("long", 4_200), ("quick", 3_000), ("long", 7_000)):
        submitted(life.ports, name, soft_sla_seconds=soft, tags=(str(soft),))
    life.feed()
    by_id = {job.id: job for job in life.ports.jobs.page(_all()).jobs}
    head = [by_id[each.job_id] for each in life.ports.jobs.head(Lane("main", "default"), 10)]
    assert [(job.name, *job.tags) for job in head] == [
        ("quick", "3000"), ("long", "4200"), ("quick", "4000"), ("long", "7000"),
    ]  # fmt: skip
    assert head[1].rank <= (head[1].soft_sla or 0) - 900_000
    life.after(4_200 - 900 * 1.2 - 120)
    assert [(job.name, job.sla) for job in (stored(life.ports, head[1]), stored(life.ports, head[2]))] == [
        ("long", Sla.NONE), ("quick", Sla.NONE),
    ]  # fmt: skip
    life.after(300)
    assert [stored(life.ports, head[n]).sla for n in (1, 2)] == [Sla.AT_RISK, Sla.NONE]


def test_thousands_of_deadlines_at_once_are_done_in_parts(life: Life, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.service.tick._PAGE", 4)
    monkeypatch.setattr("tidegate.service.tick._PAGES", 2)
    jobs = [submitted(life.ports, soft_sla_seconds=600, priority=n % 10) for n in range(18)]
    life.feed()
    life.home.clock.advance(601)
    assert [tick(life.ports, 60).missed_soft for _ in range(4)] == [8, 8, 2, 0]
    life.feed()
    assert {stored(life.ports, job).sla for job in jobs} == {Sla.SOFT_MISSED}
    assert life.told() == [("soft_missed", "CREATED")] * 18


def test_the_doctor_finds_a_deadline_that_nobody_looks_at(life: Life) -> None:
    submitted(life.ports, soft_sla_seconds=60)
    life.feed()
    life.ports.timers.clear(life.ports.timers.due(10**15, 10))
    life.home.clock.advance(60 + 170)
    assert Drift.MISSED_DEADLINE not in {each.drift for each in examine(life.ports).findings}
    life.home.clock.advance(20)
    assert Drift.MISSED_DEADLINE in {each.drift for each in examine(life.ports, repair=True).findings}
    assert life.tick() == "missed_soft"
    found = examine(life.ports)
    assert Drift.MISSED_DEADLINE not in {each.drift for each in found.findings}
    assert not any(found.counts.values())


def test_an_overdue_timer_of_an_ended_job_is_an_orphan_and_one_of_an_open_job_is_not(life: Life) -> None:
    ended, waiting = (submitted(life.ports, soft_sla_seconds=60) for _ in range(2))
    cancel(life.ports, ADMIN, ended.id)
    now = life.home.clock.now()
    life.ports.timers.set([Timer(now - 10**6, "main", job.id, DEADLINES) for job in (ended, waiting)])
    (orphans,) = (each for each in examine(life.ports).findings if each.drift is Drift.ORPHANED_TIMER)
    assert orphans.examples == (ended.id,)


def test_cloudwatch_gets_what_was_told(life: Life, capsys: pytest.CaptureFixture[str]) -> None:
    met = submitted(life.ports, soft_sla_seconds=5_000)
    settle.complete(life.ports, life.claim(met), 1)
    submitted(life.ports, soft_sla_seconds=1_000, hard_sla_seconds=2_000)
    life.feed()
    for seconds in (940, 100, 1_000):
        life.after(seconds)
    figures: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        found: Mapping[str, Any] = json.loads(line)
        figures.update({name: sum(value) for name, value in found.items() if name.startswith("Sla")})
    assert figures == {"SlaAtRisk": 1, "SlaSoftMissed": 1, "SlaHardMissed": 1, "SlaMet": 1}


@pytest.mark.parametrize("by", ["clock", "ticket"])
def test_a_hard_miss_takes_the_slot_of_the_job_that_it_ends(life: Life, by: str) -> None:
    """Whoever ends it gives the slot back, and the next job starts; nothing waits for the clock's sweep."""
    put(life, slots=1)
    first, second = submitted(life.ports, hard_sla_seconds=60), submitted(life.ports)
    claimed = claim_for(life.ports, ticket_for(first), "w-1", 600, receives=1)
    assert isinstance(claimed, Claimed)
    lane = Semaphore(Lane("main", "default"))
    assert len(life.ports.slots.get(lane).holders) == 1
    assert not isinstance(claim_for(life.ports, ticket_for(second), "w-2", 600, receives=1), Claimed)
    life.feed()
    if by == "clock":
        life.after(61)
    else:
        life.home.clock.advance(61)
        claim_for(life.ports, ticket_for(first), "w-2", 600, receives=2)
    assert stored(life.ports, first).state is State.EXPIRED
    assert claimed.job.slot not in life.ports.slots.get(lane).holders
    assert isinstance(claim_for(life.ports, ticket_for(second), "w-2", 600, receives=1), Claimed)
    with pytest.raises(LeaseLost):
        settle.complete(life.ports, claimed.job, "late")
