"""Runs of DAGs, on both homes: stored once, changed by who saw them last, listed newest first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from home import ADMIN
from home import Home as Services
from support.clock import START_MS
from support.homes import Home
from tidegate.domain.change import Change
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, NodeSpec
from tidegate.domain.errors import InvalidInput
from tidegate.ports import JobKey, Watched
from tidegate.runtime import App
from tidegate.service.release import release_after
from tidegate.service.runs import get_run, submit_dag
from tidegate.settings import Settings


def make_run(dag_id: str, **fields: object) -> Run:
    made = Run(
        id=dag_id,
        tenant="acme",
        owner="ada",
        name="d",
        state=RunState.ACTIVE,
        failure_policy=FailurePolicy.CONTINUE,
        graph_ref="acme/graph",
        total=3,
        created_at=START_MS,
        updated_at=START_MS,
        tags=("a", "b"),
        waiters=("0197f2a4-0000-7000-8000-000000000000",),
        metadata={"k": "v"},
    )
    return replace(made, **fields)  # type: ignore[arg-type]


def test_a_run_is_stored_once(home: Home) -> None:
    run = make_run(home.clock.new_id())
    assert home.ports.dags.create_if_absent(run) is None
    assert home.ports.dags.create_if_absent(replace(run, name="other")) == run
    assert home.ports.dags.get("acme", run.id) == run
    assert home.ports.dags.get("other", run.id) is None


def test_a_run_is_changed_by_who_saw_it_as_it_is(home: Home) -> None:
    run = make_run(home.clock.new_id())
    home.ports.dags.create_if_absent(run)
    stopping = replace(run, stopping=RunState.CANCELLED, reason="enough")
    assert home.ports.dags.put_if_unchanged(stopping, run)
    assert not home.ports.dags.put_if_unchanged(replace(run, name="late"), run)
    assert home.ports.dags.get("acme", run.id) == stopping


def test_the_first_id_kept_under_a_key_stays(home: Home) -> None:
    dags, first, second = home.ports.dags, home.clock.new_id(), home.clock.new_id()
    assert dags.id_under("acme", "k") is None
    assert dags.keep_under("acme", "k", first) == first
    assert dags.keep_under("acme", "k", first) == first
    assert dags.keep_under("acme", "k", second) == first
    assert dags.keep_under("other", "k", second) == second
    assert dags.id_under("acme", "k") == first


def test_a_run_is_watched_until_it_has_ended_and_was_let_go(home: Home) -> None:
    first, second = (make_run(home.clock.new_id(), tenant=tenant) for tenant in ("acme", "other"))
    for run in (first, second):
        home.ports.dags.create_if_absent(run)
    both = [Watched(run.tenant, run.id) for run in (first, second)]
    assert home.ports.dags.watched(None, 10) == both
    assert home.ports.dags.watched(None, 1) == both[:1]
    assert home.ports.dags.watched(both[0], 10) == both[1:]
    ended = replace(first, state=RunState.COMPLETED, completed_at=START_MS)
    assert home.ports.dags.put_if_unchanged(ended, first)
    assert home.ports.dags.watched(None, 10) == both
    home.ports.dags.let_go(both[0], 0)
    assert home.ports.dags.watched(None, 10) == both[1:]


def test_a_run_that_was_resumed_is_not_let_go_by_who_saw_it_end_before(home: Home) -> None:
    run = make_run(home.clock.new_id(), state=RunState.FAILED)
    home.ports.dags.create_if_absent(run)
    watched = Watched(run.tenant, run.id)
    home.ports.dags.let_go(watched, 0)
    resumed = replace(run, state=RunState.ACTIVE, resumed=1)
    assert home.ports.dags.put_if_unchanged(resumed, run)
    home.ports.dags.let_go(watched, 0)
    assert home.ports.dags.watched(None, 10) == [watched]
    home.ports.dags.let_go(watched, 1)
    assert home.ports.dags.watched(None, 10) == []


def test_runs_are_due_at_their_next_deadline(home: Home) -> None:
    run = make_run(home.clock.new_id(), soft_sla=START_MS + 10, hard_sla=START_MS + 20)
    for each in (run, make_run(home.clock.new_id())):
        home.ports.dags.create_if_absent(each)
    assert home.ports.dags.due(START_MS + 9, 10) == []
    assert home.ports.dags.due(START_MS + 10, 10) == [Watched(run.tenant, run.id, START_MS + 10)]
    warned = replace(run, warned_at=START_MS + 11)
    assert home.ports.dags.put_if_unchanged(warned, run)
    assert home.ports.dags.due(START_MS + 19, 10) == []
    assert home.ports.dags.due(START_MS + 20, 10) == [Watched(run.tenant, run.id, START_MS + 20)]
    assert home.ports.dags.put_if_unchanged(replace(warned, stopping=RunState.EXPIRED), warned)
    assert home.ports.dags.due(START_MS + 99, 10) == []


def test_runs_are_listed_newest_first_in_pages(home: Home) -> None:
    made = [make_run(home.clock.new_id(), state=state) for state in (RunState.ACTIVE, RunState.FAILED, RunState.ACTIVE)]
    for run in made:
        home.ports.dags.create_if_absent(run)
    first = home.ports.dags.page("acme", frozenset(), 2, None)
    rest = home.ports.dags.page("acme", frozenset(), 2, first.next_cursor)
    assert [run.id for run in (*first.runs, *rest.runs)] == [run.id for run in reversed(made)]
    assert rest.next_cursor is None
    failed = home.ports.dags.page("acme", frozenset({RunState.FAILED}), 10, None)
    assert [run.id for run in failed.runs] == [made[1].id]
    with pytest.raises(InvalidInput, match="cursor"):
        home.ports.dags.page("acme", frozenset(), 10, "x")


def test_a_diamond_runs_to_its_end(home: Home) -> None:
    """The services over the ports of either home, the change feed told by hand."""
    services = Services(App(home.ports, Settings(pools={name: {} for name in home.ports.pools})), home.clock)
    nodes = tuple(
        NodeSpec(id=node, job={"name": "work"}, depends_on=parents)
        for node, parents in (("a", ()), ("b", ("a",)), ("c", ("a",)), ("d", ("b", "c")))
    )
    run = submit_dag(home.ports, ADMIN, DagSpec(name="d", nodes=nodes), {})[0].run
    order: list[str] = []
    runner = services.runner(work=lambda job: order.append(job.id))
    seen: set[str] = set()
    while services.drain(runner):
        jobs = get_run(home.ports, ADMIN, run.id).jobs
        done = [job for job in jobs if job.state == "COMPLETED" and job.id not in seen]
        seen |= {job.id for job in done}
        release_after(
            home.ports,
            [
                Change(tenant="main", job_id=job.id, old_state=None, state=job.state, dag_id=run.id, node=job.node)
                for job in done
            ],
        )
    (first,) = home.ports.jobs.get([JobKey("main", order[0])])
    assert first is not None
    assert first.node == "a"
    assert len(order) == len(set(order)) == 4
