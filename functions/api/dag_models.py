"""What requests for runs may say, and what they say in the domain's words, with all that is wrong about them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    SkipValidation,
    ValidationError,
    model_validator,
)

from tidegate.domain.dag.branches import Branch, Switch, parse_branch, parse_switch, routed
from tidegate.domain.dag.conditions import parse_condition, parse_path
from tidegate.domain.dag.faults import Fault, refuse_all
from tidegate.domain.dag.run import CHOOSE
from tidegate.domain.dag.spec import MAX_NODES, DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.dag.validate import check_dag, extent_of
from tidegate.domain.definition import Definition
from tidegate.domain.errors import InvalidInput, TidegateError
from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Json
from tidegate.domain.queue import check_name
from tidegate.domain.spec import JobSpec, check_labels
from tidegate.ports import Ports

from .bodies import Body, Time, Word
from .errors import invalid_input
from .job_models import JobRequest
from .sub_dags import flattened, with_definitions


class NodeRequest(JobRequest):
    """A node: a job, and what it waits for."""

    id: str
    depends_on: list[str] = Field(default_factory=list)
    join: Annotated[Join, Field(strict=False)] = Join.ALL_ACTIVE
    join_count: int | None = Field(None, description="For the join n_of: how many must be COMPLETED.")
    when: dict[str, Any] | None = Field(None, description="A condition on upstream results.")
    for_each: str | None = Field(None, description="Path to a list in an upstream result: one job for each entry.")
    branch: dict[str, Any] | None = Field(None, description="Conditions that choose among the nodes behind it.")
    switch: dict[str, Any] | None = Field(None, description="A value that chooses among the nodes behind it.")
    dag: dict[str, Any] | None = Field(None, description="A run within the run: nodes or a definition, and data.")
    cleanup: bool = Field(False, description="Runs after all that it depends on has ended, however the run goes.")


class DagRequest(Body):
    """A run, accepted whole or refused whole."""

    name: str | None = Field(None, description="Required, unless a definition gives it.")
    nodes: Annotated[list[SkipValidation[NodeRequest]], Field(max_length=MAX_NODES)] = Field(default_factory=list)
    definition: str | None = Field(None, description="`name` or `name@version` of a definition of runs.")
    data: dict[str, Any] | None = Field(None, description="What the data of every node has, unless it says otherwise.")
    failure_policy: Annotated[FailurePolicy, Field(strict=False)] = FailurePolicy.FAIL_FAST
    soft_sla: Time | None = None
    hard_sla: Time | None = None
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    dag_id: str | None = Field(None, description="A UUIDv7 of your own: asking again with it makes no second run.")
    task_token: str | None = Field(None, description="Of the Step Functions task that waits for the run's end.")

    _unread: tuple[Fault, ...] = PrivateAttr(())

    @property
    def unread(self) -> tuple[Fault, ...]:
        """What is wrong with the fields that could not be read: `asked_of` tells it beside all else that is wrong."""
        return self._unread

    def telling(self, unread: Iterable[Fault]) -> DagRequest:
        """The request, with what is wrong with fields that could not be read."""
        self._unread = tuple(unread)
        return self

    @model_validator(mode="wrap")
    @classmethod
    def _with_all_faults(cls, value: Any, read: ModelWrapValidatorHandler[DagRequest]) -> DagRequest:
        """A field of the wrong kind does not hide what is wrong with the others, nor with the nodes."""
        try:
            return read(value)
        except ValidationError as error:
            if not isinstance(value, Mapping):
                raise
            unread = {str(step) for each in error.errors() for step in each["loc"][:1]}
            told = invalid_input((each["loc"], each) for each in error.errors())
            rest = read({name: given for name, given in value.items() if name not in unread})
            return rest.telling(Fault.all_in(told))


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
    """What the request asks for, with all that is wrong about its words; how nodes hang together is not looked at.

    Raises InvalidInput where no nodes could be read.
    """
    nodes: list[NodeSpec] = []
    conditions: dict[str, Json] = {}
    unread = {fault.place.partition(".")[0] for fault in body.unread}
    faults = [*body.unread, *(fault for fault in _faults_of_run(body) if fault.place not in unread)]
    if not body.nodes and unread:
        refuse_all(faults)
    flat, wrong = flattened(body.nodes)
    faults += wrong
    for place, raw, collects in flat:
        try:
            asked = NodeRequest.model_validate(raw)
            node = _node_spec(asked, None if collects else body.data)
            nodes.append(replace(node, place=place, built_in=collects or node.choice is not None))
            if asked.when is not None:
                conditions[asked.id] = asked.when
        except ValidationError as error:
            told = invalid_input((each["loc"] or ("node",), each) for each in error.errors())
            nodes.append(_shell(place, raw))
            faults += Fault.all_in(told, place)
        except TidegateError as error:
            nodes.append(_shell(place, raw))
            faults += Fault.all_in(error, place)
    given = {name: getattr(body, name) for name in ("failure_policy", "soft_sla", "hard_sla", "metadata", "task_token")}
    spec = DagSpec(name=body.name or "", nodes=routed(nodes), tags=tuple(body.tags), dag_id=body.dag_id, **given)
    return Asked(spec, conditions, tuple(faults))


OF_ONE_RUN = ("dag_id", "task_token", "soft_sla", "hard_sla", "definition")
"""What a definition cannot say for all its runs."""


def filled_in(body: DagRequest, definition: Definition, data: Mapping[str, Json]) -> DagRequest:
    """The request, with this `data`, and with what it does not say taken from a definition. Raises InvalidInput."""
    if body.nodes:
        raise InvalidInput.field("nodes", "are those of the definition")
    stored = DagRequest.model_validate(definition.dag)
    said = {name: getattr(body, name) for name in body.model_fields_set if getattr(body, name) not in (None, [])}
    name = body.name or stored.name or definition.name
    filled = stored.model_copy(update={**said, "name": name, "data": dict(data) or None})
    return filled.telling(body.unread)


def within(ports: Ports, tenant: str, body: DagRequest) -> DagRequest:
    """The request, with what runs within it take from definitions filled in. Raises InvalidInput."""
    if not any(isinstance(node, Mapping) and node.get("dag") for node in body.nodes):
        return body
    return body.model_copy(update={"nodes": with_definitions(ports, tenant, body.nodes)})


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
    if not body.name:
        yield Fault("name", "is required")
    for check in (
        lambda: check_name("name", body.name or "unnamed"),
        lambda: check_labels(tuple(body.tags), body.metadata),
    ):
        try:
            check()
        except InvalidInput as error:
            yield from Fault.all_in(error)


def _node_spec(asked: NodeRequest, run_data: Mapping[str, Json] | None) -> NodeSpec:
    choice, asked = _choice_in(asked)
    if choice is None and run_data is not None and (asked.data is None or isinstance(asked.data, dict)):
        asked = asked.model_copy(update={"data": {**run_data, **(asked.data or {})}})
    if asked.job_id is not None:
        raise InvalidInput.field("job_id", "is made from run and node")
    return NodeSpec(
        id=asked.id,
        job=_job_of(asked),
        depends_on=tuple(asked.depends_on),
        join=asked.join,
        join_count=asked.join_count,
        when=None if asked.when is None else parse_condition(asked.when),
        for_each=None if asked.for_each is None else parse_path(asked.for_each, "for_each"),
        choice=choice,
        cleanup=asked.cleanup,
    )


def _job_of(asked: NodeRequest) -> dict[str, Any]:
    """The fields of a node's job: all of them, or those that it gives to be filled in by a definition."""
    if asked.definition is not None:
        return {**asked.given(), "definition": asked.definition}
    job = asked.spec()
    return {each.name: getattr(job, each.name) for each in fields(JobSpec) if each.name != "job_id"}


def _choice_in(asked: NodeRequest) -> tuple[Branch | Switch | None, NodeRequest]:
    """What a node chooses, and the node with the job that does so; None and the node itself for any other."""
    if asked.branch is None and asked.switch is None:
        return None, asked
    if asked.branch is not None and asked.switch is not None:
        raise InvalidInput.field("switch", "cannot be given beside branch")
    for field in ("name", "job_type", "agent", "data", "definition", "for_each"):
        if getattr(asked, field) is not None:
            raise InvalidInput.field(field, "belongs to nodes that run something: this one only chooses")
    choice = parse_switch(asked.switch) if asked.branch is None else parse_branch(asked.branch)
    data = {choice.word: getattr(asked, choice.word)}
    return choice, asked.model_copy(update={"name": CHOOSE, "data": data})


def _shell(place: str, raw: Any) -> NodeSpec:
    """What can be told of a node that is wrong, so that those that depend on it are not called wrong too."""
    asked = raw if isinstance(raw, Mapping) else {}
    named, parents = asked.get("id"), asked.get("depends_on")
    return NodeSpec(
        id=named if isinstance(named, str) else "",
        job=None,
        place=place,
        depends_on=tuple(_texts(parents)) if isinstance(parents, list) else (),
    )


def _texts(values: Iterable[Any]) -> Iterator[str]:
    return (value for value in values if isinstance(value, str))
