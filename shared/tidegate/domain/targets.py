"""What a schedule makes, again and again: a job, or a run of a DAG. Times in it are seconds from each run's time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, Self

from .dag.branches import parse_branch, parse_switch
from .dag.conditions import parse_condition
from .dag.run import CHOOSE
from .dag.spec import Choice, DagSpec, FailurePolicy, Join, NodeSpec, outside
from .errors import InvalidInput
from .job import Json, Ms
from .queue import DAY
from .spec import MAX_METADATA, MAX_TAGS, JobOptions, JobSpec, dump_json

MAX_DATA_BYTES = 65_536
"""Of a schedule's job or nodes: they are read with every run. What is larger belongs where the handler can fetch it."""
_RESERVED_METADATA = ("schedule", "schedule_id", "scheduled_for")
_MOMENTS = ("start_after", "keep_until", "soft_sla", "hard_sla")
_JOB_DEFAULTS: Mapping[str, Any] = {each.name: each.default for each in fields(JobSpec)}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobTemplate(JobOptions):
    """What each run asks for; its deadlines count from the run's time."""

    def __post_init__(self) -> None:
        _check_template("job", self)
        if len(dump_json("job.data", self.data).encode()) > MAX_DATA_BYTES:
            raise InvalidInput.field("job.data", f"a schedule keeps at most {MAX_DATA_BYTES} bytes of it")
        self.spec()

    def spec(self) -> JobSpec:
        """One submission, of no particular time. Raises InvalidInput for what no job may ask for."""
        return JobSpec(**{each.name: getattr(self, each.name) for each in fields(JobOptions)})


class ScheduledRun(NamedTuple):
    """A run to be submitted, and the `when`s of its nodes as they were sent."""

    spec: DagSpec
    conditions: Mapping[str, Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class DagTemplate:
    """What each run asks for. Durations are seconds."""

    name: str
    nodes: tuple[Mapping[str, Any], ...]
    """JSON of each node; see `of`."""
    failure_policy: FailurePolicy = FailurePolicy.FAIL_FAST
    soft_sla_seconds: float | None = None
    """The soft deadline of the run, counted from its time; `hard_sla_seconds` likewise."""
    hard_sla_seconds: float | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    definition: str | None = None
    """`name@version` of the definition of runs that it was made from."""

    def __post_init__(self) -> None:
        _check_template("dag", self)
        soft, hard = self.soft_sla_seconds, self.hard_sla_seconds
        if soft is not None and hard is not None and hard < soft:
            raise InvalidInput.field("dag.hard_sla_seconds", "must not be before soft_sla_seconds")
        for index, node in enumerate(self.nodes):
            for name in sorted(set(_MOMENTS) & set(node["job"])):
                raise InvalidInput.field(f"dag.nodes.{index}.{name}", "is a point in time, and each run has its own")
        if len(dump_json("dag.nodes", [dict(node) for node in self.nodes]).encode()) > MAX_DATA_BYTES:
            raise InvalidInput.field("dag.nodes", f"a schedule keeps at most {MAX_DATA_BYTES} bytes of them")

    @classmethod
    def of(cls, run: ScheduledRun, **beside: Any) -> Self:
        """The template of a sound run; `beside` are the fields that a run has not. Raises InvalidInput."""
        spec = run.spec
        nodes = tuple(_node_json(node, run.conditions.get(node.id)) for node in spec.nodes)
        return cls(nodes=nodes, **{name: getattr(spec, name) for name in _SHARED}, **beside)

    def run(self, start_after: Ms | None = None) -> ScheduledRun:
        """One run, of no particular time; nodes that wait for no other of it start at `start_after`."""
        nodes = tuple(_node_of(node, start_after) for node in self.nodes)
        conditions = {node["id"]: node["when"] for node in self.nodes if "when" in node}
        return ScheduledRun(DagSpec(nodes=nodes, **{name: getattr(self, name) for name in _SHARED}), conditions)


_SHARED = ("name", "failure_policy", "tags", "metadata", "definition")


def _check_template(place: str, template: JobTemplate | DagTemplate) -> None:
    """Refuse what leaves no room for what a schedule adds, and deadlines out of bounds. Raises InvalidInput."""
    if len(template.tags) >= MAX_TAGS:
        raise InvalidInput.field(f"{place}.tags", f"at most {MAX_TAGS - 1}: one is the schedule's own")
    if len(template.metadata) > MAX_METADATA - len(_RESERVED_METADATA):
        raise InvalidInput.field(f"{place}.metadata", f"at most {MAX_METADATA - len(_RESERVED_METADATA)} keys")
    for name in ("soft_sla_seconds", "hard_sla_seconds"):
        value = getattr(template, name)
        if value is not None and not (math.isfinite(value) and 0 < value <= 366 * DAY):
            raise InvalidInput.field(f"{place}.{name}", "must be above 0 and at most 366 days")


def _node_json(node: NodeSpec, when: Json) -> dict[str, Any]:
    """What a node says; what is as if it had not been said is left out."""
    told = {
        "id": node.id,
        "job": _job_json(node.job or {}),
        "place": node.place,
        "built_in": node.built_in,
        "depends_on": list(node.depends_on),
        "join": node.join.value,
        "join_count": node.join_count,
        "when": when,
        "for_each": None if node.for_each is None else list(node.for_each),
        "taken_by": list(node.taken_by),
        "cleanup": node.cleanup,
    }
    return {name: value for name, value in told.items() if value not in (None, "", [], False, Join.ALL_ACTIVE.value)}


def _job_json(job: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a submission; all that are given where a definition fills in the others."""
    asked = {name: list(value) if isinstance(value, tuple) else value for name, value in job.items()}
    if asked.get("definition") is not None:
        return asked
    return {name: value for name, value in asked.items() if value not in (None, [], {}, _JOB_DEFAULTS.get(name))}


def _node_of(told: Mapping[str, Any], start_after: Ms | None) -> NodeSpec:
    job = dict(told["job"])
    if "tags" in job:
        job["tags"] = tuple(job["tags"])
    parents = tuple(told.get("depends_on", ()))
    if start_after is not None and all(outside(parent) for parent in parents):
        job["start_after"] = start_after
    steps = told.get("for_each")
    return NodeSpec(
        id=told["id"],
        job=job,
        place=told.get("place", ""),
        built_in=told.get("built_in", False),
        depends_on=parents,
        join=Join(told.get("join", Join.ALL_ACTIVE)),
        join_count=told.get("join_count"),
        when=None if told.get("when") is None else parse_condition(told["when"]),
        for_each=None if steps is None else tuple(steps),
        choice=_choice_of(job),
        taken_by=tuple(told.get("taken_by", ())),
        cleanup=told.get("cleanup", False),
    )


def _choice_of(job: Mapping[str, Any]) -> Choice | None:
    if job.get("name") != CHOOSE:
        return None
    data = job["data"]
    return parse_branch(data["branch"]) if "branch" in data else parse_switch(data["switch"])
