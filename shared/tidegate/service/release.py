"""What the end of a job means for the nodes behind it: let them go, skip them, or wait.

Nothing is counted on edges: whenever a parent ends, the node's parents are looked at as they are in the
table (consistently), and the answer is one guarded write on the node. So an end may be told twice, late, or to
two processes at once. Of several parents the last one to be told of sees all others ended.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

from tidegate.domain import guarded
from tidegate.domain.change import Change
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
    entries_of,
    item_node,
    node_job_id,
    node_of_item,
    outcome_of,
)
from tidegate.domain.dag.spec import FailurePolicy, Join
from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import GuardedWrite
from tidegate.domain.job import TERMINAL, WAITING, Job, State
from tidegate.ports import JobKey, Ports

from .announce import announce, remember_lanes
from .apart import Apart
from .entries import ends_of_entries, fan_out
from .looks import Looks, Stand, is_narrow, suspects
from .record_changes import run_series
from .run_ends import settle

_log = logging.getLogger("tidegate.dag")
_CHUNK = 100
_TRIES = 5
_GRAPHS_KEPT, _NODES_KEPT = 32, 12_000
_graphs: dict[str, Graph] = {}
"""Graphs never change, so a process keeps the ones it used last, whichever home they are from (keys are unique)."""


def release_after(ports: Ports, changes: Sequence[Change]) -> None:
    """Go on with every run that one of these changes belongs to. May be done again. Raises Unavailable.

    A run whose step fails otherwise is left to the clock, which looks at all runs: the changes of others must not
    wait for it.
    """
    ended: defaultdict[tuple[str, str], dict[str, State]] = defaultdict(dict)
    for change in changes:
        if change.dag_id is not None and change.node is not None and change.state in TERMINAL:
            ended[change.tenant, change.dag_id][change.node] = change.state
    apart = Apart("run_left")
    for (tenant, dag_id), nodes in ended.items():
        apart.do(f"run {dag_id}", partial(_go_on, ports, tenant, dag_id, nodes), None)
    apart.conclude(only=Unavailable)


def _go_on(ports: Ports, tenant: str, dag_id: str, ended: Mapping[str, State]) -> None:
    run = ports.dags.get(tenant, dag_id)
    if run is None:
        return
    engine = Engine(ports)
    if run.state in OPEN_RUNS:
        engine.go_on(run, ended)
    for waiter in run.waiters:
        engine.go_on_outside(tenant, waiter, {f"{dag_id}:{node}": state for node, state in ended.items()})


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
            while _graphs and (
                len(_graphs) >= _GRAPHS_KEPT or sum(map(len, _graphs.values())) > _NODES_KEPT - len(found)
            ):
                _graphs.pop(next(iter(_graphs)))
            _graphs[run.graph_ref] = found
        return found

    def go_on(self, run: Run, ended: Mapping[str, State]) -> None:
        """Some nodes of an open run have ended: release what hangs on them, stop or close the run if that is due."""
        graph = self.graph(run)
        if run.stopping is None and run.failure_policy is FailurePolicy.FAIL_FAST:
            broken = self._first_broken(run, suspects(ended))
            if broken is not None:
                run = self.stop(run, RunState.FAILED, f"its node {broken.node} is {broken.state}")
        children = dict.fromkeys(child for node in ended for child in _behind(graph, node))
        self.evaluate(run, list(children), Looks(self._ports, run, ended))
        self.close_if_done(run)

    def go_on_outside(self, tenant: str, dag_id: str, ended: Mapping[str, State]) -> None:
        """Nodes of another run have ended, named with its id: release what hangs on them in this one."""
        run = self._ports.dags.get(tenant, dag_id)
        if run is not None and run.state is RunState.ACTIVE:
            behind = self.graph(run).outside
            children = dict.fromkeys(child for name in ended for child in behind.get(name, ()))
            self.evaluate(run, list(children), Looks(self._ports, run, ended))

    def check(self, run: Run) -> None:
        """Look at every node of an open run: what a lost change would have caused is caused now."""
        graph = self.graph(run)
        if run.state is RunState.CREATED:
            self._abandon(run, graph)
            return
        if run.stopping is not None:
            self.cancel_jobs(run, graph)
        self.evaluate(run, list(graph.nodes()), Looks(self._ports, run, whatever_is_counted=True))
        self.close_if_done(run, whatever_is_counted=True)

    def evaluate(self, run: Run, nodes: Sequence[str], looks: Looks | None = None) -> None:
        """Release or skip each of the nodes that is still blocked and whose parents allow an answer."""
        graph, looks = self.graph(run), looks or Looks(self._ports, run)
        for start in range(0, len(nodes), _CHUNK):
            jobs = self._jobs(run, self._not_held(run, graph, nodes[start : start + _CHUNK], looks))
            blocked = [job for job in jobs if _is_blocked(job)]
            writes = [write for job in blocked if (write := self._write_for(run, graph, job, looks)) is not None]
            remember_lanes(self._ports, blocked if writes else [])
            outcomes = self._ports.jobs.apply(writes) if writes else []
            started = [each.job for each in outcomes if each.applied and each.job and each.job.state in WAITING]
            announce(self._ports, started)

    def _not_held(self, run: Run, graph: Graph, nodes: Sequence[str], looks: Looks) -> Sequence[str]:
        """The nodes without those that wait for a few others and cannot go on: these need not be read at all."""
        if run.stopping is not None:
            return nodes
        narrow = {node: vertex for node in nodes if is_narrow(vertex := graph.vertex(node))}
        looks.narrowly(narrow.values())
        held = {n for n, v in narrow.items() if isinstance(self._decision(run, v, looks.before(n, v)), Wait)}
        return [node for node in nodes if node not in held]

    def stop(self, run: Run, ending: RunState, reason: str) -> Run:
        """End a run early: no further node starts but clean-up, and what runs is asked to stop."""
        run = self._noted(run, ending, reason)
        self.cancel_jobs(run, self.graph(run))
        self.close_if_done(run, whatever_is_counted=True)
        return run

    def _noted(self, run: Run, ending: RunState, reason: str) -> Run:
        """The run with a note of how it is to end; one that stops already, or has ended, as it is."""
        for _ in range(_TRIES):
            if run.stopping is not None or run.state not in OPEN_RUNS:
                break
            stopping = replace(run, stopping=ending, reason=reason, updated_at=self._ports.now())
            if self._ports.dags.put_if_unchanged(stopping, run):
                return stopping
            run = self._ports.dags.get(run.tenant, run.id) or run
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
        """Cancel a run that was never stored whole and whose request was not repeated.

        That it is given up is noted first, and it is closed last: a crash in between leaves no job behind. Nothing of
        it has run, so there is nothing to clean up.
        """
        if self._ports.now() - run.created_at < _ABANDONED_MS:
            return
        run = self._noted(run, RunState.CANCELLED, "it was never stored whole")
        if run.state is not RunState.CREATED:
            return
        self.cancel_jobs(run, graph, clean_up_too=True)
        now = self._ports.now()
        closed = replace(run, state=RunState.CANCELLED, completed_at=now, updated_at=now)
        if self._ports.dags.put_if_unchanged(closed, run):
            settle(self._ports, closed)

    def _write_for(self, run: Run, graph: Graph, job: Job, looks: Looks) -> GuardedWrite | None:
        now = self._ports.now()
        vertex = graph.vertex(job.node or "")
        if run.stopping is not None and not vertex.cleanup:
            return guarded.cancel_if_waiting(job, run.reason or "the run was stopped", now)
        decision = self._decision(run, vertex, looks.before(job.node or "", vertex))
        if isinstance(decision, Wait):
            return None
        if isinstance(decision, Pass):
            why = "failed" if decision.broken else "skipped"
            reason = f"upstream {why}: {', '.join(decision.because[:5])}"
            return guarded.skip_if_blocked(job, reason, now, broken=decision.broken)
        if entries_of(job) is None and (why_not := self._why_not(vertex, job, looks)) is not None:
            return guarded.skip_if_blocked(job, why_not, now, broken=False)
        return guarded.unblock(job, now) if self._has_its_entries(run, vertex, job, looks) else None

    def _has_its_entries(self, run: Run, vertex: Vertex, job: Job, looks: Looks) -> bool:
        """Whether the entries of a node with `for_each` have ended, once they have got jobs of their own."""
        if vertex.for_each is None:
            return True
        if entries_of(job) is None:
            found = found_at(vertex.for_each, looks.results({str(vertex.for_each[0])}))
            job = fan_out(self._ports, run, job, found)
        ends = ends_of_entries(looks, job, entries_of(job) or 0)
        return isinstance(decide(Join.ALL_DONE, None, ends), Release)

    def _why_not(self, vertex: Vertex, job: Job, looks: Looks) -> str | None:
        """Why a node is not to run although its parents would let it, in words; None if it is."""
        chosen = {name: each["result"] for name, each in looks.results(vertex.taken_by).items()}
        if chosen and (why := why_not_taken(job.node or "", chosen)) is not None:
            return why
        if vertex.when is None:
            return None
        upstream = looks.results(nodes_in(vertex.when))
        return None if holds(vertex.when, upstream) else f"condition not met: {evidence(vertex.when, upstream)}"

    def _decision(self, run: Run, vertex: Vertex, parents: Mapping[str, Stand]) -> Decision:
        ends = {name: stand.end for name, stand in parents.items()}
        if vertex.depends_on and not ends:
            return Wait()
        decision = decide(Join.ALL_DONE if vertex.cleanup else vertex.join, vertex.join_count, ends)
        if isinstance(decision, Release) and any(ends.get(node) is None for node in vertex.looks_at):
            return Wait()
        return Release() if isinstance(decision, Pass) and vertex.cleanup and run.stopping else decision

    def _first_broken(self, run: Run, nodes: Sequence[str]) -> Job | None:
        return next((job for job in self._jobs(run, nodes) if end_of(job) is End.BROKEN), None)

    def cancel_jobs(self, run: Run, graph: Graph, *, clean_up_too: bool = False) -> None:
        """Cancel the jobs that wait, and ask those that run to stop."""
        now, reason = self._ports.now(), run.reason or "the run was stopped"
        nodes = [node for node in graph.nodes() if clean_up_too or not graph.vertex(node).cleanup]
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
        return [job for keys in _keys(run, nodes) for job in self._ports.jobs.get(keys) if job is not None]

    def _recount(self, run: Run) -> Mapping[str, int]:
        states: defaultdict[str, int] = defaultdict(int)
        nodes = list(self.graph(run).nodes())
        for keys in _keys(run, nodes):
            for seen in self._ports.jobs.glimpse(keys):
                if seen is not None:
                    states[seen.state] += 1
                    states[BROKEN] += seen.broken
        if run.state is not RunState.CREATED and (erased := len(nodes) - sum(states[state] for state in State)):
            states[State.FAILED] += erased  # nobody will ever know what became of them
        return states


def _keys(run: Run, nodes: Sequence[str]) -> Iterator[list[JobKey]]:
    for start in range(0, len(nodes), _CHUNK):
        yield [JobKey(run.tenant, node_job_id(run.id, node)) for node in nodes[start : start + _CHUNK]]


def _is_blocked(job: Job) -> bool:
    return job.blocked and job.state is State.CREATED


def _all_ended(run: Run, states: Mapping[str, int]) -> bool:
    return sum(states.get(state, 0) for state in TERMINAL) >= run.total


def _behind(graph: Graph, name: str) -> Sequence[str]:
    """What may go on when this job has ended: the nodes behind its node, or the node whose entry it is."""
    owner = node_of_item(name)
    return graph.children(name) if owner is None else (owner,)
