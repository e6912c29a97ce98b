"""Watching over runs: deadlines, supervisors that are lost, stopped, late or told twice, and the clock behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.dag.run import Run, RunState, node_job_id, supervisor_name
from tidegate.domain.dag.spec import DagSpec, NodeSpec
from tidegate.domain.errors import NotFound, Unavailable
from tidegate.domain.events import RunEvent
from tidegate.domain.job import Sla
from tidegate.execution.context import JobContext
from tidegate.service import supervise
from tidegate.service.record_changes import SLA
from tidegate.service.release import Engine
from tidegate.service.runs import cancel_run, get_run, resume_run, submit_dag
from tidegate.service.supervise import Watch


def node(node_id: str, *parents: str, **fields: Any) -> NodeSpec:
    job = {"name": fields.pop("name", "work"), "data": {"node": node_id}, "retry_limit": 0}
    return NodeSpec(id=node_id, job=job, depends_on=parents, **fields)


def due_node(node_id: str, *parents: str, **deadlines: Any) -> NodeSpec:
    made = node(node_id, *parents)
    return replace(made, job={**(made.job or {}), **deadlines})


def submitted(home: Home, *nodes: NodeSpec, **fields: Any) -> Run:
    return submit_dag(home.ports, ADMIN, DagSpec(name="d", nodes=nodes, **fields), {})[0].run


def state_of(home: Home, run: Run) -> tuple[RunState, dict[str, str]]:
    view = get_run(home.ports, ADMIN, run.id)
    return view.run.state, {job.node or "": job.state.value for job in view.jobs}


def told_of(home: Home, run: Run) -> list[str]:
    """The types of the run's own events, in order."""
    assert home.app.stream is not None
    events = (each.event for each in home.app.stream.read("main", 0, 1_000)[0])
    return [event.type for event in events if isinstance(event, RunEvent) and event.dag_id == run.id]


def quiet(home: Home, **functions: Any) -> None:
    runner = home.runner(**functions)
    while home.drain(runner) + home.changes():
        continue


class Desk:
    """`Supervisors` that remember what they were asked; tokens in `waiting` are waited with."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.waiting: set[str] = set()
        self.away = False

    calls_back = True

    def start(self, run: Run) -> bool:
        if self.away:
            raise Unavailable("AWS is busy")
        self.started.append(supervisor_name(run))
        return True

    def tell(self, token: str, outcome: Mapping[str, Any]) -> bool:
        if self.away:
            raise Unavailable("AWS is busy")
        self.told.append((token, outcome))
        return token in self.waiting

    def fail(self, token: str, error: str, cause: str) -> bool:
        raise AssertionError(f"{token}: {error}, {cause}")


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def cloud(home: Home, desk: Desk) -> Home:
    """The home with supervisors, as in the cloud."""
    return home.with_ports(supervisors=desk)


def work(job: JobContext) -> None:
    """Done at once."""


class TestDeadlines:
    def test_a_soft_deadline_is_announced_once_and_stops_nothing(self, home: Home) -> None:
        run = submitted(home, node("a"), soft_sla=home.clock.now() + 10_000)
        home.clock.advance(9)
        home.tick()
        assert told_of(home, run) == ["dag.started"]
        for _ in range(3):
            home.clock.advance(1)
            home.tick()
        assert told_of(home, run) == ["dag.started", "dag.late"]
        assert get_run(home.ports, ADMIN, run.id).run.warned_at == home.clock.now() - 2_000
        quiet(home, work=work)
        assert told_of(home, run) == ["dag.started", "dag.late", "dag.completed"]

    def test_the_hard_deadline_ends_the_run_and_runs_its_clean_up(self, home: Home) -> None:
        run = submitted(
            home, node("a"), node("b", "a"), node("clean", "b", cleanup=True), hard_sla=home.clock.now() + 5_000
        )
        home.clock.advance(5)
        home.tick()
        quiet(home, work=work)
        assert state_of(home, run) == (
            RunState.EXPIRED, {"a": "CANCELLED", "b": "CANCELLED", "clean": "COMPLETED"},
        )  # fmt: skip
        assert get_run(home.ports, ADMIN, run.id).run.reason == "its hard deadline passed"
        assert told_of(home, run) == ["dag.started", "dag.expired"]

    def test_a_running_job_is_asked_to_stop_at_the_hard_deadline(self, home: Home) -> None:
        run = submitted(home, node("a", name="long"), hard_sla=home.clock.now() + 5_000)
        seen: list[bool] = []

        def long(job: JobContext) -> None:
            home.clock.advance(6)
            home.tick()
            seen.append(home.job(job.id).cancel_requested)

        quiet(home, long=long)
        assert seen == [True]
        assert state_of(home, run) == (RunState.EXPIRED, {"a": "COMPLETED"}), "it finished before it looked"

    @pytest.mark.parametrize(
        ("of_node", "of_run", "ended", "reason", "figures"),
        [
            (5, 20, (RunState.FAILED, {"a": "EXPIRED", "b": "CANCELLED"}), "its node a is EXPIRED", {"missed_hard": 1}),
            (20, 5, (RunState.EXPIRED, {"a": "CANCELLED", "b": "CANCELLED"}), "its hard deadline passed", {}),
        ],
    )
    def test_of_a_node_and_its_run_the_earlier_hard_deadline_takes_effect(
        self, home: Home, of_node: int, of_run: int, ended: Any, reason: str, figures: Any
    ) -> None:
        """What its run ends is not held against a job, whose own deadline lay ahead."""
        now = home.clock.now()
        first = due_node("a", hard_sla=now + of_node * 1_000)
        run = submitted(home, first, node("b", "a"), hard_sla=now + of_run * 1_000)
        home.changes()
        for _ in range(24):
            home.clock.advance(1)
            home.tick()
            home.changes()
        assert state_of(home, run) == ended
        assert get_run(home.ports, ADMIN, run.id).run.reason == reason
        assert {name: n for name, n in home.ports.figures.read("main", f"{SLA}default").items() if n} == figures

    def test_a_soft_deadline_of_a_node_is_its_own(self, home: Home) -> None:
        """A duration counts from when the run is submitted; it is missed while the node waits for others, too."""
        run = submitted(home, node("a"), due_node("b", "a", soft_sla_seconds=5.0), soft_sla=home.clock.now() + 20_000)
        home.changes()
        home.clock.advance(7)
        home.tick()
        quiet(home, work=work)
        job = home.job(node_job_id(run.id, "b"))
        assert (job.state, job.sla, job.soft_sla) == ("COMPLETED", Sla.SOFT_MISSED, run.created_at + 5_000)
        assert told_of(home, run) == ["dag.started", "dag.completed"]
        figures = home.ports.figures.read("main", f"{SLA}default")
        assert {name: n for name, n in figures.items() if n} == {"missed_soft": 1}

    def test_both_deadlines_in_the_past_are_told_in_their_order(self, home: Home) -> None:
        now = home.clock.now()
        run = submitted(home, node("a"), soft_sla=now - 2, hard_sla=now - 1)
        home.tick()
        assert told_of(home, run) == ["dag.started", "dag.late", "dag.expired"]

    def test_a_run_that_ends_in_time_hears_nothing_of_its_deadlines(self, home: Home) -> None:
        now = home.clock.now()
        run = submitted(home, node("a"), soft_sla=now + 1_000, hard_sla=now + 2_000)
        quiet(home, work=work)
        home.clock.advance(10)
        home.tick()
        assert told_of(home, run) == ["dag.started", "dag.completed"]
        assert home.ports.dags.watched(None, 10) == []

    def test_deadlines_that_have_passed_do_not_bind_a_resumed_run(self, home: Home) -> None:
        now = home.clock.now()
        run = submitted(home, node("a"), soft_sla=now + 1_000, hard_sla=now + 2_000)
        home.clock.advance(3)
        home.tick()
        assert state_of(home, run)[0] is RunState.EXPIRED
        again = resume_run(home.ports, ADMIN, run.id)
        assert (again.soft_sla, again.hard_sla, again.resumed) == (None, None, 1)
        home.tick()
        quiet(home, work=work)
        assert told_of(home, run) == ["dag.started", "dag.late", "dag.expired", "dag.resumed", "dag.completed"]


class TestSupervisors:
    def test_a_run_gets_one_and_it_is_told_of_the_end(self, cloud: Home, desk: Desk) -> None:
        run = submitted(cloud, node("a"))
        watch = Watch("main", run.id, 0)
        assert desk.started == [supervisor_name(run)]
        assert supervise.take_up(cloud.ports, watch) == supervise.LONGEST_WAIT_SECONDS
        desk.waiting = {"t-1"}
        supervise.await_end(cloud.ports, watch, "t-1")
        quiet(cloud, work=work)
        assert desk.told == [("t-1", {"dag_id": run.id, "state": "COMPLETED"})]
        assert told_of(cloud, run) == ["dag.started"], "the end is announced by its last step"
        assert supervise.close_run(cloud.ports, watch).state is RunState.COMPLETED
        assert told_of(cloud, run) == ["dag.started", "dag.completed"]
        assert cloud.ports.dags.watched(None, 10) == []

    def test_who_comes_to_wait_after_the_end_is_told_at_once(self, cloud: Home, desk: Desk) -> None:
        run = submitted(cloud, node("a"))
        quiet(cloud, work=work)
        assert (desk.told, told_of(cloud, run)) == ([], ["dag.started", "dag.completed"])
        supervise.await_end(cloud.ports, Watch("main", run.id, 0), "t-1")
        assert [token for token, _ in desk.told] == ["t-1"]

    def test_a_token_that_nobody_waits_with_is_no_reason_not_to_end(self, cloud: Home, desk: Desk) -> None:
        run = submitted(cloud, node("a"))
        supervise.await_end(cloud.ports, Watch("main", run.id, 0), "stale")
        quiet(cloud, work=work)
        assert told_of(cloud, run) == ["dag.started", "dag.completed"]

    def test_the_first_hundred_roots_start_at_once_and_the_supervisor_releases_the_rest(self, cloud: Home) -> None:
        run = submitted(cloud, *(node(f"n{number}") for number in range(130)))
        blocked = [job for job in get_run(cloud.ports, ADMIN, run.id).jobs if job.blocked]
        assert len(blocked) == 30
        supervise.take_up(cloud.ports, Watch("main", run.id, 0))
        quiet(cloud, work=work)
        assert state_of(cloud, run)[0] is RunState.COMPLETED

    def test_without_step_functions_everything_starts_and_the_clock_finds_a_supervisor_later(
        self, cloud: Home, desk: Desk
    ) -> None:
        desk.away = True
        run = submitted(cloud, *(node(f"n{number}") for number in range(130)))
        assert not any(job.blocked for job in get_run(cloud.ports, ADMIN, run.id).jobs)
        desk.away = False
        for _ in range(10):
            cloud.clock.advance(60)
            supervise.check_runs(cloud.ports)
        assert desk.started == [supervisor_name(run)]

    def test_a_process_that_died_before_it_told_is_made_up_for_by_the_clock(self, cloud: Home, desk: Desk) -> None:
        run = submitted(cloud, node("a"))
        desk.waiting = {"t-1"}
        supervise.await_end(cloud.ports, Watch("main", run.id, 0), "t-1")
        desk.away = True
        cloud.drain(cloud.runner(work=work))
        with pytest.raises(Unavailable):
            cloud.pump()
        desk.away = False
        assert get_run(cloud.ports, ADMIN, run.id).run.state is RunState.ACTIVE, "the batch is taken back as a whole"
        cloud.pump()
        assert [token for token, _ in desk.told] == ["t-1"]
        cloud.clock.advance(61)
        for _ in range(10):
            supervise.check_runs(cloud.ports)
            cloud.clock.advance(60)
        assert [token for token, _ in desk.told] == ["t-1", "t-1"], "it did not take its last step, so it is told again"
        supervise.close_run(cloud.ports, Watch("main", run.id, 0))
        assert cloud.ports.dags.watched(None, 10) == []

    def test_its_deadlines_are_kept_by_the_supervisor(self, cloud: Home) -> None:
        now = cloud.clock.now()
        run = submitted(cloud, node("a"), soft_sla=now + 10_500, hard_sla=now + 60_000)
        watch = Watch("main", run.id, 0)
        assert supervise.take_up(cloud.ports, watch) == 11
        cloud.clock.advance(11)
        assert supervise.keep_time(cloud.ports, watch) == 49
        assert told_of(cloud, run) == ["dag.started", "dag.late"]
        cloud.clock.advance(48)
        assert supervise.keep_time(cloud.ports, watch) == 1, "it woke too early"
        cloud.clock.advance(1)
        supervise.keep_time(cloud.ports, watch)
        assert state_of(cloud, run) == (RunState.EXPIRED, {"a": "CANCELLED"})

    def test_stopping_the_supervisor_stops_the_run(self, cloud: Home) -> None:
        run = submitted(cloud, node("a"), node("clean", "a", cleanup=True))
        assert supervise.stop_with_supervisor(cloud.ports, Watch("main", run.id, 0))
        quiet(cloud, work=work)
        assert state_of(cloud, run) == (RunState.CANCELLED, {"a": "CANCELLED", "clean": "COMPLETED"})
        assert not supervise.stop_with_supervisor(cloud.ports, Watch("main", run.id, 0))

    def test_the_supervisor_of_a_former_life_changes_nothing(self, cloud: Home, desk: Desk) -> None:
        run = submitted(cloud, node("a"))
        cancel_run(cloud.ports, ADMIN, run.id)
        again = resume_run(cloud.ports, ADMIN, run.id)
        assert desk.started == [supervisor_name(run), supervisor_name(again)]
        former = Watch("main", run.id, 0)
        assert not supervise.stop_with_supervisor(cloud.ports, former)
        supervise.await_end(cloud.ports, former, "old")
        supervise.close_run(cloud.ports, former)
        supervise.keep_time(cloud.ports, former)
        current = get_run(cloud.ports, ADMIN, run.id).run
        assert (current.state, current.supervisor_token) == (RunState.ACTIVE, None)
        assert [token for token, _ in desk.told] == ["old"]
        assert len(cloud.ports.dags.watched(None, 10)) == 1

    def test_a_supervisor_of_a_run_that_is_not_there_is_told_so(self, cloud: Home) -> None:
        with pytest.raises(NotFound):
            supervise.take_up(cloud.ports, Watch("main", cloud.ports.new_id(), 0))


def test_names_of_supervisors_differ_between_lives_and_tenants_and_fit_step_functions(home: Home) -> None:
    run = submitted(home, node("a"))
    names = {supervisor_name(each) for each in (run, replace(run, resumed=1), replace(run, tenant="t" * 64))}
    assert len(names) == 3
    assert all(len(name) <= 80 and name.replace("-", "").isalnum() for name in names)


def test_figures_that_came_in_the_wrong_order_do_not_end_a_run(home: Home) -> None:
    """Of a resumed run: what counts its jobs as open again may come after what counts one of them as ended."""
    run = submitted(home, node("a"), node("b"))

    class Early:
        def read(self, *_: Any) -> Mapping[str, int]:
            return {"COMPLETED": 1, "FAILED": 1}

    home.serve_one(home.runner(work=work))
    home.with_ports(figures=replace_reading(home.ports.figures, Early())).changes()
    assert state_of(home, run)[0] is RunState.ACTIVE


def replace_reading(real: Any, reading: Any) -> Any:
    """A port that reads elsewhere."""

    class Both:
        add_once = staticmethod(real.add_once)
        between = staticmethod(real.between)
        read = staticmethod(reading.read)

    return Both()


def test_every_open_run_has_its_turn_however_many_there_are(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [submitted(home, node("a")) for _ in range(60)]
    looked: list[str] = []
    monkeypatch.setattr(Engine, "check", lambda _, run: looked.append(run.id))
    home.clock.advance(180)
    for _ in range(10):
        supervise.check_runs(home.ports, limit=100)
        home.clock.advance(60)
    assert sorted(looked) == sorted(run.id for run in runs)
    looked.clear()
    for _ in range(100):
        supervise.check_runs(home.ports, limit=2)
        home.clock.advance(60)
    assert set(looked) == {run.id for run in runs}, "nobody is left out when there is too little time"


def test_a_resumption_that_was_cut_off_is_completed_by_the_next(home: Home) -> None:
    """It died after its jobs waited again, before the run was opened."""

    def fail(job: JobContext) -> None:
        raise ValueError("no")

    run = submitted(home, node("a", name="fail"), node("b", "a"))
    quiet(home, fail=fail)
    cut = home.with_ports(dags=Refusing(home.ports.dags))
    with pytest.raises(Unavailable):
        resume_run(cut.ports, ADMIN, run.id)
    assert home.job(node_job_id(run.id, "a")).blocked
    resume_run(home.ports, ADMIN, run.id)
    quiet(home, fail=work, work=work)
    assert state_of(home, run)[0] is RunState.COMPLETED


class Refusing:
    """`Dags` out of reach for writes."""

    def __init__(self, real: Any) -> None:
        self.get = real.get

    def put_if_unchanged(self, *_: Any) -> bool:
        raise Unavailable("gone")
