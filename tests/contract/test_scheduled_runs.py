"""Schedules whose times have runs of a DAG, in both homes: one run a time, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from home import ADMIN, Home
from support.clock import START_MS, Clock
from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.change import Change
from tidegate.domain.dag.branches import parse_switch, routed
from tidegate.domain.dag.conditions import parse_condition
from tidegate.domain.dag.run import CHOOSE, COLLECT, Run, RunState
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.errors import InvalidInput, NotFound, Unavailable
from tidegate.domain.job import Job, State
from tidegate.domain.queue import Queue
from tidegate.domain.schedule import JobTemplate, Misfire, Overlap, Schedule, run_id
from tidegate.domain.targets import DagTemplate, ScheduledRun
from tidegate.ports import Ports, ScheduleKey
from tidegate.service import schedules as service
from tidegate.service.fire_schedules import fire_schedules
from tidegate.service.release import Engine, release_after
from tidegate.service.runs import get_run, list_runs

CHAIN = (NodeSpec(id="a", job={"name": "work"}), NodeSpec(id="b", job={"name": "work"}, depends_on=("a",)))


@pytest.fixture
def either(either: Home) -> Home:
    """Either home with the clock of the embedded one: a tick a second."""
    return either.with_ports(clock_seconds=1.0)


def template(nodes: Sequence[NodeSpec] = CHAIN, conditions: Any = None, **beside: Any) -> DagTemplate:
    given = {name: beside.pop(name) for name in ("tags", "metadata", "failure_policy") if name in beside}
    return DagTemplate.of(ScheduledRun(DagSpec(name="etl", nodes=tuple(nodes), **given), conditions or {}), **beside)


def create(home: Home, name: str = "s", expression: str = "every 10s", **fields: Any) -> Schedule:
    dag = fields.pop("dag", template())
    return service.create_schedule(home.ports, ADMIN, name=name, expression=expression, dag=dag, **fields)[0]


def stored(home: Home, name: str = "s") -> Schedule:
    (found,) = home.ports.schedules.get([ScheduleKey("main", name)])
    assert found is not None
    return found


def runs(home: Home) -> list[Run]:
    """All runs, the oldest first."""
    found, cursor = list_runs(home.ports, ADMIN, frozenset(), 200, None)
    assert cursor is None
    return [view.run for view in reversed(found)]


def pass_time(home: Home, seconds: int) -> None:
    for _ in range(seconds):
        home.clock.advance(1)
        home.tick(1)


def work_off(home: Home) -> list[Job]:
    """Run all that may run, node after node; answers the jobs in the order in which they ended."""
    ended: list[Job] = []
    runner = home.runner(work=lambda _: "done")
    for _ in range(10):
        home.drain(runner)
        fresh = [
            job for run in runs(home) for job in get_run(home.ports, ADMIN, run.id).jobs
            if job.state is State.COMPLETED and job.id not in {each.id for each in ended}
        ]  # fmt: skip
        if not fresh:
            return ended
        ended += fresh
        release_after(
            home.ports,
            [
                Change(
                    tenant="main", job_id=job.id, old_state=State.ACTIVE, state=job.state, dag_id=job.dag_id,
                    node=job.node,
                )
                for job in fresh
            ],
        )  # fmt: skip
        for run in runs(home):
            home_engine_closes(home, run)
    raise AssertionError("it does not come to an end")


def home_engine_closes(home: Home, run: Run) -> None:
    """What the change feed's figures would have caused."""
    Engine(home.ports).close_if_done(run, whatever_is_counted=True)


def test_each_time_has_one_run_whose_first_jobs_start_at_its_second(either: Home) -> None:
    schedule = create(either, dag=template(tags=("t",), metadata={"team": "docs"}, hard_sla_seconds=60.0))
    pass_time(either, 9)
    assert work_off(either) == []
    pass_time(either, 1)
    (run,) = runs(either)
    assert run.id == run_id(schedule.id, START_MS + 10_000)
    assert (run.name, run.tags, run.hard_sla) == ("etl", ("t", "schedule:s"), START_MS + 70_000)
    assert run.metadata == {
        "team": "docs", "schedule": "s", "schedule_id": schedule.id, "scheduled_for": "2033-05-18T03:33:30Z",
    }  # fmt: skip
    jobs = work_off(either)
    assert [job.node for job in jobs] == ["a", "b"]
    assert all(job.started_at == START_MS + 10_000 for job in jobs)
    assert runs(either)[0].state is RunState.COMPLETED
    pass_time(either, 20)
    assert len(runs(either)) == stored(either).fired == 3
    assert stored(either).last_job_id == run_id(schedule.id, START_MS + 30_000)


def test_the_clock_of_the_cloud_makes_them_a_minute_ahead_and_they_wait(either: Home) -> None:
    minutely = either.with_ports(clock_seconds=60.0)
    create(minutely, expression="every 20s")
    assert len(runs(minutely)) == 3
    assert work_off(minutely) == []
    either.clock.advance(20)
    assert [job.dag_id for job in work_off(minutely)] == [runs(minutely)[0].id] * 2


def test_doubled_ticks_and_changed_nodes_make_no_time_twice(either: Home) -> None:
    create(either)
    either.clock.advance(10)
    before = stored(either)
    assert fire_schedules(either.ports, either.clock.now()) == [runs(either)[0].id]
    other = replace(before, version=stored(either).version + 1, dag=template(CHAIN[:1]))
    assert either.ports.schedules.replace_if_unchanged([(other, stored(either))])[0]
    assert fire_schedules(either.ports, either.clock.now()) == []
    assert [run.total for run in runs(either)] == [2]
    assert stored(either).fired == 1


def test_a_run_before_that_goes_on_is_an_overlap_although_its_first_jobs_have_ended(either: Home) -> None:
    for overlap in Overlap:
        create(either, overlap.value.replace("_", "-"), overlap=overlap)
    pass_time(either, 10)
    either.drain(either.runner(work=lambda _: None))  # the first nodes; the second ones are not released yet
    pass_time(either, 10)
    states = {name: [run.state for run in of_schedule(either, name)] for name in ("allow", "skip", "queue-one")}
    assert states == {"allow": [RunState.ACTIVE] * 2, "skip": [RunState.ACTIVE], "queue-one": [RunState.ACTIVE]}
    first, second = of_schedule(either, "cancel-running")
    assert first.stopping is RunState.CANCELLED or first.state is RunState.CANCELLED
    assert (first.reason, second.state) == ("replaced by the next run of its schedule", RunState.ACTIVE)
    assert [each.fate for each in stored(either, "skip").recent] == ["fired", "overlapped"]
    work_off(either)
    pass_time(either, 1)
    assert len(of_schedule(either, "queue-one")) == 2
    assert len(of_schedule(either, "skip")) == 1


def of_schedule(home: Home, name: str) -> list[Run]:
    return [run for run in runs(home) if run.metadata["schedule"] == name]


def test_missed_times_have_runs_as_the_policy_says(either: Home) -> None:
    for misfire in Misfire:
        create(either, misfire.value.replace("_", "-"), expression="every 10m", misfire=misfire)
    either.clock.advance(3_600 + 300)
    either.tick(1)
    made = {name: len(of_schedule(either, name)) for name in ("skip", "run-once", "run-all")}
    assert made == {"skip": 0, "run-once": 1, "run-all": 6}


def test_a_backfill_makes_the_run_of_each_past_time_and_passes_over_those_there_are(either: Home) -> None:
    schedule = create(either, expression="every 1m", starts_at=START_MS - 600_000)
    _, count = service.backfill_schedule(either.ports, ADMIN, "s", START_MS - 600_000, START_MS - 1, 1000)
    pass_time(either, 2)
    assert count == 10
    past = {run_id(schedule.id, START_MS - 60_000 * back) for back in range(1, 11)}
    assert {run.id for run in runs(either)} >= past
    before = len(runs(either))
    service.backfill_schedule(either.ports, ADMIN, "s", START_MS - 600_000, START_MS - 1, 1000)
    pass_time(either, 2)
    assert len(runs(either)) == before
    assert {job.dag_id for job in work_off(either)} >= past


def test_a_trigger_makes_one_run_under_the_id_that_was_asked_for(either: Home) -> None:
    create(either, enabled=False)
    wanted = either.clock.new_id()
    made = [service.trigger_schedule(either.ports, ADMIN, "s", wanted) for _ in range(2)]
    assert [each.id for each in made] == [wanted] * 2
    assert [run.id for run in runs(either)] == [wanted]
    assert "scheduled_for" not in runs(either)[0].metadata
    with pytest.raises(InvalidInput, match="UUIDv7"):
        service.trigger_schedule(either.ports, ADMIN, "s", "mine")


def test_history_tells_the_runs(either: Home) -> None:
    create(either)
    pass_time(either, 20)
    work_off(either)
    told = service.history(either.ports, stored(either))
    assert [(each.firing.fate, each.made.state) for each in told if each.made] == [("fired", RunState.COMPLETED)] * 2


def test_everything_that_a_node_may_say_is_kept(either: Home) -> None:
    when = {"path": "$.a.result.sure", "op": "==", "value": True}
    switch = {"on": "$.a.result.label", "cases": {"x": ["d"]}, "default": []}
    nodes = routed([
        NodeSpec(id="a", job={"name": "work", "data": {"x": [1]}, "tags": ("t",), "retry_limit": 0, "priority": 0}),
        NodeSpec(id="b", job={"name": "work"}, depends_on=("a",), when=parse_condition(when)),
        NodeSpec(
            id="c", job={"name": CHOOSE, "data": {"switch": switch}}, depends_on=("a",), choice=parse_switch(switch)
        ),
        NodeSpec(id="d", job={"name": "work", "soft_sla_seconds": 5.0}, depends_on=("a",), for_each=("a", "result")),
        NodeSpec(id="e", job={"name": "work"}, depends_on=("a", "b"), join=Join.N_OF, join_count=1, cleanup=True),
        NodeSpec(id="f", job={"name": COLLECT}, place="nodes.5", built_in=True, depends_on=("a",)),
    ])  # fmt: skip
    said = {each.name for node in nodes for each in fields(NodeSpec) if getattr(node, each.name) != each.default}
    assert said == {each.name for each in fields(NodeSpec)}
    dag = template(nodes, {"b": when}, failure_policy=FailurePolicy.CONTINUE, soft_sla_seconds=1.5)
    create(either, dag=dag, enabled=False)
    again = stored(either).dag
    assert again == dag
    run = again.run()
    assert run.conditions == {"b": when}
    for asked, told in zip(nodes, run.spec.nodes, strict=True):
        assert replace(told, job=asked.job) == asked
        assert told.job is not None
        assert {name: value for name, value in told.job.items() if value != ()} == asked.job
    service.trigger_schedule(either.ports, ADMIN, "s")
    assert runs(either)[0].failure_policy is FailurePolicy.CONTINUE


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"dag": template([NodeSpec(id="a", job={"name": "work", "queue": "none"})])}, "dag.nodes.0.queue"),
        ({"dag": template([NodeSpec(id="a", job={"name": "tidegate.webhook"})])}, "dag.nodes.0.name"),
        ({"dag": None}, "dag"),
        ({"job": JobTemplate(name="work")}, "dag"),
    ],
)
def test_what_no_run_could_be_made_of_is_refused(either: Home, fields: dict[str, Any], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        create(either, **fields)
    assert place in [each["field"] for each in caught.value.details["errors"]]
    assert either.ports.schedules.list("main", "", 10) == []


@pytest.mark.parametrize(
    ("make", "place"),
    [
        (lambda: template([NodeSpec(id="a", job={"name": "w", "start_after": 1})]), "dag.nodes.0.start_after"),
        (lambda: template([NodeSpec(id="a", job={"name": "w", "data": "x" * 65_536})]), "dag.nodes"),
        (lambda: template(soft_sla_seconds=2.0, hard_sla_seconds=1.0), "dag.hard_sla_seconds"),
        (lambda: template(soft_sla_seconds=0.0), "dag.soft_sla_seconds"),
        (lambda: template(metadata={str(n): "" for n in range(99)}), "dag.metadata"),
    ],
)
def test_a_template_checks_itself(make: Callable[[], DagTemplate], place: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        make()
    assert place == caught.value.details["errors"][0]["field"]


def test_a_run_that_is_refused_when_its_time_comes_is_told(either: Home) -> None:
    queue = Queue(tenant="main", name="gone")
    either.ports.queues.put_if_unchanged(queue, None)
    create(either, dag=template([NodeSpec(id="a", job={"name": "work", "queue": "gone"})]))

    class NoQueues:
        def get(self, tenant: str, name: str) -> None:
            return None

    either.clock.advance(10)
    either.with_ports(queues=NoQueues()).tick(1)
    assert "gone" in str(stored(either).last_error)
    assert [each.fate for each in stored(either).recent] == ["refused"]


class Dies:
    """Ports whose call number `at` fails, having taken effect or not."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.calls, self._at, self._after = 0, at, after

    def around(self, ports: Ports) -> Ports:
        names = ("jobs", "tickets", "schedules", "dags", "blobs", "events", "supervisors")
        return replace(ports, **{name: self._around(getattr(ports, name)) for name in names if hasattr(ports, name)})

    def _around(self, real: Any) -> Any:
        outer = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                method = getattr(real, name)

                def call(*args: Any, **named: Any) -> Any:
                    outer.calls += 1
                    dies = outer.calls == outer._at
                    if dies and not outer._after:
                        raise Unavailable
                    answer = method(*args, **named)
                    if dies:
                        raise Unavailable
                    return answer

                return call

        return Wrapped()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Home]:
    clock = Clock()
    home = Home(runtime.embedded(tmp_path, now=clock.now, new_id=clock.new_id), clock)
    yield home
    home.close()


def test_a_crash_at_every_call_makes_each_run_once_and_whole(sqlite: Home) -> None:
    number, points = 0, 0
    while True:
        number += 1
        for after in (False, True):
            name, dies = f"s{number}-{after}", Dies(number, after=after)
            create(sqlite, name, expression="every 1h")
            sqlite.clock.advance(3_600)
            with suppress(Unavailable):
                fire_schedules(dies.around(sqlite.ports), sqlite.clock.now())
            fire_schedules(sqlite.ports, sqlite.clock.now())
            (run,) = of_schedule(sqlite, name)
            assert run.state is RunState.ACTIVE, (number, after)
            assert [job.node for job in get_run(sqlite.ports, ADMIN, run.id).jobs] == ["a", "b"]
            assert (stored(sqlite, name).fired, stored(sqlite, name).releasing) == (1, ())
            service.delete_schedule(sqlite.ports, ADMIN, name)
            points += 1
        if dies.calls < number:
            break
    assert points > 20


def test_whoever_may_not_see_a_schedule_does_not_trigger_its_run(either: Home) -> None:
    create(either)
    with pytest.raises(NotFound):
        service.trigger_schedule(either.ports, Caller("main", "bob", frozenset({"submit"})), "s")
    assert runs(either) == []
