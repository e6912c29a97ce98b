"""A wide join costs each of its jobs no more reads than a narrow one, in whatever order they end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from home import ADMIN, Home
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.job import Job
from tidegate.execution.context import JobContext, PermanentError
from tidegate.ports import Glimpse, JobKey, JobStore
from tidegate.service import looks
from tidegate.service.runs import get_run, submit_dag

NARROWER, WIDER = 40, 160
A_BATCH = 8
"""Jobs that end before the change feed has its turn."""


class Counting:
    """A job store that counts the jobs that are asked for."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self.read = 0

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        self.read += len(keys)
        return self._store.get(keys)

    def glimpse(self, keys: Sequence[JobKey]) -> Sequence[Glimpse | None]:
        self.read += len(keys)
        return self._store.glimpse(keys)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def nodes(width: int, priority: Callable[[float], int], **join: Any) -> tuple[NodeSpec, ...]:
    """1 → width → 1; `priority` of each job in the middle, by where it stands from 0 to 1, says when it runs."""
    middle = tuple(f"m{number}" for number in range(width))
    between = [
        NodeSpec(id=name, job=job(priority=priority(number / width)), depends_on=("first",))
        for number, name in enumerate(middle)
    ]
    last = NodeSpec(id="last", job=job(), depends_on=middle, **join)
    return (NodeSpec(id="first", job=job()), *between, last)


def job(**fields: Any) -> dict[str, Any]:
    return {"name": "work", "retry_limit": 0, **fields}


def reads_a_job(home: Home, nodes: Sequence[NodeSpec], work: Callable[[JobContext], Any]) -> tuple[float, RunState]:
    """What the change feed reads for each job of a run, until all is quiet, and how the run ended."""
    spec = DagSpec(name="wide", nodes=tuple(nodes), failure_policy=FailurePolicy.CONTINUE)
    run = submit_dag(home.ports, ADMIN, spec, {})[0].run
    store = Counting(home.ports.jobs)
    feed, runner = home.with_ports(jobs=store), home.runner(work=work)
    while sum(home.serve_one(runner) is not None for _ in range(A_BATCH)) + feed.changes():
        continue
    view = get_run(home.ports, ADMIN, run.id)
    return store.read / len(view.jobs), view.run.state


ORDERS: dict[str, Callable[[float], int]] = {
    "the first end first": lambda place: 10 - round(10 * place),
    "the last end first": lambda place: round(10 * place),
    "in no order": lambda place: 5,
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "join",
    [{"join": Join.ALL_SUCCESS}, {"join": Join.N_OF, "join_count": 30}, {"join": Join.ALL_DONE, "cleanup": True}],
    ids=lambda join: join["join"],
)
def test_a_wider_join_reads_no_more_for_a_job(
    home: Home, monkeypatch: pytest.MonkeyPatch, order: str, join: dict[str, Any]
) -> None:
    monkeypatch.setattr(looks, "CHUNK", 10)
    narrower, wider = (
        reads_a_job(home, nodes(width, ORDERS[order], **join), lambda job: None) for width in (NARROWER, WIDER)
    )
    assert narrower[1] is wider[1] is RunState.COMPLETED
    assert wider[0] < narrower[0] * 1.25
    assert wider[0] < 4.5


def test_a_longer_list_reads_no_more_for_an_entry(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "CHUNK", 10)
    made = [
        NodeSpec(id="first", job=job()),
        NodeSpec(id="each", job=job(), depends_on=("first",), for_each=("first", "result")),
        NodeSpec(id="last", job=job(), depends_on=("each",)),
    ]
    narrower, wider = (reads_a_job(home, made, lambda job: list(range(width))) for width in (NARROWER, WIDER))  # noqa: B023
    assert narrower[1] is wider[1] is RunState.COMPLETED
    assert wider[0] < narrower[0] * 1.25
    assert wider[0] < 1.4


def test_what_the_feed_tells_is_not_read_and_a_node_that_is_held_up_is_not_either(home: Home) -> None:
    """Of two parents the first to end costs a look at the other one; both told at once cost the node's own job."""
    needs_both = NodeSpec(id="c", job=job(), depends_on=("a", "b"))
    spec = DagSpec(name="d", nodes=(NodeSpec(id="a", job=job()), NodeSpec(id="b", job=job()), needs_both))
    store = Counting(home.ports.jobs)
    feed, runner = home.with_ports(jobs=store), home.runner(work=lambda job: None)
    for ends, expected in ((1, 1), (2, 1)):
        submit_dag(home.ports, ADMIN, spec, {})
        for _ in range(ends):
            home.serve_one(runner)
        store.read = 0
        feed.changes()
        assert store.read == expected
        while home.drain(runner) + feed.changes():
            continue


@pytest.mark.parametrize(("join", "ended"), [("any", "COMPLETED"), ("n_of", "SKIPPED"), ("all_active", "SKIPPED")])
def test_a_wide_join_behind_failures_is_decided_as_soon_as_it_can_be(
    home: Home, monkeypatch: pytest.MonkeyPatch, join: str, ended: str
) -> None:
    """Nine of ten fail: enough for `any`, not for twelve of forty; and `all_active` needs to hear of one."""
    monkeypatch.setattr(looks, "CHUNK", 10)
    count = 12 if join == "n_of" else None

    def work(job: JobContext) -> None:
        if (job.record.node or "").startswith("m") and not (job.record.node or "").endswith("5"):
            raise PermanentError("broken")

    made = nodes(NARROWER, ORDERS["in no order"], join=Join(join), join_count=count)
    run = submit_dag(home.ports, ADMIN, DagSpec(name="wide", nodes=made, failure_policy=FailurePolicy.CONTINUE), {})[
        0
    ].run
    runner = home.runner(work=work)
    home.serve_one(runner)
    home.changes()
    decided_after = None
    for served in range(1, NARROWER + 1):
        home.serve_one(runner)
        home.changes()
        last = next(each for each in get_run(home.ports, ADMIN, run.id).jobs if each.node == "last")
        if decided_after is None and (not last.blocked or last.state == "SKIPPED"):
            decided_after = served
            failed = sum(job.state == "FAILED" for job in get_run(home.ports, ADMIN, run.id).jobs)
            assert failed >= {"any": 0, "n_of": NARROWER - 12 + 1, "all_active": 1}[join]
            assert failed <= {"any": NARROWER, "n_of": NARROWER - 12 + 1, "all_active": 1}[join]
    home.drain(runner)
    home.changes()
    states = {each.node: each.state for each in get_run(home.ports, ADMIN, run.id).jobs}
    assert states["last"] == ended
