"""The routes of Marie's gateway, under its own names: the same jobs, the same services."""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.job import states_named
from tidegate.domain.spec import JobSpec
from tidegate.service.pipeline import pipeline_status
from tidegate.service.submit import submit_one

from .job_models import ReasonRequest
from .jobs import answer_list, cancel_job, get_job
from .models import InvokeRequest
from .query_models import ListQuery
from .requests import answer, caller_of, only

router = Router()  # type: ignore[no-untyped-call]


@router.post("/api/v1/invoke", tags=["marie"], operation_id="invoke", summary="Submit a job", status_code=200)
def invoke(request: Request, body: InvokeRequest) -> Response[Any]:
    """`command` names the handler; the other parameters are its data."""
    parameters = body.parameters
    spec = JobSpec(name=parameters.command, data=parameters.model_extra or {})
    job = submit_one(runtime.current().ports, caller_of(request), spec).job
    submitted = {"job_id": job.id, "status": "submitted"}
    return answer({"header": body.header or {}, "parameters": submitted, "data": None})


@router.get("/api/jobs", tags=["marie"], operation_id="marie_list_jobs", summary="List jobs, newest first")
def marie_list_jobs(request: Request, query: Annotated[ListQuery, Query()]) -> Response[Any]:
    """As GET /jobs."""
    return answer_list(request, query)


@router.get("/api/jobs/<key>", tags=["marie"], operation_id="marie_jobs", summary="Jobs of a state, or one job")
def marie_jobs(request: Request, key: str, query: Annotated[ListQuery, Query()]) -> Response[Any]:
    """A state's name, such as ACTIVE, lists its jobs as GET /jobs; anything else is a job's id."""
    return answer_list(request, query, key) if states_named(key) else get_job(request, key)


@router.post("/api/jobs/<job_id>/stop", tags=["marie"], operation_id="marie_stop_job", summary="Stop a job")
def marie_stop_job(request: Request, job_id: str, body: ReasonRequest | None = None) -> Response[Any]:
    """As POST /jobs/{job_id}/cancel."""
    return cancel_job(request, job_id, body)


@router.get("/api/capacity", tags=["marie"], operation_id="capacity", summary="Slots, and how many are taken")
def capacity(request: Request) -> Response[Any]:
    """Slots of all pools; `used` counts the caller's tenant alone, seconds late at most."""
    only(request)
    app = runtime.current()
    status = pipeline_status(app.ports, caller_of(request), slots=app.settings.slots)
    used, slots = status.metrics.active_jobs, status.max_concurrent_jobs
    found = {"slots": slots, "used": used, "available": max(0, slots - used), "queued": status.queue_size}
    return answer({"success": True, "message": "Capacity retrieved successfully", "capacity": found})
