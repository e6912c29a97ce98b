"""What requests for runs may say, and what they say in the domain's words, with all that is wrong about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SkipValidation, ValidationError

from tidegate.domain.dag.conditions import parse_condition, parse_path
from tidegate.domain.dag.faults import Fault
from tidegate.domain.dag.spec import MAX_NODES, DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.dag.validate import check_dag, extent_of
from tidegate.domain.errors import InvalidInput, TidegateError
from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Json
from tidegate.domain.queue import check_name
from tidegate.domain.spec import JobSpec, check_labels

from .bodies import Body, Time, Word
from .errors import invalid_input
from .job_models import JobRequest


class NodeRequest(JobRequest):
    """A node: a job, and what it waits for."""

    id: str
    depends_on: list[str] = Field(default_factory=list)
    join: Annotated[Join, Field(strict=False)] = Join.ALL_ACTIVE
    join_count: int | None = Field(None, description="For the join n_of: how many must be COMPLETED.")
    when: dict[str, Any] | None = Field(None, description="A condition on upstream results.")
    for_each: str | None = Field(None, description="Path to a list in an upstream result: one job for each entry.")
    cleanup: bool = Field(False, description="Runs after all that it depends on has ended, however the run goes.")


class DagRequest(Body):
    """A run, accepted whole or refused whole."""

    name: str
    nodes: Annotated[list[SkipValidation[NodeRequest]], Field(min_length=1, max_length=MAX_NODES)]
    failure_policy: Annotated[FailurePolicy, Field(strict=False)] = FailurePolicy.FAIL_FAST
    soft_sla: Time | None = None
    hard_sla: Time | None = None
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    dag_id: str | None = Field(None, description="A UUIDv7 of your own: asking again with it makes no second run.")
    task_token: str | None = Field(None, description="Of the Step Functions task that waits for the run's end.")


class RunsQuery(BaseModel):
    """Which runs to list, newest first."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    state: list[str] = Field(default_factory=list)
    limit: int = Field(50, ge=1, le=200)
    cursor: Word | None = None


class GraphQuery(BaseModel):
    """How the graph is to be answered."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    format: Literal["json", "mermaid", "dot"] = "json"


@dataclass(frozen=True, slots=True)
class Asked:
    """A run in the domain's words. A node that could not be read is there by name and dependencies alone."""

    spec: DagSpec
    conditions: Mapping[str, Json]
    """The nodes' `when`s as they were sent."""
    faults: tuple[Fault, ...]


def asked_of(body: DagRequest) -> Asked:
    """What the request asks for, with all that is wrong about its words; how nodes hang together is not looked at."""
    nodes: list[NodeSpec] = []
    conditions: dict[str, Json] = {}
    faults = list(_faults_of_run(body))
    for index, raw in enumerate(body.nodes):
        try:
            asked = NodeRequest.model_validate(raw)
            nodes.append(_node_spec(asked))
            if asked.when is not None:
                conditions[asked.id] = asked.when
        except ValidationError as error:
            wrong = invalid_input((each["loc"] or ("node",), each) for each in error.errors())
            nodes.append(_shell(raw))
            faults += Fault.all_in(wrong, f"nodes.{index}")
        except TidegateError as error:
            nodes.append(_shell(raw))
            faults += Fault.all_in(error, f"nodes.{index}")
    given = {name: getattr(body, name) for name in ("failure_policy", "soft_sla", "hard_sla", "metadata", "task_token")}
    spec = DagSpec(name=body.name, nodes=tuple(nodes), tags=tuple(body.tags), dag_id=body.dag_id, **given)
    return Asked(spec, conditions, tuple(faults))


def checked_offline(raw: Mapping[str, Any]) -> Mapping[str, int]:
    """The extent of the run in a body, checked by all rules but those that need a home, such as whether queues exist.

    Raises one InvalidInput naming every fault.
    """
    try:
        asked = asked_of(DagRequest.model_validate(raw))
    except ValidationError as error:
        raise invalid_input((each["loc"], each) for each in error.errors()) from error
    check_dag(asked.spec, asked.faults)
    return extent_of(asked.spec.nodes)


def _faults_of_run(body: DagRequest) -> Iterator[Fault]:
    if body.dag_id is not None and not is_uuid7(body.dag_id):
        yield Fault("dag_id", "must be a UUIDv7")
    for check in (lambda: check_name("name", body.name), lambda: check_labels(tuple(body.tags), body.metadata)):
        try:
            check()
        except InvalidInput as error:
            yield from Fault.all_in(error)


def _node_spec(asked: NodeRequest) -> NodeSpec:
    job = asked.spec()
    if asked.job_id is not None:
        raise InvalidInput.field("job_id", "is made from run and node")
    return NodeSpec(
        id=asked.id,
        job={each.name: getattr(job, each.name) for each in fields(JobSpec) if each.name != "job_id"},
        depends_on=tuple(asked.depends_on),
        join=asked.join,
        join_count=asked.join_count,
        when=None if asked.when is None else parse_condition(asked.when),
        for_each=None if asked.for_each is None else parse_path(asked.for_each, "for_each"),
        cleanup=asked.cleanup,
    )


def _shell(raw: Any) -> NodeSpec:
    """What can be told of a node that is wrong, so that those that depend on it are not called wrong too."""
    asked = raw if isinstance(raw, Mapping) else {}
    named, parents = asked.get("id"), asked.get("depends_on")
    return NodeSpec(
        id=named if isinstance(named, str) else "",
        job=None,
        depends_on=tuple(_texts(parents)) if isinstance(parents, list) else (),
    )


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))
