"""The routes of `/dags`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, ValidationError

from tidegate import runtime
from tidegate.domain.dag.conditions import parse_condition, parse_path
from tidegate.domain.dag.picture import dot, mermaid
from tidegate.domain.dag.run import RunState
from tidegate.domain.dag.spec import MAX_NODES, DagSpec, FailurePolicy, Join, NodeSpec
from tidegate.domain.errors import InvalidInput, TidegateError
from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Job, Json
from tidegate.domain.queue import check_name
from tidegate.domain.spec import JobSpec
from tidegate.service import runs
from tidegate.service.runs import RunView

from .errors import invalid_input
from .models import Body, JobRequest, ReasonRequest, Time, Word
from .requests import answer, caller_of, check_query, only, query_pairs
from .views import job_view
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]
MAX_FAULTS = 50


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


@router.post("/dags", tags=["dags"], operation_id="submit_dag", summary="Submit a run of a DAG", status_code=201)
def submit_dag(request: Request, body: DagRequest) -> Response[Any]:
    """Checked whole before anything is stored: one error names all faults, a cycle by its nodes."""
    caller = caller_of(request)
    spec, conditions = _spec(body)
    view, created = runs.submit_dag(runtime.current().ports, caller, spec, conditions)
    message = "Run created" if created else "Run was accepted before"
    shown = {"success": True, "message": message, "dag_id": view.run.id, "dag": run_view(view)}
    return answer(shown, 201 if created else 200)


@router.get("/dags", tags=["dags"], operation_id="list_dags", summary="List runs, newest first")
def list_dags(request: Request, query: Annotated[RunsQuery, Query()]) -> Response[Any]:
    """Callers without the scope `operate` see their own runs."""
    check_query(query_pairs(request), RunsQuery, repeatable="state")
    states = _states(query.state)
    found, cursor = runs.list_runs(runtime.current().ports, caller_of(request), states, query.limit, query.cursor)
    return answer(
        {
            "success": True,
            "message": "Runs retrieved successfully",
            "dags": [run_view(view) for view in found],
            "next_cursor": cursor,
        }
    )


@router.get("/dags/<dag_id>", tags=["dags"], operation_id="get_dag", summary="One run, with its nodes")
def get_dag(
    request: Request,
    dag_id: str,
    brief: Annotated[bool, Query(description="Leave out the nodes: one read, whatever the run's size.")] = False,
) -> Response[Any]:
    """Another tenant's run, and another user's without the scope `operate`, is not found."""
    only(request, "brief")
    look = runs.run_progress if brief else runs.get_run
    view = look(runtime.current().ports, caller_of(request), dag_id)
    return answer({"success": True, "message": "Run retrieved successfully", "dag": run_view(view)})


@router.get("/dags/<dag_id>/progress", tags=["dags"], operation_id="get_dag_progress", summary="How far a run is")
def get_progress(request: Request, dag_id: str) -> Response[Any]:
    """As the change feed counted it, seconds late at most."""
    view = runs.run_progress(runtime.current().ports, caller_of(request), dag_id)
    return answer({"success": True, "message": "Progress retrieved", "progress": {"dag_id": dag_id, **_progress(view)}})


@router.get("/dags/<dag_id>/next", tags=["dags"], operation_id="get_dag_next", summary="The run's next ready job")
def get_next(request: Request, dag_id: str) -> Response[Any]:
    """Of the jobs that wait for nothing but a worker: highest priority, then oldest; null if there is none."""
    job = runs.next_job(runtime.current().ports, caller_of(request), dag_id)
    return answer({"success": True, "message": "Next job retrieved", "job": None if job is None else job_view(job)})


@router.get("/dags/<dag_id>/graph", tags=["dags"], operation_id="get_dag_graph", summary="The run as a picture")
def get_graph(request: Request, dag_id: str, query: Annotated[GraphQuery, Query()]) -> Response[Any]:
    """Nodes with states and times, and edges; as JSON, Mermaid or DOT."""
    check_query(query_pairs(request), GraphQuery, repeatable="")
    ports, caller = runtime.current().ports, caller_of(request)
    view, edges = runs.graph_of(ports, caller, dag_id)
    if query.format != "json":
        draw = mermaid if query.format == "mermaid" else dot
        text = draw({job.node or "": job.state for job in view.jobs}, edges)
        return answer({"success": True, "message": "Graph retrieved", "format": query.format, "graph": text})
    nodes = [{"id": job.node, **_node_times(job)} for job in view.jobs]
    picture = {"nodes": nodes, "edges": [list(edge) for edge in edges]}
    return answer({"success": True, "message": "Graph retrieved", "format": "json", "graph": picture})


@router.post("/dags/<dag_id>/cancel", tags=["dags"], operation_id="cancel_dag", summary="Stop a run")
def cancel_dag(request: Request, dag_id: str, body: ReasonRequest | None = None) -> Response[Any]:
    """Waiting jobs stop at once, running ones are asked to; then the clean-up nodes run."""
    reason = body.reason if body is not None else None
    ports, caller = runtime.current().ports, caller_of(request)
    runs.cancel_run(ports, caller, dag_id, reason)
    return answer({"success": True, "message": "Run asked to stop", "dag": _current(request, dag_id)})


@router.post("/dags/<dag_id>/resume", tags=["dags"], operation_id="resume_dag", summary="Go on with an ended run")
def resume_dag(request: Request, dag_id: str) -> Response[Any]:
    """What failed, expired or was cancelled, and what hung on it, runs again; nothing else."""
    runs.resume_run(runtime.current().ports, caller_of(request), dag_id)
    return answer({"success": True, "message": "Run goes on", "dag": _current(request, dag_id)})


def run_view(view: RunView) -> dict[str, Any]:
    """A run; `nodes` only where its jobs were read."""
    run = view.run
    shown: dict[str, Any] = {
        "id": run.id,
        "name": run.name,
        "state": run.state.value,
        "reason": run.reason,
        "failure_policy": run.failure_policy.value,
        "tags": list(run.tags),
        "metadata": dict(run.metadata),
        "created_at": format_time(run.created_at),
        "updated_at": format_time(run.updated_at),
        "completed_at": format_time(run.completed_at),
        "soft_sla": format_time(run.soft_sla),
        "hard_sla": format_time(run.hard_sla),
        "warned_at": format_time(run.warned_at),
        "resumed": run.resumed,
        "correlation_id": run.correlation_id,
        "progress": _progress(view),
    }
    return {**shown, "nodes": [_node(job) for job in view.jobs]} if view.jobs else shown


def _node(job: Job) -> dict[str, Any]:
    view = {"id": job.node, "job_id": job.id, "state": job.state.value, "depends_on": list(job.dependencies)}
    return {**view, "reason": job.reason} if job.reason else view


def _node_times(job: Job) -> dict[str, Any]:
    times = {name: format_time(getattr(job, name)) for name in ("created_at", "started_at", "completed_at")}
    return {"job_id": job.id, "name": job.name, "state": job.state.value, **times}


def _progress(view: RunView) -> dict[str, Any]:
    found = view.progress
    names = ("total_jobs", "completed", "active", "failed", "progress_pct")
    return {name: getattr(found, name) for name in names}


def _current(request: Request, dag_id: str) -> dict[str, Any]:
    return run_view(runs.run_progress(runtime.current().ports, caller_of(request), dag_id))


def _spec(body: DagRequest) -> tuple[DagSpec, dict[str, Json]]:
    """The run in the domain's words, and its conditions as sent. Raises one InvalidInput with all faults."""
    nodes: list[NodeSpec] = []
    conditions: dict[str, Json] = {}
    faults: list[dict[str, Any]] = []
    for index, raw in enumerate(body.nodes):
        try:
            asked = NodeRequest.model_validate(raw)
            nodes.append(_node_spec(asked))
            if asked.when is not None:
                conditions[asked.id] = asked.when
        except ValidationError as error:
            faults += _placed(index, invalid_input((each["loc"] or ("node",), each) for each in error.errors()))
        except TidegateError as error:
            faults += _placed(index, error)
    if faults:
        message = "; ".join(f"{fault['field']}: {fault['rule']}" for fault in faults[:5])
        raise InvalidInput(message, errors=faults[:MAX_FAULTS], faults=len(faults))
    check_name("name", body.name)
    given = {name: getattr(body, name) for name in ("failure_policy", "soft_sla", "hard_sla", "metadata", "task_token")}
    spec = DagSpec(name=body.name, nodes=tuple(nodes), tags=tuple(body.tags), dag_id=_dag_id(body.dag_id), **given)
    return spec, conditions


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


def _placed(index: int, error: TidegateError) -> Iterable[dict[str, Any]]:
    told = error.details.get("errors") or [{"field": "", "rule": error.message}]
    return [{**fault, "field": f"nodes.{index}.{fault['field']}".rstrip(".")} for fault in told]


def _dag_id(value: str | None) -> str | None:
    if value is not None and not is_uuid7(value):
        raise InvalidInput.field("dag_id", "must be a UUIDv7")
    return value


def _states(words: Iterable[str]) -> frozenset[RunState]:
    found = set()
    for word in ",".join(words).split(",") if words else ():
        try:
            found.add(RunState(word.strip().upper()))
        except ValueError:
            known = ", ".join(RunState)
            raise InvalidInput.field("state", f"'{word[:64]}' is not one of {known}") from None
    return frozenset(found)
