"""The runs of a history as they were asked for, and what must hold of each step that their nodes make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tidegate.domain.dag.joins import Decision, End, Pass, Release, Wait, decide
from tidegate.domain.dag.run import end_of, node_job_id
from tidegate.domain.dag.spec import DagSpec, Join
from tidegate.domain.job import TERMINAL, Job, Ms, State
from tidegate.ports import JobKey

MINUTE: Ms = 60_000
AT_ONCE: Ms = 3 * MINUTE
"""How long the change feed may take to go on with a run once nothing goes wrong."""
BY_THE_CLOCK: Ms = 25 * MINUTE
"""How long the clock may take: it looks at each run every tenth minute, and gives up those never stored whole."""


@dataclass(slots=True)
class RunsBook:
    """The runs of a history, as they were asked for."""

    specs: dict[str, DagSpec] = field(default_factory=dict)

    def decision(self, job: Job, seen: Mapping[JobKey, Job]) -> Decision:
        """What a node is to do, by how its parents stand."""
        spec = self.specs[job.dag_id or ""]
        node = next(each for each in spec.nodes if each.id == job.node)
        ends: dict[str, End | None] = {}
        for parent in node.depends_on:
            before = seen.get(JobKey(job.tenant, node_job_id(job.dag_id or "", parent)))
            ends[parent] = None if before is None else end_of(before)
        return decide(Join.ALL_DONE if node.cleanup else node.join, node.join_count, ends)

    def wrongly_moved(self, before: Job, job: Job, seen: Mapping[JobKey, Job]) -> str | None:
        """What is wrong with a step that a blocked node made, in words; None if nothing is."""
        if job.dag_id not in self.specs or not before.blocked or job.blocked:
            return None
        decision = self.decision(before, seen)
        if job.state is State.CREATED and not isinstance(decision, Release):
            return f"{job.node} was let go: {decision}"
        if job.state is State.SKIPPED and (not isinstance(decision, Pass) or decision.broken != job.broken):
            return f"{job.node} was skipped: {decision}"
        return None

    def stalled(self, seen: Mapping[JobKey, Job], calm_from: Ms | None, now: Ms) -> Iterator[str]:
        """Blocked nodes that could be let go or skipped, and nobody does so in time."""
        for job in seen.values() if calm_from is not None else ():
            if job.dag_id not in self.specs or not job.blocked or job.state in TERMINAL:
                continue
            ended = [each.completed_at or 0 for each in self._parents(job, seen)]
            quickly = bool(ended) and max(ended) > (calm_from or 0) + AT_ONCE
            bound = AT_ONCE if quickly else BY_THE_CLOCK
            since = max([calm_from or 0, *ended])
            if now - since > bound and not isinstance(self.decision(job, seen), Wait):
                yield f"{job.node} is blocked, and nothing keeps it so for {(now - since) / 1000:.0f} s"

    def _parents(self, job: Job, seen: Mapping[JobKey, Job]) -> list[Job]:
        keys = [JobKey(job.tenant, node_job_id(job.dag_id or "", parent)) for parent in job.dependencies]
        return [seen[key] for key in keys if key in seen]
