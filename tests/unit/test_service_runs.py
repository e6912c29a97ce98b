"""Runs of DAGs: every node once and in order, joins, conditions, failures, cancellation, resumption."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.caller import Caller
from tidegate.domain.dag.branches import choice_in, routed
from tidegate.domain.dag.conditions import parse_condition
from tidegate.domain.dag.run import CHOOSE, Run, RunState, node_job_id
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.errors import Conflict, InvalidInput, NotFound, Unavailable, WrongState
from tidegate.domain.job import Job, State
from tidegate.execution.context import JobContext, PermanentError
from tidegate.ports import JobKey, JobQuery
from tidegate.service.control import erase
from tidegate.service.costs import by_queue, costs
from tidegate.service.release import Engine
from tidegate.service.runs import cancel_run, get_run, next_job, resume_run, run_progress, submit_dag

IS_INVOICE = {"path": "$.a.result.label", "op": "==", "value": "invoice"}


def node(node_id: str, *parents: str, name: str = "work", **fields: Any) -> NodeSpec:
    job = {"name": name, "data": {"node": node_id}, "retry_limit": 0}
    return NodeSpec(id=node_id, job=job, depends_on=parents, **fields)


def chooser(node_id: str, *parents: str, data: dict[str, Any], **fields: Any) -> NodeSpec:
    job = {"name": CHOOSE, "data": data, "retry_limit": 0}
    return NodeSpec(id=node_id, job=job, depends_on=parents, choice=choice_in(data), **fields)


class Works:
    """Executors that remember in which order nodes ran."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.order: list[str] = []
        self.broken: set[str] = set()
        self.results: dict[str, Any] = {}

    def work(self, job: JobContext) -> Any:
        self.order.append(job.data["node"])
        if job.data["node"] in self.broken:
            raise PermanentError("broken")
        return self.results.get(job.data["node"])

    def run(self, *nodes: NodeSpec, conditions: dict[str, Any] | None = None, **fields: Any) -> Run:
        spec = DagSpec(name="d", nodes=nodes, **fields)
        return submit_dag(self.home.ports, ADMIN, spec, conditions or {})[0].run

    def quiet(self) -> None:
        """Let workers and change feed do all there is to do."""
        runner = self.home.runner(work=self.work)
        while self.home.drain(runner) + self.home.changes():
            continue

    def states(self, run: Run) -> dict[str, str]:
        return {job.node or "": job.state.value for job in get_run(self.home.ports, ADMIN, run.id).jobs}

    def state(self, run: Run) -> RunState:
        return get_run(self.home.ports, ADMIN, run.id).run.state


@pytest.fixture
def works(home: Home) -> Works:
    return Works(home)


def test_nodes_run_after_what_they_depend_on_each_once(works: Works) -> None:
    run = works.run(node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c"))
    assert works.states(run) == dict.fromkeys("abcd", "CREATED")
    works.quiet()
    assert works.order[0] == "a"
    assert works.order[-1] == "d"
    assert sorted(works.order) == ["a", "b", "c", "d"]
    assert works.state(run) is RunState.COMPLETED
    view = run_progress(works.home.ports, ADMIN, run.id)
    assert (view.progress.total_jobs, view.progress.completed, view.progress.progress_pct) == (4, 4, 100.0)


def test_progress_is_that_of_the_documents_query(works: Works) -> None:
    """Of 3 jobs one has ended: 33.3, to one decimal."""
    run = works.run(node("a"), node("b", "a"), node("c", "b"))
    runner = works.home.runner(work=works.work)
    works.home.serve_one(runner)
    works.home.changes()
    assert run_progress(works.home.ports, ADMIN, run.id).progress.progress_pct == 33.3


def test_a_blocked_job_is_not_started_by_any_ticket(works: Works) -> None:
    from tidegate.domain.ticket import ticket_for
    from tidegate.service.claim import Claimed, claim_for

    run = works.run(node("a"), node("b", "a"))
    blocked = works.home.job(node_job_id(run.id, "b"))
    claim = claim_for(works.home.ports, ticket_for(blocked), "w", 10, receives=1)
    assert not isinstance(claim, Claimed) or claim.job.node == "a"
    assert works.home.job(blocked.id).state is State.CREATED


def test_a_branch_not_taken_is_skipped_and_the_join_goes_on(works: Works) -> None:
    """classify → invoice or letter → merge."""
    letter = {**IS_INVOICE, "value": "letter"}
    conditions = {"invoice": IS_INVOICE, "letter": letter}
    works.results["a"] = {"label": "invoice"}
    run = works.run(
        node("a"),
        node("invoice", "a", when=parse_condition(IS_INVOICE)),
        node("letter", "a", when=parse_condition(letter)),
        node("deeper", "letter"),
        node("merge", "invoice", "deeper"),
        conditions=conditions,
    )
    works.quiet()
    assert works.order == ["a", "invoice", "merge"]
    assert works.states(run) == {
        "a": "COMPLETED", "invoice": "COMPLETED", "letter": "SKIPPED", "deeper": "SKIPPED", "merge": "COMPLETED",
    }  # fmt: skip
    assert works.state(run) is RunState.COMPLETED
    skipped = works.home.job(node_job_id(run.id, "letter"))
    assert skipped.reason == 'condition not met: $.a.result.label is "invoice"'
    assert works.home.job(node_job_id(run.id, "deeper")).reason == "upstream skipped: letter"


def test_a_switch_leads_to_the_nodes_of_a_value(works: Works) -> None:
    """split → classify → route → invoice or letter → merge; who is not taken is told by whom, and on what value."""
    data = {"switch": {"on": "$.classify.result.label", "cases": {"invoice": "invoice", "letter": "letter"}}}
    works.results["classify"] = {"label": "letter"}
    run = works.run(
        *routed(
            [
                node("classify"),
                chooser("route", "classify", data=data),
                node("invoice"),
                node("letter"),
                node("merge", "invoice", "letter"),
            ]
        )
    )
    works.quiet()
    assert works.order == ["classify", "letter", "merge"]
    assert works.state(run) is RunState.COMPLETED
    assert works.home.job(node_job_id(run.id, "route")).result == {
        "taken": ["letter"], "because": '$.classify.result.label is "letter"',
    }  # fmt: skip
    skipped = works.home.job(node_job_id(run.id, "invoice"))
    assert skipped.reason == 'not taken by route: $.classify.result.label is "letter"'
    assert not skipped.broken


@pytest.mark.parametrize(
    ("match", "score", "taken"),
    [("first", 9, ["high"]), ("all", 9, ["high", "some"]), ("first", 3, ["some"]), ("all", 0, ["none"])],
)
def test_a_branch_takes_the_first_case_or_all_or_the_default(
    works: Works, match: str, score: int, taken: list[str]
) -> None:
    path = "$.a.result.score"
    cases = [
        {"when": {"path": path, "op": ">", "value": 5}, "to": "high"},
        {"when": {"path": path, "op": ">", "value": 1}, "to": ["some"]},
    ]
    data = {"branch": {"cases": cases, "default": "none", "match": match}}
    works.results["a"] = {"score": score}
    works.run(*routed([node("a"), chooser("b", "a", data=data), node("high"), node("some"), node("none")]))
    works.quiet()
    assert works.order == ["a", *taken]


def test_who_may_be_chosen_waits_for_the_choice_whatever_its_join(works: Works) -> None:
    """With `any` another parent would let it start; that it was not taken is known only later."""
    data = {"switch": {"on": "$.a.result", "cases": {"yes": "x"}, "default": "y"}}
    works.results["a"] = "yes"
    nodes = [
        node("z"),
        node("a"),
        chooser("b", "a", data=data),
        node("x", "z", join=Join.ANY),
        node("y", "z", join=Join.ANY),
    ]
    run = works.run(*routed(nodes))
    runner = works.home.runner(work=works.work)
    works.home.serve_one(runner)
    works.home.changes()
    assert works.states(run)["z"] == "COMPLETED"
    assert works.states(run)["x"] == works.states(run)["y"] == "CREATED"
    works.quiet()
    assert (works.states(run)["x"], works.states(run)["y"]) == ("COMPLETED", "SKIPPED")


def test_what_a_choice_that_never_came_leads_to_is_skipped(works: Works) -> None:
    """A switch that was skipped itself chooses nothing; one that something failed before is passed over with it."""
    data = {"switch": {"on": "$.a.result", "cases": {"yes": "x"}}}
    unmet = {"path": "$.a.result", "op": "==", "value": "no"}
    switch = chooser("b", "a", data=data, when=parse_condition(unmet))
    run = works.run(*routed([node("a"), switch, node("z"), node("x", "z")]), conditions={"b": unmet})
    works.quiet()
    assert works.states(run)["x"] == "SKIPPED"
    assert works.home.job(node_job_id(run.id, "x")).reason == "not taken by b: it chose nothing"
    assert works.state(run) is RunState.COMPLETED


def test_a_node_waits_for_a_node_of_another_run(works: Works) -> None:
    """Released as soon as that has ended, with its result; the other run goes on."""
    works.results["a"] = {"label": "invoice"}
    first = works.run(node("a"), node("b", "a"), node("c", "b"))
    name = f"{first.id}:a"
    met = {"path": f"$['{name}'].result.label", "op": "==", "value": "invoice"}
    second = works.run(
        node("x"), node("y", name, when=parse_condition(met)), node("z", "x", "y"), conditions={"y": met}
    )
    runner = works.home.runner(work=works.work)
    while "a" not in works.order:
        works.home.serve_one(runner)
    assert works.states(second)["y"] == "CREATED"
    works.home.changes()
    assert not works.home.job(node_job_id(second.id, "y")).blocked
    works.quiet()
    assert works.order.index("a") < works.order.index("y") < works.order.index("z")
    assert works.state(first) is works.state(second) is RunState.COMPLETED
    later = works.run(node("late", f"{first.id}:c"))
    works.quiet()
    assert works.state(later) is RunState.COMPLETED


def test_what_waits_for_a_failed_node_of_another_run_fails_with_it(works: Works) -> None:
    works.broken = {"a"}
    first = works.run(node("a"))
    second = works.run(node("x"), node("y", f"{first.id}:a"), node("z", f"{first.id}:a", join=Join.ALL_DONE))
    works.quiet()
    assert works.states(second) == {"x": "COMPLETED", "y": "SKIPPED", "z": "COMPLETED"}
    assert works.state(second) is RunState.FAILED
    works.broken = set()
    resume_run(works.home.ports, ADMIN, first.id)
    works.quiet()
    resume_run(works.home.ports, ADMIN, second.id)
    works.quiet()
    assert works.states(second)["y"] == "COMPLETED"
    assert works.state(second) is RunState.COMPLETED


def test_a_node_of_another_run_is_there_and_visible(works: Works) -> None:
    first = works.run(node("a"))
    nowhere = "0197f2a4-0000-7000-8000-000000000000"
    for name, rule in (
        (f"{first.id}:b", "has no node 'b'"),
        (f"{nowhere}:a", "there is no run"),
        ("x:a", "there is no node"),
    ):
        with pytest.raises(InvalidInput, match=rule):
            works.run(node("y", name))
    eve = Caller("main", "eve", frozenset({"read", "submit"}))
    with pytest.raises(InvalidInput, match="there is no run"):
        submit_dag(works.home.ports, eve, DagSpec(name="d", nodes=(node("y", f"{first.id}:a"),)), {})


def test_a_lost_word_of_another_run_is_made_up_for_by_the_clock(works: Works) -> None:
    first = works.run(node("a"))
    second = works.run(node("y", f"{first.id}:a"))
    runner = works.home.runner(work=works.work)
    works.home.serve_one(runner)
    feed = works.home.app.feed
    assert feed is not None
    feed.drop(feed.read(100))
    works.home.settle(runner, seconds=1_500, step=5)
    assert works.state(second) is RunState.COMPLETED


def test_a_node_whose_list_is_there_a_moment_after_the_first_look_gets_its_entries(works: Works) -> None:
    """Its parent ends between two reads of one look: it is not let go without them."""
    home = works.home
    works.results["a"] = {"items": [1, 2]}
    run = works.run(node("a"), node("b", "a", for_each=("a", "result", "items")))
    before = home.job(node_job_id(run.id, "a"))
    home.serve_one(home.runner(work=works.work))
    outdated = [before]

    class Lagging:
        """Tells once how the parent stood a moment ago."""

        def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
            found = home.ports.jobs.get(keys)
            return [outdated.pop() if job is not None and job.id == before.id and outdated else job for job in found]

        def __getattr__(self, name: str) -> Any:
            return getattr(home.ports.jobs, name)

    Engine(home.with_ports(jobs=Lagging()).ports).evaluate(run, ["b"])
    assert not outdated
    assert home.job(node_job_id(run.id, "b")).blocked
    works.quiet()
    assert works.states(run) == dict.fromkeys(["a", "b[0]", "b[1]", "b"], "COMPLETED")


class Dying:
    """A port of a process that dies at one kind of call."""

    def __init__(self, port: Any, call: str) -> None:
        self._port, self._call = port, call

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            raise Unavailable("the process is gone")
        return getattr(self._port, name)


def test_a_run_that_was_never_stored_whole_is_given_up_with_all_that_waits_for_it(works: Works) -> None:
    """Its request died before any job was stored, or before it was said that all were."""
    home = works.home
    made = []
    for dying in ({"jobs": Dying(home.ports.jobs, "create")}, {"dags": Dying(home.ports.dags, "put_if_unchanged")}):
        made.append(home.clock.new_id())
        spec = DagSpec(name="d", nodes=(node("a"), node("clean", "a", cleanup=True)), dag_id=made[-1])
        with pytest.raises(Unavailable):
            submit_dag(home.with_ports(**dying).ports, ADMIN, spec, {})
    waiting = works.run(node("x"), node("y", f"{made[0]}:a"))
    home.settle(home.runner(work=works.work), seconds=2_500, step=20)
    for dag_id in made:
        view = get_run(home.ports, ADMIN, dag_id)
        assert view.run.state is RunState.CANCELLED
        assert {job.state for job in view.jobs} <= {State.CANCELLED}
    assert works.states(waiting) == {"x": "COMPLETED", "y": "SKIPPED"}
    assert works.state(waiting) is RunState.FAILED


def test_a_job_of_an_open_run_is_not_erased(works: Works) -> None:
    """Those behind it would wait for ever for what it came to."""
    run = works.run(node("a"), node("b", "a"))
    first = node_job_id(run.id, "a")
    works.home.serve_one(works.home.runner(work=works.work))
    with pytest.raises(WrongState, match="which goes on"):
        erase(works.home.ports, ADMIN, first)
    works.quiet()
    assert works.state(run) is RunState.COMPLETED
    assert erase(works.home.ports, ADMIN, first).id == first


def test_a_failed_parent_never_strands_its_children(works: Works) -> None:
    works.broken = {"a"}
    run = works.run(node("a"), node("b", "a"), node("c", "b"), node("x"), failure_policy=FailurePolicy.CONTINUE)
    works.quiet()
    assert works.states(run) == {"a": "FAILED", "b": "SKIPPED", "c": "SKIPPED", "x": "COMPLETED"}
    assert works.state(run) is RunState.FAILED


def test_fail_fast_stops_the_rest_and_runs_the_clean_up(works: Works) -> None:
    works.broken = {"a"}
    run = works.run(node("a"), node("b", "a"), node("x"), node("y", "x"), node("clean", "b", "y", cleanup=True))
    runner = works.home.runner(work=works.work)
    works.home.serve_one(runner)
    works.home.changes()
    works.quiet()
    assert works.order == ["a", "clean"] or works.order == ["a", "x", "clean"]
    assert works.states(run)["clean"] == "COMPLETED"
    assert works.state(run) is RunState.FAILED


def test_cancelling_stops_waiting_jobs_and_runs_the_clean_up(works: Works) -> None:
    run = works.run(node("a"), node("b", "a"), node("clean", "b", cleanup=True))
    cancel_run(works.home.ports, ADMIN, run.id, "enough")
    works.quiet()
    assert works.order == ["clean"]
    assert works.states(run) == {"a": "CANCELLED", "b": "CANCELLED", "clean": "COMPLETED"}
    assert works.state(run) is RunState.CANCELLED
    assert cancel_run(works.home.ports, ADMIN, run.id).state is RunState.CANCELLED


def test_resuming_runs_only_what_failed_and_what_hung_on_it(works: Works) -> None:
    works.broken = {"b"}
    run = works.run(node("a"), node("b", "a"), node("c", "b"), node("d", "a"), failure_policy=FailurePolicy.CONTINUE)
    works.quiet()
    assert works.state(run) is RunState.FAILED
    works.broken, works.order = set(), []
    resume_run(works.home.ports, ADMIN, run.id)
    works.quiet()
    assert works.order == ["b", "c"]
    assert works.state(run) is RunState.COMPLETED
    with pytest.raises(WrongState):
        resume_run(works.home.ports, ADMIN, run.id)


@pytest.mark.parametrize("width", [250])
def test_wide_fan_out_and_fan_in(works: Works, width: int) -> None:
    middle = [node(f"m{n}", "start") for n in range(width)]
    run = works.run(node("start"), *middle, node("end", *(each.id for each in middle)))
    works.quiet()
    assert Counter(works.order) == Counter(["start", "end", *(each.id for each in middle)])
    assert works.order[-1] == "end"
    assert works.state(run) is RunState.COMPLETED


def test_a_change_told_again_or_lost_does_no_harm(works: Works) -> None:
    """The feed repeats a batch; another is lost for good, and the clock goes on with the run."""
    run = works.run(node("a"), node("b", "a"), node("c", "b"))
    runner = works.home.runner(work=works.work)
    works.home.serve_one(runner)
    feed = works.home.app.feed
    assert feed is not None
    records = feed.read(100)
    works.home.changes(drop=False)
    works.home.changes()
    works.home.serve_one(runner)
    feed.drop(feed.read(100))
    assert records
    works.home.settle(runner, seconds=1_500, step=5)
    assert works.order == ["a", "b", "c"]
    assert works.state(run) is RunState.COMPLETED


def test_the_same_request_is_the_same_run_and_another_a_conflict(works: Works) -> None:
    nodes = (node("a"), node("b", "a"))
    dag_id = works.home.ports.new_id()
    spec = DagSpec(name="d", nodes=nodes, dag_id=dag_id)
    first, created = submit_dag(works.home.ports, ADMIN, spec, {})
    again, created_again = submit_dag(works.home.ports, ADMIN, spec, {})
    assert (created, created_again, again.run.id) == (True, False, first.run.id)
    with pytest.raises(Conflict):
        submit_dag(works.home.ports, ADMIN, DagSpec(name="other", nodes=nodes, dag_id=dag_id), {})
    works.quiet()
    assert sorted(works.order) == ["a", "b"]


def test_nothing_is_stored_of_a_run_with_a_fault(works: Works) -> None:
    bad = NodeSpec(id="b", job={"name": "x", "queue": "nowhere", "timeout": 60})
    with pytest.raises(InvalidInput, match=r"nodes\.1\.queue: there is no queue 'nowhere'"):
        works.run(node("a"), bad)
    assert works.home.ports.dags.page("main", frozenset(), 10, None).runs == []
    assert works.home.receive() is None


def test_the_next_job_is_that_of_the_documents_query(works: Works) -> None:
    run = works.run(
        NodeSpec(id="low", job={"name": "work", "priority": 1}),
        NodeSpec(id="high", job={"name": "work", "priority": 9}),
        NodeSpec(id="later", job={"name": "work", "priority": 10}, depends_on=("low",)),
    )
    found = next_job(works.home.ports, ADMIN, run.id)
    assert found is not None
    assert found.node == "high"


def test_another_tenants_run_does_not_exist(works: Works) -> None:
    run = works.run(node("a"))
    for caller in (Caller("other", "admin", ADMIN.scopes), Caller("main", "someone", frozenset({"read", "submit"}))):
        for act in (get_run, cancel_run, resume_run, run_progress):
            with pytest.raises(NotFound):
                act(works.home.ports, caller, run.id)


def test_a_node_runs_once_for_each_entry_of_an_upstream_result(works: Works) -> None:
    """split → extract for each page → merge gets the results in order."""
    seen: list[Any] = []

    def merge(job: JobContext) -> None:
        seen.append(job.upstream["extract"].result)

    works.results["split"] = {"pages": ["one", "two", "three"]}
    spec = (
        node("split"),
        node("extract", "split", name="page", for_each=("split", "result", "pages")),
        node("merge", "extract", name="merge"),
    )
    run = works.run(*spec)
    runner = works.home.runner(
        work=works.work, page=lambda job: f"{job.data['index']}:{job.data['item']}:{job.data['node']}", merge=merge
    )
    while works.home.drain(runner) + works.home.changes():
        continue
    assert seen == [["0:one:extract", "1:two:extract", "2:three:extract"]]
    assert works.state(run) is RunState.COMPLETED
    view = get_run(works.home.ports, ADMIN, run.id)
    assert [job.node for job in view.jobs] == ["split", "extract[0]", "extract[1]", "extract[2]", "extract", "merge"]
    assert run_progress(works.home.ports, ADMIN, run.id).progress.total_jobs == 6


@pytest.mark.parametrize(
    ("result", "states"),
    [
        ({"pages": []}, {"split": "COMPLETED", "extract": "COMPLETED", "merge": "COMPLETED"}),
        ({"pages": "none"}, {"split": "COMPLETED", "extract": "FAILED", "merge": "SKIPPED"}),
        ({}, {"split": "COMPLETED", "extract": "FAILED", "merge": "SKIPPED"}),
    ],
)
def test_a_list_that_is_empty_or_none(works: Works, result: Any, states: dict[str, str]) -> None:
    works.results["split"] = result
    run = works.run(
        node("split"),
        node("extract", "split", for_each=("split", "result", "pages")),
        node("merge", "extract"),
        failure_policy=FailurePolicy.CONTINUE,
    )
    works.quiet()
    assert works.states(run) == states


def test_entries_whose_common_data_is_large_are_gathered_too(works: Works) -> None:
    works.results["split"] = {"pages": [1, 2]}
    common = {"text": "x" * 150_000}
    extract = NodeSpec(
        id="extract",
        job={"name": "page", "data": common},
        depends_on=("split",),
        for_each=("split", "result", "pages"),
    )
    run = works.run(node("split"), extract)
    runner = works.home.runner(work=works.work, page=lambda job: [len(job.data["text"]), job.data["item"]])
    while works.home.drain(runner) + works.home.changes():
        continue
    gathered = next(job for job in get_run(works.home.ports, ADMIN, run.id).jobs if job.node == "extract")
    assert (gathered.state, gathered.result) == (State.COMPLETED, [[150_000, 1], [150_000, 2]])


def test_a_failing_entry_fails_the_run_and_is_run_again_alone(works: Works) -> None:
    works.results["split"] = {"pages": [1, 2]}
    failing = {1}
    ran: list[int] = []

    def page(job: JobContext) -> int:
        ran.append(job.data["index"])
        if job.data["index"] in failing:
            raise PermanentError("torn")
        return int(job.data["item"])

    run = works.run(
        node("split"),
        node("extract", "split", name="page", for_each=("split", "result", "pages")),
        failure_policy=FailurePolicy.CONTINUE,
    )
    runner = works.home.runner(work=works.work, page=page)
    while works.home.drain(runner) + works.home.changes():
        continue
    assert works.state(run) is RunState.FAILED
    failing.clear()
    ran.clear()
    resume_run(works.home.ports, ADMIN, run.id)
    while works.home.drain(runner) + works.home.changes():
        continue
    assert ran == [1]
    assert works.state(run) is RunState.COMPLETED
    assert works.home.job(node_job_id(run.id, "extract")).result == [1, 2]
    jobs = works.home.ports.jobs.page(JobQuery(tenant="main", dag_id=run.id, limit=50)).jobs
    assert len(jobs) == 4
    assert by_queue(costs(works.home.ports, ADMIN)) == {"default": sum(job.cost for job in jobs)}


def test_upstream_results_reach_the_handler(works: Works) -> None:
    found: list[Any] = []
    works.results["a"] = {"big": "x" * 200_000}
    run = works.run(node("a"), node("b", "a", name="look"))
    runner = works.home.runner(work=works.work, look=lambda job: found.append(job.upstream["a"]))
    while works.home.drain(runner) + works.home.changes():
        continue
    assert works.state(run) is RunState.COMPLETED
    assert (found[0].state, found[0].result) == (State.COMPLETED, works.results["a"])


@pytest.mark.parametrize("fields", [{}, {"for_each": ("a", "result")}], ids=["node", "entries"])
def test_the_time_to_start_in_begins_when_a_node_may_start(works: Works, fields: dict[str, Any]) -> None:
    """However long it waited for others; what waits longer for a worker expires, and `start_after` is kept."""
    works.results["a"] = [1]
    begin = works.home.clock.now() + 7_200_000
    late = replace(node("b", "a", **fields), job={**(node("b").job or {}), "expire_in_seconds": 60.0})
    later = replace(late, id="c", job={**(late.job or {}), "data": {"node": "c"}, "start_after": begin})
    run = works.run(node("a"), late, later)
    works.home.clock.advance(3_600)
    works.quiet()
    assert works.order == ["a", "b"]
    works.home.clock.advance(3_601)
    works.home.tick()
    works.home.clock.advance(60)
    works.quiet()
    assert works.order == ["a", "b"], "it was to start within a minute of its time"
    states = works.states(run)
    assert (states["a"], states["b"]) == ("COMPLETED", "COMPLETED")
    assert states.get("c[0]", states["c"]) == "EXPIRED"
