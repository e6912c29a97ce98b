"""Why a job is not running, from what either home knows: the line, its pace, the pool, the nodes before."""

from __future__ import annotations

from dataclasses import replace

import pytest

from home import ADMIN
from home import Home as Services
from support.homes import Home
from tidegate.domain.caller import Caller
from tidegate.domain.change import Change
from tidegate.domain.dag.run import node_job_id
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, NodeSpec
from tidegate.domain.job import State
from tidegate.domain.spec import JobSpec
from tidegate.domain.why.explain import Why
from tidegate.domain.why.gate import Gate, GateName
from tidegate.execution.context import JobContext
from tidegate.ports import Held, Worker
from tidegate.runtime import App
from tidegate.service import why as service
from tidegate.service.policies import pause_queue, put_queue
from tidegate.service.record_changes import record_changes
from tidegate.service.release import release_after
from tidegate.service.runs import submit_dag
from tidegate.service.submit import submit
from tidegate.service.why import why
from tidegate.settings import Settings

OTHER = Caller("other", "someone", ADMIN.scopes)


@pytest.fixture
def services(home: Home) -> Services:
    """Either home, with the services on top."""
    return Services(App(home.ports, Settings(pools={key: {} for key in home.ports.pools})), home.clock)


@pytest.fixture
def manned(services: Services) -> Services:
    """The same with a worker that is always there."""
    seen = services.clock.now() + 10**9
    worker = Worker(id="w", kind="pull", pool="default", concurrency=9, started_at=seen, seen_at=seen)
    services.ports.workers.put(worker)
    return services


def asked(services: Services, job_id: str) -> Why:
    return why(services.ports, ADMIN, job_id)


def gate(found: Why, name: GateName) -> Gate:
    (one,) = [each for each in found.gates if each.name is name]
    return one


def started(services: Services, *, queue: str, count: int, batch: str) -> None:
    """What the change feed would count of jobs that start now."""
    now = services.clock.now()
    changes = [
        Change(tenant="main", job_id=f"{batch}{n}", old_state=State.CREATED, state=State.ACTIVE, at=now, queue=queue)
        for n in range(count)
    ]
    record_changes(services.ports, batch, changes)


def told(services: Services, dag_id: str, node: str, state: State) -> None:
    """What the change feed would tell of the end of a node."""
    job_id = node_job_id(dag_id, node)
    change = Change(tenant="main", job_id=job_id, old_state=State.ACTIVE, state=state, dag_id=dag_id, node=node)
    release_after(services.ports, [change])


def test_the_line_is_counted_exactly_and_its_pace_is_that_of_the_last_minutes(manned: Services) -> None:
    ahead = [manned.submit(priority=8).id for _ in range(3)]
    mine = manned.submit(priority=3)
    manned.submit(priority=0)
    manned.submit(priority=10, caller=OTHER)
    assert gate(asked(manned, mine.id), GateName.LINE).facts["first"] == ahead
    assert asked(manned, mine.id).expected_start is None
    started(manned, queue="default", count=4, batch="a")
    started(manned, queue="mail", count=40, batch="b")
    manned.clock.advance(120)
    found = asked(manned, mine.id)
    assert dict(gate(found, GateName.LINE).facts) | {"first": []} == {
        "queue": "default",
        "ahead": 3,
        "exact": True,
        "first": [],
        "starts_per_minute": 2.0,
    }
    assert found.expected_start == manned.clock.now() + 90_000


def test_the_pace_is_forgotten_after_a_while_and_lasts_over_the_hour(services: Services) -> None:
    services.submit(priority=8)
    mine = services.submit()
    services.clock.advance(3_600 - services.clock.now() / 1000 % 3_600 - 60)
    started(services, queue="default", count=6, batch="a")
    services.clock.advance(120)
    assert gate(asked(services, mine.id), GateName.LINE).facts["starts_per_minute"] == 3.0
    services.clock.advance(1_200)
    assert gate(asked(services, mine.id), GateName.LINE).facts["starts_per_minute"] is None


def test_a_line_that_is_too_long_is_not_counted_out(services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LINE_COUNTED", 20)
    for batch in (20, 1):
        submit(services.ports, ADMIN, [JobSpec(name="work", priority=9) for _ in range(batch)])
        found = asked(services, services.submit(priority=1).id)
        line = gate(found, GateName.LINE)
        assert (line.facts["ahead"], line.facts["exact"]) == (20, batch == 20)


def test_a_delayed_job_stands_in_no_line(services: Services) -> None:
    services.submit(priority=9)
    later = services.submit(start_after=services.clock.now() + 60_000)
    assert GateName.LINE not in {each.name for each in asked(services, later.id).gates}
    services.clock.advance(60)
    assert gate(asked(services, later.id), GateName.LINE).facts["ahead"] == 1, "as soon as its time has come"


def test_the_pool_and_the_pause(services: Services) -> None:
    put_queue(services.ports, ADMIN, "mail", {})
    for _ in range(3):
        services.submit(priority=10)
    assert services.receive() is not None
    mine = services.submit(queue="mail", priority=0)
    pool = gate(asked(services, mine.id), GateName.POOL)
    assert (pool.holds, pool.facts["tickets_of_better_bands"], pool.facts["tickets_at_work"]) == (True, 2, 1)
    assert not gate(asked(services, mine.id), GateName.LINE).holds
    pause_queue(services.ports, ADMIN, "mail", "deploy")
    paused = gate(asked(services, mine.id), GateName.QUEUE_PAUSED)
    assert (paused.holds, paused.facts["paused_by"], paused.facts["paused_reason"]) == (True, "admin", "deploy")


def test_the_nodes_before_and_the_entries_of_a_fan_out(services: Services) -> None:
    nodes = (
        NodeSpec(id="split", job={"name": "work"}),
        NodeSpec(id="pages", job={"name": "work"}, depends_on=("split",), for_each=("split", "result", "pages")),
    )
    view, _ = submit_dag(services.ports, ADMIN, DagSpec(name="d", nodes=nodes), {})
    ids = {node: node_job_id(view.run.id, node) for node in ("split", "pages", "pages[0]")}
    first = gate(asked(services, ids["pages"]), GateName.UPSTREAM)
    assert first.facts["waits_for"] == [{"node": "split", "job_id": ids["split"], "state": "CREATED"}]
    assert GateName.UPSTREAM not in {each.name for each in asked(services, ids["split"]).gates if each.holds}
    services.serve_one(services.runner(work=lambda _: {"pages": [1, 2, 3]}))
    told(services, view.run.id, "split", State.COMPLETED)
    waits = asked(services, ids["pages"])
    assert "it waits for 3 of the 3 jobs that it was fanned out into" in waits.verdict
    assert gate(waits, GateName.UPSTREAM).facts["entries_open"] == 3
    entry = asked(services, ids["pages[0]"])
    assert GateName.UPSTREAM not in {each.name for each in entry.gates}, "entries wait for no node"


@pytest.mark.parametrize(
    ("policy", "verdict"),
    [
        (FailurePolicy.CONTINUE, "It was skipped: upstream failed: first."),
        (FailurePolicy.FAIL_FAST, "It was cancelled before it started: its node first is FAILED."),
    ],
)
def test_a_node_that_never_ran_tells_because_of_whom(services: Services, policy: FailurePolicy, verdict: str) -> None:
    nodes = (
        NodeSpec(id="first", job={"name": "bad", "retry_limit": 0}),
        NodeSpec(id="after", job={"name": "work"}, depends_on=("first",)),
    )
    services.clock.advance(1)  # another id than that of the run above, whose graph this process remembers
    view, _ = submit_dag(services.ports, ADMIN, DagSpec(name="d", nodes=nodes, failure_policy=policy), {})
    ids = {node: node_job_id(view.run.id, node) for node in ("first", "after")}

    def bad(_: object) -> None:
        raise ValueError("bad page")

    services.drain(services.runner(bad=bad))
    told(services, view.run.id, "first", State.FAILED)
    found = asked(services, ids["after"])
    assert found.verdict == verdict
    if policy is FailurePolicy.CONTINUE:
        because = found.gates[0].facts["because"]
        assert because == [{"node": "first", "job_id": ids["first"], "state": "FAILED"}]
    assert "the last allowed, ended with agent: ValueError: bad page" in asked(services, ids["first"]).verdict


def test_who_holds_the_slots_the_key_and_the_starts(manned: Services) -> None:
    put_queue(manned.ports, ADMIN, "mail", {"slots": 2, "key_slots": 1, "rate_limit": 2, "rate_period": "minute"})
    running = [manned.submit(queue="mail", concurrency_key=key).id for key in ("acme", "other")]
    waiting = manned.submit(queue="mail", concurrency_key="acme")
    seen: list[Why] = []

    def work(job: JobContext) -> None:
        if job.id == running[1]:
            seen.append(asked(manned, waiting.id))
        else:
            manned.serve_one(runner)

    runner = manned.runner(work=work)
    manned.serve_one(runner)
    (found,) = seen
    slots, key, rate = (gate(found, name) for name in (GateName.SLOTS, GateName.KEY, GateName.RATE))
    assert (slots.holds, slots.facts["taken"], sorted(slots.facts["holders"])) == (True, 2, sorted(running))
    assert (key.holds, key.facts["holders"], key.facts["concurrency_key"]) == (True, [running[0]], "acme")
    assert (rate.holds, rate.facts["taken"], rate.facts["limit"]) == (True, 2, 2)
    after = asked(manned, waiting.id)
    assert {each.name for each in after.gates if each.holds} == {GateName.RATE}, "the slots were given back"
    manned.clock.advance(60)
    assert not [each for each in asked(manned, waiting.id).gates if each.holds]


def test_jobs_that_were_put_aside_for_a_key_stand_in_a_line_of_their_own(services: Services) -> None:
    put_queue(services.ports, ADMIN, "mail", {"key_slots": 1})
    first, *others = [services.submit(queue="mail", concurrency_key="acme") for _ in range(3)]
    seen: list[Gate] = []

    def work(job: JobContext) -> None:
        if job.id == first.id:
            services.serve_one(runner)
            seen.append(gate(asked(services, others[1].id), GateName.KEY))

    runner = services.runner(work=work)
    services.serve_one(runner)
    assert seen[0].facts["before"] == 1
    assert seen[0].message.endswith("and 1 with that key wait before it")


def test_workers_that_serve_the_job(services: Services) -> None:
    job = services.submit("train")

    def workers() -> Gate:
        return gate(asked(services, job.id), GateName.WORKERS)

    assert (workers().holds, workers().facts["workers"]) == (True, 0)
    seen = services.clock.now()
    other = Worker(id="a", kind="pull", pool="default", names=("extract",), started_at=seen, seen_at=seen)
    services.ports.workers.put(other)
    assert workers().message.endswith("serves jobs named 'train' of queue 'default' (they serve extract)")
    services.ports.workers.put(replace(other, id="b", names=("extract", "train"), concurrency=2))
    services.ports.workers.put(replace(other, id="c", names=(), queues=("mail",)))
    services.ports.workers.put(replace(other, id="d", names=(), tenant="other"))
    assert (workers().holds, workers().facts["workers"], workers().facts["places"]) == (False, 1, 2)
    running = (Held("main", "x", 1), Held("main", "y", 1))
    services.ports.workers.put(replace(other, id="b", names=("train",), concurrency=2, running=running))
    assert workers().message == "all 2 places of the workers that serve it are taken"
    services.ports.workers.put(replace(other, id="b", names=("train",), stopped=True))
    assert workers().holds
    services.clock.advance(61)
    assert workers().facts["other_workers"] == 0
    lambdas = services.with_ports(lambda_pools={"default": 512})
    assert not gate(asked(lambdas, job.id), GateName.WORKERS).holds
