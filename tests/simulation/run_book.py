"""The runs of a history as they were asked for, and what must hold of each step that their nodes make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tidegate.domain.dag.branches import why_not_taken
from tidegate.domain.dag.conditions import found_at, holds, nodes_in
from tidegate.domain.dag.joins import Decision, End, Pass, Release, Wait, decide
from tidegate.domain.dag.run import COLLECT, end_of, item_node, local_name, node_job_id, node_of_item
from tidegate.domain.dag.spec import DagSpec, Join, NodeSpec, outside
from tidegate.domain.job import TERMINAL, Job, Ms, State
from tidegate.ports import JobKey

MINUTE: Ms = 60_000
AT_ONCE: Ms = 3 * MINUTE
"""How long the change feed may take to go on with a run once nothing goes wrong."""
BY_THE_CLOCK: Ms = 25 * MINUTE
"""How long the clock may take: it looks at each run every tenth minute, and gives up those never stored whole."""

Jobs = Mapping[JobKey, Job]
_MISSING = (None, End.BROKEN)
"""A node of another run that is not there may still come; or that run was given up, and it never will."""


@dataclass(slots=True)
class RunsBook:
    """The runs of a history, as they were asked for."""

    specs: dict[str, DagSpec] = field(default_factory=dict)
    accepted: dict[str, Ms] = field(default_factory=dict)
    """When each was answered for. One that never was may never have been stored whole."""

    def wrongly_moved(self, before: Job, job: Job, seen: Jobs) -> str | None:
        """What is wrong with a step that a blocked node made, in words; None if nothing is."""
        if job.dag_id not in self.specs or not before.blocked:
            return None
        if job.blocked:
            return self._wrongly_fanned_out(before, job, seen)
        faults = [self._wrong_by(self._decision(before, seen, missing), before, job, seen) for missing in _MISSING]
        return None if None in faults else faults[0]

    def _wrong_by(self, decision: Decision, before: Job, job: Job, seen: Jobs) -> str | None:
        if isinstance(decision, Release) and self._node(job).for_each is not None:
            entries = self._entries(before, seen)
            decision = Wait() if entries is None or not all(map(_has_ended, entries)) else Release()
        if job.state is State.CREATED and not isinstance(decision, Release):
            return f"{job.node} was let go: {decision}"
        if job.state is State.SKIPPED and (not isinstance(decision, Pass) or decision.broken != job.broken):
            return f"{job.node} was skipped: {decision}"
        return None

    def wrongly_made(self, job: Job, seen: Jobs) -> str | None:
        """What is wrong with a new job of a run: an entry has its place in a list, and its node may start."""
        owner = node_of_item(job.node or "")
        if job.dag_id not in self.specs or owner is None:
            return None
        gathers = seen[JobKey(job.tenant, node_job_id(job.dag_id or "", owner))]
        listed = self._list(gathers, seen)
        if not isinstance(self._decision(gathers, seen), Release):
            return f"{job.node} was made: {self._decision(gathers, seen)}"
        place = job.data["index"]
        return None if listed[place : place + 1] == [job.data["item"]] else f"{job.node} is none of {listed}"

    def stalled(self, seen: Jobs, calm_from: Ms | None, now: Ms) -> Iterator[str]:
        """Blocked nodes that could be let go or skipped, and nobody does so in time."""
        for job in seen.values() if calm_from is not None else ():
            if job.dag_id not in self.specs or not job.blocked or job.state in TERMINAL:
                continue
            entries = self._entries(job, seen) or []
            before = [*self._parents(job, seen), *filter(None, entries)]
            ended = [each.completed_at or 0 for each in before]
            theirs = [at for each, at in zip(before, ended, strict=True) if self._tells(each, job)]
            quickly = bool(theirs) and max(theirs) == max(ended) > (calm_from or 0) + AT_ONCE
            since = max([calm_from or 0, *ended])
            missing = len(self._parents(job, seen)) < len(job.dependencies)
            bound = AT_ONCE if quickly and not missing else (1 + missing) * BY_THE_CLOCK
            late = now - since > bound and all(map(_has_ended, entries))
            if late and not isinstance(self._decision(job, seen, End.BROKEN), Wait):
                yield f"{job.node} is blocked, and nothing keeps it so for {(now - since) / 1000:.0f} s"

    def wrongly_gathered(self, job: Job, seen: Jobs) -> str | None:
        """What is wrong with the result of a COMPLETED node that puts others' together: of entries, or of a run."""
        if job.state is not State.COMPLETED or job.result_ref is not None:
            return None
        entries = self._entries(job, seen)
        if entries is not None:
            wanted: Any = [_result(each) for each in entries]
        elif job.name == COLLECT:
            within = [name for name in job.dependencies if name.startswith(f"{job.node}/")]
            ends = {local_name(job.node or "", name): seen[_key(job, name)] for name in within}
            wanted = {name: _result(each) for name, each in ends.items() if each.state is State.COMPLETED}
        else:
            return None
        return None if _shortened(job.result) == wanted else f"{job.node} gathered {job.result} of {wanted}"

    def _decision(self, job: Job, seen: Jobs, missing: End | None = None) -> Decision:
        """What a node is to do, by how its parents stand and what they came to; entries are not looked at.

        `missing` is what a node of another run is taken for that is not there.
        """
        node = self._node(job)
        before = {parent: seen.get(_key(job, parent)) for parent in node.depends_on}
        ends: dict[str, End | None] = {name: None if each is None else end_of(each) for name, each in before.items()}
        ends |= {name: missing for name, each in before.items() if each is None and outside(name) is not None}
        decision = decide(Join.ALL_DONE if node.cleanup else node.join, node.join_count, ends)
        if not isinstance(decision, Release):
            return decision
        condition = nodes_in(node.when) if node.when is not None else frozenset()
        listed = {str(step) for step in (node.for_each or ())[:1]}
        if any(ends.get(name) is None for name in (*condition, *listed, *node.taken_by)):
            return Wait()
        upstream = {name: {"state": str(each.state), "result": _result(each)} for name, each in before.items() if each}
        chosen = {name: upstream[name]["result"] for name in node.taken_by}
        if chosen and why_not_taken(node.id, chosen) is not None:
            return Pass(False, tuple(chosen))
        if node.when is not None and not holds(node.when, upstream):
            return Pass(False, tuple(condition))
        return Release()

    def _wrongly_fanned_out(self, before: Job, job: Job, seen: Jobs) -> str | None:
        if self._node(job).for_each is None or job.data.get("entries") is None:
            return None
        listed = self._list(job, seen)
        wanted = len(listed) if isinstance(listed, list) else -1
        if before.data.get("entries") is not None or job.data["entries"] != wanted:
            return f"{job.node} has {job.data['entries']} entries of {listed}, and had {before.data.get('entries')}"
        return None

    def _list(self, job: Job, seen: Jobs) -> Any:
        steps = self._node(job).for_each or ()
        parent = seen[_key(job, str(steps[0]))]
        return found_at(steps, {str(steps[0]): {"state": str(parent.state), "result": _result(parent)}})

    def _entries(self, job: Job, seen: Jobs) -> list[Job | None] | None:
        """The jobs of a node's entries; None where there are to be none, or none yet."""
        spec = self.specs.get(job.dag_id or "")
        if spec is None or node_of_item(job.node or "") is not None or self._node(job).for_each is None:
            return None
        count = job.data.get("entries")
        return None if count is None else [seen.get(_key(job, item_node(job.node or "", n))) for n in range(count)]

    def _tells(self, before: Job, job: Job) -> bool:
        """Whether the end of a job reaches another at once: in its own run, or where that was accepted by then."""
        accepted = self.accepted.get(job.dag_id or "")
        return before.dag_id == job.dag_id or (accepted is not None and (before.completed_at or 0) > accepted)

    def _parents(self, job: Job, seen: Jobs) -> list[Job]:
        keys = [_key(job, parent) for parent in job.dependencies]
        return [seen[key] for key in keys if key in seen]

    def _node(self, job: Job) -> NodeSpec:
        return next(each for each in self.specs[job.dag_id or ""].nodes if each.id == job.node)


def _key(job: Job, name: str) -> JobKey:
    return JobKey(job.tenant, node_job_id(job.dag_id or "", name))


def _has_ended(job: Job | None) -> bool:
    return job is not None and job.state in TERMINAL


def _result(job: Job | None) -> Any:
    """A job's result; a word for one that is too large to stand in the job."""
    return None if job is None else job.result if job.result_ref is None else "much"


def _shortened(result: Any) -> Any:
    """A result as `_result` tells those that it is made of."""
    if isinstance(result, list):
        return [_shortened(each) for each in result]
    if isinstance(result, Mapping) and "n" not in result:
        return {name: _shortened(each) for name, each in result.items()}
    return "much" if isinstance(result, str) else result
