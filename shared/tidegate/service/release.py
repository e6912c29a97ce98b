"""What the end of a job means for the nodes behind it: let them go, skip them, or wait.

Nothing is counted on edges: whenever a parent ends, the node's parents are looked at as they are in the
table (consistently), and the answer is one guarded write on the node. So an end may be told twice, late, or to
two processes at once. Of several parents the last one to be told of sees all others ended.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tidegate.domain import guarded
from tidegate.domain.dag.branches import why_not_taken
from tidegate.domain.dag.conditions import evidence, found_at, holds, nodes_in
from tidegate.domain.dag.graph import Graph, Vertex
from tidegate.domain.dag.joins import Decision, End, Pass, Release, Wait, decide
from tidegate.domain.dag.run import (
    BROKEN,
    OPEN_RUNS,
    Run,
    RunState,
    end_of,
    item_node,
    node_job_id,
    node_of_item,
    outcome_of,
)
from tidegate.domain.dag.spec import FailurePolicy, Join
from tidegate.domain.errors import Unavailable
from tidegate.domain.guarded import GuardedWrite
from tidegate.domain.job import TERMINAL, WAITING, Job, State
from tidegate.ports import JobKey, Ports

from .announce import announce, remember_lanes
from .apart import Apart
from .entries import ends_of_entries, entries_of, fan_out
from .payloads import with_payloads
from .record_changes import Change, run_series
from .run_ends import settle

_log = logging.getLogger("tidegate.dag")
_CHUNK = 100
_TRIES = 5
_GRAPHS_KEPT = 32
_graphs: dict[str, Graph] = {}
"""Graphs never change, so a process keeps the ones it used last, whichever home they are from (keys are unique)."""


def release_after(ports: Ports, changes: Sequence[Change]) -> None:
    """Go on with every run that one of these changes belongs to. May be done again. Raises Unavailable.

    A run whose step fails otherwise is left to the clock, which looks at all runs: the changes of others must not
    wait for it.
    """
    ended: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for change in changes:
        if change.dag_id is not None and change.node is not None and change.state in TERMINAL:
            ended[change.tenant, change.dag_id].append(change.node)
    apart = Apart("run_left")
    for (tenant, dag_id), nodes in ended.items():
        apart.do(f"run {dag_id}", partial(_go_on, ports, tenant, dag_id, nodes), None)
    apart.conclude(only=Unavailable)


def _go_on(ports: Ports, tenant: str, dag_id: str, ended: Sequence[str]) -> None:
    run = ports.dags.get(tenant, dag_id)
    if run is None:
        return
    engine = Engine(ports)
    if run.state in OPEN_RUNS:
        engine.go_on(run, ended)
    for waiter in run.waiters:
        engine.go_on_outside(tenant, waiter, [f"{dag_id}:{node}" for node in ended])


_ABANDONED_MS = 600_000


class Engine:
    """Moves runs forward."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def graph(self, run: Run) -> Graph:
        """The run's graph. Raises NotFound when its blob is gone."""
        found = _graphs.get(run.graph_ref)
        if found is None:
            found = Graph.load(self._ports.blobs.get(run.graph_ref))
            if len(_graphs) >= _GRAPHS_KEPT:
                _graphs.pop(next(iter(_graphs)))
            _graphs[run.graph_ref] = found
        return found

    def go_on(self, run: Run, ended: Sequence[str]) -> None:
        """Some nodes of an open run have ended: release what hangs on them, stop or close the run if that is due."""
        graph = self.graph(run)
        if run.stopping is None and run.failure_policy is FailurePolicy.FAIL_FAST:
            broken = self._first_broken(run, ended)
            if broken is not None:
                run = self.stop(run, RunState.FAILED, f"its node {broken.node} is {broken.state}")
        children = dict.fromkeys(child for node in ended for child in _behind(graph, node))
        self.evaluate(run, list(children))
        self.close_if_done(run)

    def go_on_outside(self, tenant: str, dag_id: str, ended: Sequence[str]) -> None:
        """Nodes of another run have ended, named with its id: release what hangs on them in this one."""
        run = self._ports.dags.get(tenant, dag_id)
        if run is not None and run.state is RunState.ACTIVE:
            behind = self.graph(run).outside
            self.evaluate(run, list(dict.fromkeys(child for name in ended for child in behind.get(name, ()))))

    def check(self, run: Run) -> None:
        """Look at every node of an open run: what a lost change would have caused is caused now."""
        graph = self.graph(run)
        if run.state is RunState.CREATED:
            self._abandon(run, graph)
            return
        if run.stopping is not None:
            self._stop_jobs(run, graph)
        self.evaluate(run, list(graph.nodes()))
        self.close_if_done(run, whatever_is_counted=True)

    def evaluate(self, run: Run, nodes: Sequence[str]) -> None:
        """Release or skip each of the nodes that is still blocked and whose parents allow an answer."""
        graph = self.graph(run)
        for start in range(0, len(nodes), _CHUNK):
            jobs = self._jobs(run, nodes[start : start + _CHUNK])
            blocked = [job for job in jobs if _is_blocked(job)]
            blocked = [self._fanned_out(run, graph, job) for job in blocked]
            writes = [write for job in blocked if (write := self._write_for(run, graph, job)) is not None]
            remember_lanes(self._ports, blocked if writes else [])
            outcomes = self._ports.jobs.apply(writes) if writes else []
            started = [each.job for each in outcomes if each.applied and each.job and each.job.state in WAITING]
            announce(self._ports, started)

    def stop(self, run: Run, ending: RunState, reason: str) -> Run:
        """End a run early: no further node starts but clean-up, and what runs is asked to stop."""
        for _ in range(_TRIES):
            if run.stopping is not None or run.state not in OPEN_RUNS:
                break
            stopping = replace(run, stopping=ending, reason=reason, updated_at=self._ports.now())
            if self._ports.dags.put_if_unchanged(stopping, run):
                run = stopping
                break
            run = self._ports.dags.get(run.tenant, run.id) or run
        self._stop_jobs(run, self.graph(run))
        self.close_if_done(run, whatever_is_counted=True)
        return run

    def close_if_done(self, run: Run, *, whatever_is_counted: bool = False) -> None:
        """End the run when all of its jobs have.

        The feed's figures tell when to look; the table decides, for figures of several jobs come in any order.
        """
        counted = self._ports.figures.read(run.tenant, run_series(run.id))
        if not (whatever_is_counted or _all_ended(run, counted)):
            return
        states = self._recount(run)
        if not _all_ended(run, states):
            return
        for _ in range(_TRIES):
            if run.state not in OPEN_RUNS:
                return
            now = self._ports.now()
            closed = replace(run, state=outcome_of(run, states), completed_at=now, updated_at=now)
            if self._ports.dags.put_if_unchanged(closed, run):
                settle(self._ports, closed)
                return
            run = self._ports.dags.get(run.tenant, run.id) or run

    def _abandon(self, run: Run, graph: Graph) -> None:
        """Cancel a run that was never stored whole and whose request was not repeated."""
        now = self._ports.now()
        if now - run.created_at < _ABANDONED_MS:
            return
        reason = "it was never stored whole"
        closed = replace(run, state=RunState.CANCELLED, reason=reason, completed_at=now, updated_at=now)
        if self._ports.dags.put_if_unchanged(closed, run):
            self._stop_jobs(closed, graph)
            settle(self._ports, closed)

    def _write_for(self, run: Run, graph: Graph, job: Job) -> GuardedWrite | None:
        now = self._ports.now()
        vertex = graph.vertex(job.node or "")
        if run.stopping is not None and not vertex.cleanup:
            return guarded.cancel_if_waiting(job, run.reason or "the run was stopped", now)
        parents = self.parents(run, vertex)
        decision = self._decision(run, vertex, parents)
        entries = entries_of(job)
        if isinstance(decision, Release) and entries is not None:
            decision = decide(Join.ALL_DONE, None, ends_of_entries(self._ports, run, job, entries))
        if isinstance(decision, Wait):
            return None
        if isinstance(decision, Pass):
            why = "failed" if decision.broken else "skipped"
            reason = f"upstream {why}: {', '.join(decision.because[:5])}"
            return guarded.skip_if_blocked(job, reason, now, broken=decision.broken)
        if entries is None and (why_not := self._why_not(vertex, job, parents)) is not None:
            return guarded.skip_if_blocked(job, why_not, now, broken=False)
        return guarded.unblock(job, now)

    def _fanned_out(self, run: Run, graph: Graph, job: Job) -> Job:
        """The job of a node with `for_each` whose time has come, once its entries have got jobs of their own."""
        vertex = graph.vertex(job.node or "")
        if vertex.for_each is None or entries_of(job) is not None or run.stopping is not None:
            return job
        parents = self.parents(run, vertex)
        if not isinstance(self._decision(run, vertex, parents), Release):
            return job
        if self._why_not(vertex, job, parents) is not None:
            return job
        found = found_at(vertex.for_each, self._results(parents, {str(vertex.for_each[0])}))
        return fan_out(self._ports, run, job, found)

    def _why_not(self, vertex: Vertex, job: Job, parents: Mapping[str, Job | None]) -> str | None:
        """Why a node is not to run although its parents would let it, in words; None if it is."""
        chosen = {name: each["result"] for name, each in self._results(parents, vertex.taken_by).items()}
        if chosen and (why := why_not_taken(job.node or "", chosen)) is not None:
            return why
        if vertex.when is None:
            return None
        upstream = self._results(parents, nodes_in(vertex.when))
        return None if holds(vertex.when, upstream) else f"condition not met: {evidence(vertex.when, upstream)}"

    def _decision(self, run: Run, vertex: Vertex, parents: Mapping[str, Job | None]) -> Decision:
        ends: dict[str, End | None] = {name: None if job is None else end_of(job) for name, job in parents.items()}
        join = Join.ALL_DONE if vertex.cleanup else vertex.join
        if None in ends.values() and len(ends) < len(vertex.depends_on):
            return Wait()
        decision = decide(join, vertex.join_count, ends)
        if isinstance(decision, Release) and any(ends.get(node) is None for node in vertex.looks_at):
            return Wait()
        return Release() if isinstance(decision, Pass) and vertex.cleanup and run.stopping else decision

    def parents(self, run: Run, vertex: Vertex) -> Mapping[str, Job | None]:
        """The parents as stored. For joins that wait for all, reading ends at the first chunk with an open one.

        The last chunk is read first: its jobs were released last, so while any is open it most likely has one, and
        what a wide join costs does not grow with the square of its width.
        """
        found: dict[str, Job | None] = {}
        early = vertex.join in {Join.ANY, Join.N_OF}
        for start in reversed(range(0, len(vertex.depends_on), _CHUNK)):
            nodes = vertex.depends_on[start : start + _CHUNK]
            keys = [JobKey(run.tenant, node_job_id(run.id, node)) for node in nodes]
            found |= dict(zip(nodes, self._ports.jobs.get(keys), strict=True))
            if not early and any(job is None or end_of(job) is None for job in found.values()):
                break
        return {node: found[node] for node in vertex.depends_on if node in found}

    def _results(self, parents: Mapping[str, Job | None], wanted: Iterable[str]) -> dict[str, Any]:
        jobs = {node: parents[node] for node in wanted}
        full = {node: with_payloads(self._ports.blobs, job) for node, job in jobs.items() if job is not None}
        return {node: {"state": job.state.value, "result": job.result} for node, job in full.items()}

    def _first_broken(self, run: Run, nodes: Sequence[str]) -> Job | None:
        return next((job for job in self._jobs(run, nodes) if end_of(job) is End.BROKEN), None)

    def _stop_jobs(self, run: Run, graph: Graph) -> None:
        now, reason = self._ports.now(), run.reason or "the run was stopped"
        nodes = [node for node in graph.nodes() if not graph.vertex(node).cleanup]
        for start in range(0, len(nodes), _CHUNK):
            jobs = self._jobs(run, nodes[start : start + _CHUNK])
            writes = [guarded.cancel_if_waiting(job, reason, now) for job in jobs if job.state in WAITING]
            writes += [guarded.request_cancel_if_active(job, reason, now) for job in jobs if job.state is State.ACTIVE]
            if writes:
                self._ports.jobs.apply(writes)
            self._stop_entries(run, jobs)

    def _stop_entries(self, run: Run, jobs: Sequence[Job]) -> None:
        now, reason = self._ports.now(), run.reason or "the run was stopped"
        for job in jobs:
            names = [item_node(job.node or "", number) for number in range(entries_of(job) or 0)]
            entries = self._jobs(run, names)
            writes = [guarded.cancel_if_waiting(each, reason, now) for each in entries if each.state in WAITING]
            writes += [guarded.request_cancel_if_active(e, reason, now) for e in entries if e.state is State.ACTIVE]
            if writes:
                self._ports.jobs.apply(writes)

    def _jobs(self, run: Run, nodes: Sequence[str]) -> list[Job]:
        found: list[Job] = []
        for start in range(0, len(nodes), _CHUNK):
            keys = [JobKey(run.tenant, node_job_id(run.id, node)) for node in nodes[start : start + _CHUNK]]
            found += [job for job in self._ports.jobs.get(keys) if job is not None]
        return found

    def _recount(self, run: Run) -> Mapping[str, int]:
        states: defaultdict[str, int] = defaultdict(int)
        for job in self._jobs(run, list(self.graph(run).nodes())):
            states[job.state] += 1
            states[BROKEN] += job.broken
        return states


def _is_blocked(job: Job) -> bool:
    return job.blocked and job.state is State.CREATED


def _all_ended(run: Run, states: Mapping[str, int]) -> bool:
    return sum(states.get(state, 0) for state in TERMINAL) >= run.total


def _behind(graph: Graph, name: str) -> Sequence[str]:
    """What may go on when this job has ended: the nodes behind its node, or the node whose entry it is."""
    owner = node_of_item(name)
    return graph.children(name) if owner is None else (owner,)
