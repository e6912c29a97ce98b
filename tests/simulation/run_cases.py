"""The use cases of runs: stored whole, released, fanned out, joined, closed, stopped with clean-up, resumed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tidegate_functions.api.dag_models import DagRequest, asked_of

from tidegate.adapters.sqlite.dags import SqliteDags
from tidegate.domain.dag.run import RunState
from tidegate.domain.errors import WrongState
from tidegate.service import runs

from .cast import CALLER
from .dag_runs import forget_what_is_remembered, key_of
from .use_cases import MINUTE, Scene, Step, UseCase, feed, records, ticks, wait, worker_comes
from .world import START

RUN, OTHER = (f"{START:012x}"[:8] + "-" + f"{START:012x}"[8:] + f"-7000-8000-00000000000{n}" for n in (1, 2))
_LATER = 11 * MINUTE
"""By then the clock has looked at every run, whatever the change feed was told."""


_OUTLIVED = 8 * 24 * 60 * MINUTE
"""By then an ended run is kept no longer."""


def node(name: str, *parents: str, does: str = "work", ms: int = 100, **fields: Any) -> dict[str, Any]:
    """A node whose job does this, and then answers with a list of three."""
    good = {"does": "work", "ms": ms, "answer": {"n": 1, "items": [1, 2, 3]}}
    plan = [good] if does == "work" else [{"does": does, "ms": ms, "seconds": 5}, good]
    made = {"id": name, "name": "work", "data": {"plan": plan}, "retry_limit": 0, **fields}
    return {**made, "depends_on": list(parents)} if parents else made


CHAIN = (node("a"), node("b", "a"))
DIAMOND = (node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c"))
FAN = (node("a"), node("each", "a", for_each="$.a.result.items"), node("z", "each"))
TIDY = (node("a", ms=30_000), node("b", "a"), node("tidy", "b", cleanup=True))
BROKEN = (node("a"), node("b", "a", does="fail for good"), node("c", "b"))
FORKED = (
    node("a"),
    {"id": "fork", "depends_on": ["a"], "switch": {"on": "$.a.result.n", "cases": {"1": ["b"]}, "default": ["c"]}},
    node("b"), node("c"), node("d", "b", "c"),
)  # fmt: skip
WITHIN = (node("a"), {"id": "in", "depends_on": ["a"], "dag": {"nodes": [node("x"), node("y", "x")]}}, node("z", "in"))


def submits(*nodes: Mapping[str, Any], dag_id: str = RUN, **fields: Any) -> Step:
    """Ask for a run; what is answered is accepted."""

    def act(scene: Scene) -> None:
        forget_what_is_remembered()
        body = {"name": "run", "failure_policy": "continue", "dag_id": dag_id, "nodes": list(nodes), **fields}
        asked = asked_of(DagRequest.model_validate(body))
        assert not asked.faults, asked.faults
        book = scene.cast.watch.book
        book.specs[dag_id] = asked.spec
        runs.submit_dag(scene.ports, CALLER, asked.spec, asked.conditions)
        book.accepted[dag_id] = scene.cast.world.now
        scene.cast.watch.answered |= {key_of(dag_id, each.id) for each in asked.spec.nodes}

    return act


def _works(times: int = 100) -> Step:
    """Workers and change feed go on with all runs, so many jobs; the feed has not been told of the last of them."""

    def act(scene: Scene) -> None:
        for _ in range(times):
            feed(scene)
            found = scene.helper.tickets.receive("default", 1, 0)
            if not found:
                return
            process, ports = scene.cast.start("worker")
            Scene(scene.cast, process, ports, scene.helper, {"delivery": found[0]}).serve()

    return act


def _has(*nodes: Mapping[str, Any], dag_id: str = RUN, jobs: int = 0, **fields: Any) -> tuple[Step, ...]:
    """A run is there, and so many of its jobs have run."""
    return (lambda scene: submits(*nodes, dag_id=dag_id, **fields)(_helper(scene)), _works(jobs))


def _helper(scene: Scene) -> Scene:
    return Scene(scene.cast, scene.process, scene.helper, scene.helper, scene.known)


def _runs_now(scene: Scene) -> None:
    """A worker holds the next job, and goes on with it."""
    feed(scene)
    scene.vanish(lapsed=False)


def cancels(scene: Scene) -> None:
    """Somebody stops the run."""
    with suppress(WrongState):
        runs.cancel_run(scene.ports, CALLER, RUN)


def resumes(scene: Scene) -> None:
    """Somebody resumes the run; nothing is to be resumed once that was done."""
    with suppress(WrongState):
        runs.resume_run(scene.ports, CALLER, RUN)


def _has_failed(scene: Scene) -> None:
    """The feed has been told of the failure, and of what was skipped for it."""
    feed(scene)
    feed(scene)
    run = SqliteDags(scene.cast.store.database).get(CALLER.tenant, RUN)
    assert run is not None
    assert run.state is RunState.FAILED, run.state


RUN_CASES: tuple[UseCase, ...] = (
    UseCase("submit a run", (), submits(*DIAMOND)),
    UseCase("submit a run, ask again", (), submits(*DIAMOND), asks_again=True),
    UseCase("release what waits for one", _has(*DIAMOND, jobs=1), records, "feed", asks_again=True),
    UseCase("release what waits for two", _has(*DIAMOND, jobs=3), records, "feed", asks_again=True),
    UseCase("fan out", _has(*FAN, jobs=1), records, "feed", asks_again=True),
    UseCase("gather", _has(*FAN, jobs=4), records, "feed", asks_again=True),
    UseCase("choose", _has(*FORKED, jobs=2), records, "feed", asks_again=True),
    UseCase("end a run within a run", _has(*WITHIN, jobs=3), records, "feed", asks_again=True),
    UseCase("skip what hung on a failure", _has(*BROKEN, jobs=2), records, "feed", asks_again=True),
    UseCase("stop by a failure", _has(*BROKEN, jobs=2, failure_policy="fail_fast"), records, "feed", asks_again=True),
    UseCase("close a run", _has(*CHAIN, jobs=2), records, "feed", asks_again=True),
    UseCase("release a node of another run", (
        *_has(*CHAIN, jobs=1), *_has(node("x", f"{RUN}:a"), dag_id=OTHER),
    ), records, "feed", asks_again=True),
    UseCase("cancel a run with clean-up", (*_has(*TIDY), _runs_now), cancels, asks_again=True),
    UseCase("resume a run", (*_has(*BROKEN, jobs=2), _has_failed), resumes, asks_again=True),
    UseCase("tick: a run whose changes are late", (*_has(*DIAMOND, jobs=1), wait(_LATER)), ticks, "clock"),
    UseCase("tick: retire the jobs of a run", (*_has(*CHAIN, jobs=2), feed, wait(_OUTLIVED)), ticks, "clock"),
    UseCase("tick: retire a run", (*_has(*CHAIN, jobs=2), feed, wait(_OUTLIVED), ticks), ticks, "clock"),
)  # fmt: skip


def _clock_comes_late(scene: Scene) -> None:
    scene.wait(_LATER)
    ticks(_helper(scene))


RUN_VISITS: Mapping[str, Step] = {
    "a worker comes between": worker_comes,
    "the clock comes between, later": _clock_comes_late,
    "the run is cancelled meanwhile": lambda scene: cancels(_helper(scene)),
    "the run is resumed meanwhile": lambda scene: resumes(_helper(scene)),
}
"""What somebody else may do between two calls."""
