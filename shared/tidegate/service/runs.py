"""Runs of DAGs: taken in whole, looked at, stopped, resumed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from tidegate.domain import guarded
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.faults import Fault
from tidegate.domain.dag.graph import Graph
from tidegate.domain.dag.picture import Picture
from tidegate.domain.dag.run import (
    OPEN_RUNS,
    Run,
    RunProgress,
    RunState,
    entries_of,
    item_node,
    keeping,
    node_job_id,
    node_of_item,
    progress_of,
)
from tidegate.domain.dag.spec import DagSpec
from tidegate.domain.errors import Conflict, Unavailable, WrongState
from tidegate.domain.events import RUN_RESUMED, RUN_STARTED
from tidegate.domain.job import RESTARTABLE, TERMINAL, WAITING, Job, Json, Ms, State
from tidegate.domain.spec import digest_of
from tidegate.ports import JobKey, Ports, RunPage

from .announce import announce, remember_lanes
from .audit import audited
from .budgets import check_budget
from .call_back import check_waiting
from .door import admit_run
from .node_jobs import checked_jobs, ready_to_store
from .other_runs import is_outlived, visible_run, wait_for_others
from .policies import tenant_named
from .record_changes import run_series
from .release import Engine
from .run_ends import announce_run, tell_who_waits
from .supervise import start_supervisor

_CHUNK = 100
_TRIES = 5
_NOT_ASKED = frozenset({"nodes", "dag_id", "idempotency_key", "task_token", "definition", "asked"})


@dataclass(frozen=True, slots=True)
class RunView:
    """A run with its figures, and its jobs where they were asked for."""

    run: Run
    progress: RunProgress
    jobs: Sequence[Job] = ()


def submit_dag(
    ports: Ports,
    caller: Caller,
    spec: DagSpec,
    conditions: Mapping[str, Json],
    faults: Sequence[Fault] = (),
    *,
    by_rule: bool = False,
) -> tuple[RunView, bool]:
    """Accept a run whole, or refuse it whole; answers whether it is new. The same request again answers the same run.

    `conditions` are the nodes' `when`s as they were sent, `faults` what is wrong with the request's words; `by_rule`
    tells that a schedule asks, which is not counted against the tenant's rate. Every job is checked before anything
    is stored: one InvalidInput names all faults. A crash on the way leaves a run in CREATED:
    the same request completes it, or else the clock cancels it.
    """
    caller.require(Scope.SUBMIT)
    tenant = tenant_named(ports, caller.tenant)
    tenant.check_nodes(len(spec.nodes))
    check_waiting(ports, spec.task_token)
    now = ports.now()
    key = _key_of(caller, spec)
    run_id = spec.dag_id or (key and ports.dags.id_under(caller.tenant, key)) or ports.new_id()
    jobs = checked_jobs(ports, caller, spec, run_id, now, faults)
    if key is not None and (agreed := ports.dags.keep_under(caller.tenant, key, run_id)) != run_id:
        return submit_dag(ports, caller, replace(spec, dag_id=agreed), conditions)
    graph = Graph.of(spec, conditions)
    fingerprint = spec.asked or digest_of(_asked(spec, conditions))
    run = replace(_new_run(caller, spec, run_id, now, fingerprint, jobs), key=key)
    seen = ports.dags.get(run.tenant, run.id)
    if seen is None:
        check_budget(ports, tenant, now)
        if not by_rule:
            admit_run(ports, tenant, len(jobs), now)
        ports.blobs.put(run.graph_ref, graph.dump())
        seen = ports.dags.create_if_absent(run)
    if seen is not None and (seen.fingerprint, seen.owner) != (run.fingerprint, run.owner):
        raise Conflict(f"run '{run.id}' exists already and was asked for differently", dag_id=run.id)
    run = seen or run
    if spec.task_token not in (None, run.task_token):
        run = _wait_instead(ports, run, spec.task_token)
    if run.state is RunState.CREATED:
        run = _start(ports, run, graph, jobs)
    return RunView(run, progress_of(run.total, {State.CREATED: run.total})), seen is None


def check_run(ports: Ports, caller: Caller, spec: DagSpec, faults: Sequence[Fault] = ()) -> None:
    """Raises what `submit_dag` would raise of a run; stores nothing."""
    caller.require(Scope.SUBMIT)
    tenant_named(ports, caller.tenant).check_nodes(len(spec.nodes))
    check_waiting(ports, spec.task_token)
    checked_jobs(ports, caller, spec, spec.dag_id or ports.new_id(), ports.now(), faults)


def get_run(ports: Ports, caller: Caller, dag_id: str) -> RunView:
    """A run with its jobs, in the order of its nodes. Raises NotFound."""
    caller.require(Scope.READ)
    run = visible_run(ports, caller, dag_id)
    jobs = list(jobs_of(ports, run, Engine(ports).graph(run)))
    states = Counter(job.state.value for job in jobs)
    return RunView(run, progress_of(len(jobs), states), jobs)


def run_progress(ports: Ports, caller: Caller, dag_id: str) -> RunView:
    """A run with its figures as the change feed counted them: one read, whatever its size. Raises NotFound."""
    caller.require(Scope.READ)
    run = visible_run(ports, caller, dag_id)
    return RunView(run, _counted(ports, run))


def graph_of(ports: Ports, caller: Caller, dag_id: str) -> Picture:
    """A run as a picture. Raises NotFound."""
    view = get_run(ports, caller, dag_id)
    graph = Engine(ports).graph(view.run)
    return Picture.of(view.jobs, graph.edges(), ports.now())


def list_runs(
    ports: Ports, caller: Caller, states: frozenset[RunState], limit: int, cursor: str | None
) -> tuple[Sequence[RunView], str | None]:
    """The tenant's runs, newest first, with their figures."""
    caller.require(Scope.READ)
    page: RunPage = ports.dags.page(caller.tenant, states, limit, cursor)
    now, sees_all = ports.now(), caller.sees_all_users()
    shown = [run for run in page.runs if (run.owner == caller.user or sees_all) and not is_outlived(run, now)]
    return [RunView(run, _counted(ports, run)) for run in shown], page.next_cursor


def next_job(ports: Ports, caller: Caller, dag_id: str) -> Job | None:
    """Seed 001's query: of the jobs that wait for nothing but a worker, the one of highest priority, then oldest."""
    view = get_run(ports, caller, dag_id)
    ready = [job for job in view.jobs if job.state in WAITING and not job.blocked]
    return min(ready, key=lambda job: (-job.priority, job.created_at, job.id), default=None)


def cancel_run(ports: Ports, caller: Caller, dag_id: str, reason: str | None = None) -> Run:
    """Stop a run: waiting jobs at once, running ones cooperatively; then its clean-up nodes run.

    Raises NotFound, WrongState when it has ended otherwise.
    """
    caller.require(Scope.SUBMIT)
    run = visible_run(ports, caller, dag_id)
    if run.state is RunState.CANCELLED or run.stopping is RunState.CANCELLED:
        return run
    if run.state not in OPEN_RUNS:
        raise WrongState(f"run '{dag_id}' has ended: {run.state}", dag_id=dag_id, state=str(run.state))
    audited(ports, caller, "dag.cancel", run.id, reason=reason)
    return Engine(ports).stop(run, RunState.CANCELLED, reason or f"cancelled by {caller.user}")


def resume_run(ports: Ports, caller: Caller, dag_id: str) -> Run:
    """Run again what failed, expired or was cancelled in an ended run, and what hung on it; nothing else.

    Raises NotFound, WrongState for a run that goes on or that COMPLETED, or some of whose jobs were deleted.
    """
    caller.require(Scope.SUBMIT)
    run = visible_run(ports, caller, dag_id)
    if run.state in OPEN_RUNS or run.state is RunState.COMPLETED:
        raise WrongState(f"run '{dag_id}' is {run.state}: there is nothing to resume", state=str(run.state))
    now = ports.now()
    engine = Engine(ports)
    graph = engine.graph(run)
    jobs = list(jobs_of(ports, run, graph))
    if (gone := run.total + sum(entries_of(job) or 0 for job in jobs) - len(jobs)) > 0:
        raise WrongState(f"run '{dag_id}' cannot be resumed: {gone} of its jobs were deleted", state=str(run.state))
    audited(ports, caller, "dag.resume", run.id)
    again = [job for job in jobs if _runs_again(job, graph)]
    entries = [job for job in again if node_of_item(job.node or "") is not None]
    nodes = [job for job in again if node_of_item(job.node or "") is None]
    for chunk in _chunks(nodes):
        ports.jobs.apply([guarded.block_again_if_ended(job, now) for job in chunk])
    for chunk in _chunks(entries):
        remember_lanes(ports, chunk)
        outcomes = ports.jobs.apply([guarded.restart_if_ended(job, now) for job in chunk])
        announce(ports, [each.job for each in outcomes if each.applied and each.job is not None])
    opened = _opened_again(run, now)
    if not ports.dags.put_if_unchanged(opened, run):
        raise Conflict(f"run '{dag_id}' is being changed by someone else", dag_id=dag_id)
    announce_run(ports, opened, RUN_RESUMED)
    start_supervisor(ports, opened)
    # Those that wait already are of a resumption that was cut off before it could open the run.
    waiting = [*nodes, *(job for job in jobs if job.blocked)]
    engine.evaluate(opened, [job.node for job in waiting if job.node is not None])
    return opened


def _key_of(caller: Caller, spec: DagSpec) -> str | None:
    """Under what the id of a run asked for with a key is kept; None for a run that has an id, or no key."""
    if spec.idempotency_key is None or spec.dag_id is not None:
        return None
    return digest_of([caller.user, spec.idempotency_key])


def _new_run(caller: Caller, spec: DagSpec, run_id: str, now: Ms, fingerprint: str, jobs: Sequence[Job]) -> Run:
    keep_seconds, keep_until = keeping(jobs)
    return Run(
        id=run_id,
        tenant=caller.tenant,
        owner=caller.user,
        name=spec.name,
        state=RunState.CREATED,
        failure_policy=spec.failure_policy,
        graph_ref=f"{caller.tenant}/dags/{run_id}/graph.json",
        total=len(spec.nodes),
        created_at=now,
        updated_at=now,
        soft_sla=spec.soft_sla,
        hard_sla=spec.hard_sla,
        tags=spec.tags,
        metadata=spec.metadata,
        task_token=spec.task_token,
        definition=spec.definition,
        fingerprint=fingerprint,
        correlation_id=None if caller.correlation is None else caller.correlation.id,
        keep_seconds=keep_seconds,
        keep_until=keep_until,
    )


def _wait_instead(ports: Ports, run: Run, token: str) -> Run:
    """The same run was asked for with another token: its task was repeated, and the old token is worth nothing."""
    for _ in range(_TRIES):
        waiting = replace(run, task_token=token)
        if run.state not in OPEN_RUNS:
            tell_who_waits(ports, waiting)
            return run
        if ports.dags.put_if_unchanged(waiting, run):
            return waiting
        run = ports.dags.get(run.tenant, run.id) or run
    raise Unavailable(f"run '{run.id}' keeps changing")


def _opened_again(run: Run, now: Ms) -> Run:
    """A run that goes on under a supervisor of its own. Deadlines that have passed no longer bind it."""
    return replace(
        run,
        state=RunState.ACTIVE,
        stopping=None,
        reason=None,
        completed_at=None,
        updated_at=now,
        resumed=run.resumed + 1,
        supervisor_token=None,
        soft_sla=_ahead(run.soft_sla, now),
        hard_sla=_ahead(run.hard_sla, now),
    )


def _ahead(deadline: Ms | None, now: Ms) -> Ms | None:
    return deadline if deadline is not None and deadline > now else None


def jobs_of(ports: Ports, run: Run, graph: Graph) -> Iterator[Job]:
    """The stored jobs of a run, in the order of its nodes; those of a node's entries stand before it."""
    for nodes in _chunks(list(graph.nodes())):
        for job in _stored(ports, run, nodes):
            entries = [item_node(job.node or "", number) for number in range(entries_of(job) or 0)]
            for chunk in _chunks(entries):
                yield from _stored(ports, run, chunk)
            yield job


def _stored(ports: Ports, run: Run, nodes: Sequence[str]) -> list[Job]:
    found = ports.jobs.get([JobKey(run.tenant, node_job_id(run.id, node)) for node in nodes])
    return [job for job in found if job is not None]


def _counted(ports: Ports, run: Run) -> RunProgress:
    """The figures of nodes and entries together, as the change feed counted them."""
    nodes = Counter(ports.figures.read(run.tenant, run_series(run.id)))
    entries = Counter(ports.figures.read(run.tenant, run_series(run.id, items=True)))
    return progress_of(run.total + sum(entries.values()), nodes + entries)


def _start(ports: Ports, run: Run, graph: Graph, jobs: Sequence[Job]) -> Run:
    """Store what is not stored yet, then let the roots go. May be done again after a crash anywhere."""
    for chunk in _chunks(jobs):
        ports.jobs.create([ready_to_store(ports, job) for job in chunk])
    wait_for_others(ports, run, graph)
    active = replace(run, state=RunState.ACTIVE, updated_at=ports.now())
    announce_run(ports, active, RUN_STARTED)
    engine = Engine(ports)
    if not ports.dags.put_if_unchanged(active, run):
        found = ports.dags.get(run.tenant, run.id) or run
        if found.state not in OPEN_RUNS:  # given up meanwhile: nobody else knows of the jobs that were stored since
            engine.cancel_jobs(found, graph, clean_up_too=True)
        return found
    roots = graph.roots()
    supervised = start_supervisor(ports, active)
    # The first ones start at once; a supervisor has more time for the others than a request has.
    engine.evaluate(active, roots[:_CHUNK] if supervised else roots)
    return active


def _runs_again(job: Job, graph: Graph) -> bool:
    """Whether a resumed run needs the job once more: it did not succeed, or hung on one that did not."""
    cleanup = job.node is not None and node_of_item(job.node) is None and graph.vertex(job.node).cleanup
    return job.state in TERMINAL and (cleanup or job.state in RESTARTABLE or job.broken)


def _asked(spec: DagSpec, conditions: Mapping[str, Json]) -> dict[str, Any]:
    asked = {each.name: getattr(spec, each.name) for each in fields(spec) if each.name not in _NOT_ASKED}
    nodes = [
        [
            node.id,
            dict(node.job or {}),
            node.depends_on,
            node.join,
            node.join_count,
            conditions.get(node.id),
            node.for_each,
            node.taken_by,
            node.cleanup,
        ]
        for node in spec.nodes
    ]
    return {**asked, "metadata": dict(spec.metadata), "nodes": nodes}


def _chunks(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _CHUNK):
        yield items[start : start + _CHUNK]
