"""How long a run is kept, on both homes: it and all of its jobs, together, counted from its own end."""

from __future__ import annotations

from dataclasses import replace

import pytest

from home import ADMIN
from home import Home as Services
from support.homes import Home
from tidegate.domain.dag.run import Run, RunState, item_node, node_job_id
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, NodeSpec, outside
from tidegate.domain.errors import NotFound, WrongState
from tidegate.domain.queue import Queue
from tidegate.execution.context import JobContext, PermanentError
from tidegate.ports import Addition, JobKey
from tidegate.runtime import App
from tidegate.service.maintenance import Action, Selection, maintain
from tidegate.service.record_changes import run_series
from tidegate.service.release import Engine
from tidegate.service.retention import retire
from tidegate.service.runs import get_run, list_runs, resume_run, submit_dag
from tidegate.settings import Settings

DAY = 86_400
WEEK = 7 * DAY
EVERYTHING = Selection(all=True)


class Runs:
    """Runs of a home whose change feed does nothing by itself."""

    def __init__(self, home: Home) -> None:
        self.ports, self.clock = home.ports, home.clock
        self.services = Services(App(home.ports, Settings(pools={name: {} for name in home.ports.pools})), home.clock)
        self.engine = Engine(home.ports)
        self.failing = {"bad"}

    def submit(self, *nodes: NodeSpec, key: str | None = None) -> Run:
        spec = DagSpec(name="d", nodes=nodes, failure_policy=FailurePolicy.CONTINUE, idempotency_key=key)
        return submit_dag(self.ports, ADMIN, spec, {})[0].run

    def work(self, run: Run) -> Run:
        """Let workers and clock do all that can be done."""
        while self.services.drain(self.services.runner(work=self._work, bad=self._work)):
            self.engine.check(self.run(run))
        return self.run(run)

    def run(self, run: Run) -> Run:
        found = self.ports.dags.get(run.tenant, run.id)
        assert found is not None
        return found

    def there(self, run: Run, *nodes: str) -> list[str]:
        keys = [JobKey(run.tenant, node_job_id(run.id, node)) for node in nodes]
        return [node for node, job in zip(nodes, self.ports.jobs.get(keys), strict=True) if job is not None]

    def retire(self) -> int:
        """What the clock deletes until there is nothing left to delete."""
        return sum(iter(lambda: retire(self.ports, self.clock.now()), 0))

    def _work(self, job: JobContext) -> list[int]:
        if job.name in self.failing:
            raise PermanentError("broken")
        return [1, 2]


@pytest.fixture
def runs(home: Home) -> Runs:
    return Runs(home)


def node(name: str, *parents: str, executor: str = "work", **fields: object) -> NodeSpec:
    return NodeSpec(id=name, job={"name": executor, "retry_limit": 0, **fields}, depends_on=parents)


def test_jobs_of_an_open_run_outlive_what_their_queue_says(runs: Runs) -> None:
    """The second job waits for a month, and finds what the first came to; retention and purge leave both alone."""
    later = runs.clock.now() + 30 * DAY * 1000
    run = runs.work(runs.submit(node("a"), node("b", "a", start_after=later)))
    runs.clock.advance(29 * DAY)
    assert runs.retire() == 0
    for action in (Action.PURGE, Action.ARCHIVE):
        done = maintain(runs.ports, ADMIN, action, EVERYTHING, confirm=True)
        assert (done.matched, done.done) == (0, 0)
    assert runs.there(run, "a", "b") == ["a", "b"]
    runs.clock.advance(2 * DAY)
    runs.services.tick(60)
    assert runs.work(run).state is RunState.COMPLETED
    runs.clock.advance(WEEK - 1)
    assert runs.retire() == 0
    assert runs.there(run, "a", "b") == ["a", "b"]


def test_a_run_goes_with_all_that_is_kept_about_it(runs: Runs) -> None:
    """Its jobs, those of entries, its graph, its figures and the key under which it was asked for."""
    fan = replace(node("each", "a"), for_each=("a", "result"))
    run, others = runs.submit(node("a"), fan, key="k"), runs.submit(node("a"))
    for each in (run, others):
        runs.ports.figures.add_once(each.id, [Addition(each.tenant, run_series(each.id), {"COMPLETED": 1})])
    run = runs.work(run)
    assert run.state is RunState.COMPLETED
    assert runs.ports.dags.id_under(run.tenant, run.key or "") == run.id
    runs.clock.advance(WEEK + 1)
    with pytest.raises(NotFound):
        get_run(runs.ports, ADMIN, run.id)
    assert [view.run.id for view in list_runs(runs.ports, ADMIN, frozenset(), 10, None)[0]] == [others.id]
    runs.clock.advance(60)
    assert runs.retire() == 4
    assert runs.there(run, "a", "each", item_node("each", 0), item_node("each", 1)) == []
    assert runs.ports.dags.get(run.tenant, run.id) is None
    assert runs.ports.dags.id_under(run.tenant, run.key or "") is None
    assert runs.ports.figures.read(run.tenant, run_series(run.id)) == {}
    assert runs.ports.dags.outlived(runs.clock.now(), 10) == []
    with pytest.raises(NotFound):
        runs.ports.blobs.get(run.graph_ref)
    assert runs.there(others, "a") == ["a"]
    assert runs.ports.figures.read(others.tenant, run_series(others.id))


def test_the_longest_that_a_node_asks_for_holds_for_the_whole_run(runs: Runs) -> None:
    runs.ports.queues.put_if_unchanged(Queue(tenant="main", name="brief", keep_seconds=60), None)
    until = runs.clock.now() + 9 * DAY * 1000
    brief = runs.work(runs.submit(node("a", queue="brief")))
    long = runs.work(runs.submit(node("a", queue="brief"), node("b", keep_until=until)))
    runs.clock.advance(121)
    assert runs.retire() == 1
    assert runs.there(brief, "a") == []
    runs.clock.advance(9 * DAY - 300)
    assert runs.retire() == 0
    assert runs.there(long, "a", "b") == ["a", "b"]
    runs.clock.advance(300)
    assert runs.retire() == 2


def test_a_resumed_run_is_kept_until_it_has_ended_again(runs: Runs) -> None:
    run = runs.work(runs.submit(node("a"), node("b", "a", executor="bad")))
    assert run.state is RunState.FAILED
    runs.clock.advance(WEEK - DAY)
    resume_run(runs.ports, ADMIN, run.id)
    runs.clock.advance(WEEK)
    assert runs.retire() == 0
    runs.failing.clear()
    assert runs.work(run).state is RunState.COMPLETED
    runs.clock.advance(WEEK + 61)
    assert runs.retire() == 2
    assert runs.ports.dags.get(run.tenant, run.id) is None


def test_a_run_is_kept_while_another_waits_for_one_of_its_nodes(runs: Runs) -> None:
    first = runs.work(runs.submit(node("a")))
    later = runs.clock.now() + 30 * DAY * 1000
    other = f"{first.id}:a"
    assert outside(other)
    second = runs.submit(node("b", start_after=later), node("c", "b", other))
    for _ in range(3):
        runs.clock.advance(WEEK + 61)
        assert runs.retire() == 0
    assert runs.there(first, "a") == ["a"]
    runs.clock.advance(WEEK + DAY * 3)
    runs.services.tick(60)
    assert runs.work(second).state is RunState.COMPLETED
    runs.clock.advance(DAY + 61)
    assert runs.retire() == 1


def test_a_run_some_of_whose_jobs_were_deleted_is_not_resumed(runs: Runs) -> None:
    run = runs.work(runs.submit(node("a"), node("b", "a", executor="bad")))
    assert maintain(runs.ports, ADMIN, Action.PURGE, Selection(name="work"), confirm=True).done == 1
    with pytest.raises(WrongState, match="1 of its jobs"):
        resume_run(runs.ports, ADMIN, run.id)
    assert runs.run(run) == run


def test_a_job_that_was_deleted_all_the_same_strands_nobody(runs: Runs) -> None:
    """Between a purge's look at an ended run and its deletion the run was resumed."""
    run = runs.work(runs.submit(node("a"), node("b", "a", executor="bad"), node("c", "b")))
    resume_run(runs.ports, ADMIN, run.id)
    assert runs.ports.jobs.erase_if_ended(JobKey(run.tenant, node_job_id(run.id, "a")))
    runs.failing.clear()
    ended = runs.work(run)
    assert ended.state is RunState.FAILED
