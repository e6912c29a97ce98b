"""Runs of DAGs in histories: who submits them, and what must hold of them at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from tidegate_functions.api.dag_models import Asked

from tidegate.adapters.sqlite.dags import SqliteDags
from tidegate.adapters.sqlite.registry import SqliteFigures
from tidegate.domain.dag.run import BROKEN, OPEN_RUNS, node_job_id, outcome_of
from tidegate.domain.job import Ms
from tidegate.ports import JobKey, Ports
from tidegate.service import looks, release, runs
from tidegate.service.record_changes import run_series

from .cast import CALLER, Cast
from .clients import Api, operator
from .run_shapes import Step, asked_for


def come_in(cast: Cast, step: Step, within: Ms) -> None:
    """A few runs are submitted; without an answer the same request is repeated, or not."""
    forget_what_is_remembered()
    api = Api(cast)
    book = cast.watch.book
    for _ in range(1 + int(cast.world.rng.random() * 3)):
        others = [(dag_id, [node.id for node in spec.nodes]) for dag_id, spec in book.specs.items()]
        asked = asked_for(cast.world, step, _next_id(cast), others)
        book.specs[asked.spec.dag_id or ""] = asked.spec
        tries = 1 + int(cast.world.rng.random() * 6)
        cast.visit(_submission(cast, api, asked, tries), within)


def forget_what_is_remembered() -> None:
    """A process that begins remembers nothing of the runs before it."""
    for remembered in (release._graphs, looks._open, looks._reached):
        remembered.clear()  # type: ignore[attr-defined]


@contextmanager
def looking_closely(cast: Cast) -> Iterator[None]:
    """In every other history joins of two are wide already."""
    narrow, chunk = (1, 2) if cast.world.chance(0.5) else (looks.NARROW, looks.CHUNK)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "NARROW", narrow)
        patch.setattr(looks, "CHUNK", chunk)
        yield


def runs_are_watched(cast: Cast) -> bool:
    """Whether somebody still watches over a run."""
    return bool(cast.watch.book.specs) and bool(SqliteDags(cast.store.database).watched(None, 1))


def faults_at_the_end(cast: Cast) -> Iterator[str]:
    """What is wrong with the runs of a history that has come to rest."""
    dags, figures = SqliteDags(cast.store.database), SqliteFigures(cast.store.database)
    jobs = cast.watch.jobs()
    for dag_id, spec in cast.watch.book.specs.items():
        run = dags.get(CALLER.tenant, dag_id)
        if run is None:
            continue  # its request never came through
        nodes = [jobs[key] for node in spec.nodes if (key := key_of(dag_id, node.id)) in jobs]
        states = Counter(job.state.value for job in nodes)
        counted = {state: n for state, n in figures.read(CALLER.tenant, run_series(dag_id)).items() if n}
        if counted != dict(states):
            yield f"run {dag_id}: counted {counted}, recounted {dict(states)}"
        entries = Counter(job.state.value for job in jobs.values() if job.dag_id == dag_id and "[" in (job.node or ""))
        series = run_series(dag_id, items=True)
        if (told := {state: n for state, n in figures.read(CALLER.tenant, series).items() if n}) != dict(entries):
            yield f"run {dag_id}: counted {told} entries, recounted {dict(entries)}"
        yield from filter(None, (cast.watch.book.wrongly_gathered(job, jobs) for job in nodes))
        if run.state in OPEN_RUNS:
            yield f"run {dag_id} is still {run.state}"
        elif len(nodes) == len(spec.nodes):
            outcome = outcome_of(run, {**states, BROKEN: sum(job.broken for job in nodes)})
            if run.state is not outcome:
                yield f"run {dag_id} is {run.state} where {outcome} is due: {dict(states)}"


def key_of(dag_id: str, node: str) -> JobKey:
    """Where the job of a run's node is."""
    return JobKey(CALLER.tenant, node_job_id(dag_id, node))


def _submission(cast: Cast, api: Api, asked: Asked, tries: int) -> Callable[[], None]:
    """Ask for a run; what was answered is accepted. One that waits for a run that is not there yet is refused."""

    def submit() -> None:
        dag_id, accepted = asked.spec.dag_id or "", list[bool]()

        def request(ports: Ports) -> None:
            runs.submit_dag(ports, CALLER, asked.spec, asked.conditions)
            accepted.append(True)

        operator(cast, api, request, tries)
        if accepted:
            cast.watch.book.accepted[dag_id] = cast.world.now
            cast.watch.answered |= {key_of(dag_id, node.id) for node in asked.spec.nodes}

    return submit


def _next_id(cast: Cast) -> str:
    """A UUIDv7 of the time in the history."""
    stamp = f"{cast.world.now:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7000-8000-{len(cast.watch.book.specs):012x}"
