"""The routes of `/dags`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.picture import dot, mermaid
from tidegate.domain.dag.run import RunState, kept_until
from tidegate.domain.dag.validate import extent_of
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job
from tidegate.domain.spec import digest_of
from tidegate.service import runs
from tidegate.service.definitions import dag_definition
from tidegate.service.runs import RunView

from .dag_models import Asked, DagRequest, GraphQuery, RunsQuery, asked_of, filled_in, within
from .job_models import ReasonRequest
from .requests import answer, caller_of, check_query, idempotency_key, only, query_pairs
from .views import job_view
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]


@router.post("/dags", tags=["dags"], operation_id="submit_dag", summary="Submit a run of a DAG", status_code=201)
def submit_dag(
    request: Request,
    body: DagRequest,
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="Ignored beside a dag_id.")] = None,
) -> Response[Any]:
    """Checked whole before anything is stored: one error names all faults, a cycle by its nodes.

    The same request with the same `dag_id` or `Idempotency-Key` is accepted once: 201, then 200.
    """
    caller = caller_of(request)
    asked = asked_for(caller, body)
    spec = asked.spec if key is None else replace(asked.spec, idempotency_key=idempotency_key(key))
    view, created = runs.submit_dag(runtime.current().ports, caller, spec, asked.conditions, asked.faults)
    message = "Run created" if created else "Run was accepted before"
    shown = {"success": True, "message": message, "dag_id": view.run.id, "dag": run_view(view)}
    return answer(shown, 201 if created else 200)


@router.post("/dags/validate", tags=["dags"], operation_id="validate_dag", summary="Check a run without submitting it")
def validate_dag(request: Request, body: DagRequest) -> Response[Any]:
    """What submitting it would be refused for, and what it consists of; nothing is stored."""
    caller = caller_of(request)
    asked = asked_for(caller, body)
    runs.check_run(runtime.current().ports, caller, asked.spec, asked.faults)
    return answer({"success": True, "message": "Nothing is wrong with the run", "dag": extent_of(asked.spec.nodes)})


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
    """Nodes with states and times, edges, and the path that decides when the run ends; as JSON, Mermaid or DOT."""
    check_query(query_pairs(request), GraphQuery, repeatable="")
    ports, caller = runtime.current().ports, caller_of(request)
    drawn = runs.graph_of(ports, caller, dag_id)
    if query.format != "json":
        draw = mermaid if query.format == "mermaid" else dot
        return answer({"success": True, "message": "Graph retrieved", "format": query.format, "graph": draw(drawn)})
    picture = {
        "nodes": [{"id": job.node, **_node_times(job)} for job in drawn.jobs],
        "edges": [list(edge) for edge in drawn.edges],
        "critical_path": list(drawn.critical_path),
    }
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


def asked_for(caller: Caller, body: DagRequest) -> Asked:
    """What a body asks for, with the help of the definition that it names. Raises InvalidInput, Forbidden."""
    ports = runtime.current().ports
    caller.require(Scope.SUBMIT)
    if body.definition is None:
        return asked_of(within(ports, caller.tenant, body))
    definition, data = dag_definition(ports, caller.tenant, body.definition, body.data or {})
    asked = asked_of(within(ports, caller.tenant, filled_in(body, definition, data)))
    digest = digest_of(body.model_dump(mode="json", exclude={"dag_id", "task_token"}))
    return replace(asked, spec=replace(asked.spec, definition=definition.reference, asked=digest))


def run_view(view: RunView) -> dict[str, Any]:
    """A run; `nodes` only where its jobs were read."""
    run = view.run
    shown: dict[str, Any] = {
        "id": run.id,
        "name": run.name,
        "definition": run.definition,
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
        "keep_until": format_time(kept_until(run)),
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


def _states(words: Iterable[str]) -> frozenset[RunState]:
    found = set()
    for word in ",".join(words).split(",") if words else ():
        try:
            found.add(RunState(word.strip().upper()))
        except ValueError:
            known = ", ".join(RunState)
            raise InvalidInput.field("state", f"'{word[:64]}' is not one of {known}") from None
    return frozenset(found)
