"""The routes of `/jobs`."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Header, Query
from aws_lambda_powertools.event_handler.request import Request
from pydantic import ValidationError

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput, TidegateError, WrongState
from tidegate.domain.job import Job, State
from tidegate.domain.spec import JobSpec
from tidegate.ports import Ports
from tidegate.service import control
from tidegate.service.definitions import spec_from
from tidegate.service.estimate import estimate_job
from tidegate.service.submit import Submitted, submit, submit_one

from .errors import body_of, invalid_input
from .job_models import BatchRequest, JobRequest, PriorityRequest, ReasonRequest, RetryRequest
from .listing import listed, query_of
from .query_models import ListQuery
from .requests import answer, caller_of, check_query, idempotency_key, metadata_in, only, query_pairs
from .views import brief_view, fitting_view, job_view, with_result_as

router = Router()  # type: ignore[no-untyped-call]


@router.post("/jobs", tags=["jobs"], operation_id="submit_job", summary="Submit a job", status_code=201)
def submit_job(
    request: Request,
    body: JobRequest,
    key: Annotated[str | None, Header(alias="Idempotency-Key", description="Ignored beside a job_id.")] = None,
    dry_run: Annotated[bool, Query(description="Say what it would cost, and store nothing: 200.")] = False,
) -> Response[Any]:
    """The same request with the same `job_id` or `Idempotency-Key` is accepted once: 201, then 200."""
    only(request, "dry_run")
    caller = caller_of(request)
    spec = spec_of(runtime.current().ports, caller, body, None if key is None else idempotent_id(caller, key))
    if dry_run:
        _, estimate = estimate_job(runtime.current().ports, caller, spec)
        return answer({"success": True, "message": "Job would be accepted", "estimate": asdict(estimate)})
    found = submit_one(runtime.current().ports, caller, spec)
    message = "Job created and queued for processing" if found.created else "Job was accepted before"
    view = {"success": True, "message": message, "job_id": found.job.id, "job": job_view(found.job)}
    return answer(view, 201 if found.created else 200)


@router.post("/jobs/batch", tags=["jobs"], operation_id="submit_jobs", summary="Submit up to 100 jobs")
def submit_jobs(request: Request, body: BatchRequest) -> Response[Any]:
    """Each job is accepted or rejected for itself; `success` says that none was rejected."""
    caller = caller_of(request)
    caller.require(Scope.SUBMIT)
    ports = runtime.current().ports
    results = _submit_each(ports, caller, [_spec_or_error(ports, caller, job) for job in body.jobs])
    accepted = [result.job.id for result in results if isinstance(result, Submitted)]
    rejected = [_rejection(i, result) for i, result in enumerate(results) if isinstance(result, TidegateError)]
    message = f"{len(accepted)} of {len(results)} jobs accepted"
    return answer({"success": not rejected, "message": message, "accepted": accepted, "rejected": rejected})


@router.get("/jobs", tags=["jobs"], operation_id="list_jobs", summary="List jobs, newest first")
def list_jobs(request: Request, query: Annotated[ListQuery, Query()]) -> Response[Any]:
    """Callers without the scope `operate` see their own jobs.

    `total_count` is null where only reading all pages could tell it: in the cloud with filters other than `state`
    and `queue`, before the last page.
    """
    return answer_list(request, query)


def answer_list(request: Request, query: ListQuery, state: str | None = None) -> Response[Any]:
    """A page of jobs; `state`, if it comes from the path, beside the query's own."""
    caller, pairs = caller_of(request), query_pairs(request)
    check_query(pairs, ListQuery, repeatable="state")
    if state is not None:
        if query.state:
            raise InvalidInput.field("state", "is given by the path already")
        query = query.model_copy(update={"state": [state]})
    asked = query_of(query, metadata_in(pairs), caller.tenant)
    view = brief_view if query.brief else job_view
    page = listed(runtime.current().ports, caller, asked, query.offset, view, count=query.count)
    return answer(
        {
            "success": True,
            "message": "Jobs retrieved successfully",
            "jobs": [with_result_as(query.result_as, job) for job in page.jobs],
            "total_count": page.total_count,
            "next_cursor": page.next_cursor,
        }
    )


@router.get("/jobs/<job_id>", tags=["jobs"], operation_id="get_job", summary="One job, with its data and result")
def get_job(request: Request, job_id: str) -> Response[Any]:
    """Another tenant's job, and another user's without the scope `operate`, is not found."""
    job = control.get_job(runtime.current().ports, caller_of(request), job_id)
    return answer({"success": True, "message": "Job details retrieved successfully", "job": fitting_view(job)})


@router.delete("/jobs/<job_id>", tags=["jobs"], operation_id="delete_job", summary="Cancel or erase a job")
def delete_job(request: Request, job_id: str) -> Response[Any]:
    """An ended job is erased, a live one cancelled; `action` says which, or that its handler was asked to stop."""
    action = _delete(runtime.current().ports, caller_of(request), job_id)
    return answer({"success": True, "message": _DELETED[action], "job_id": job_id, "action": action})


@router.post("/jobs/<job_id>/cancel", tags=["jobs"], operation_id="cancel_job", summary="Stop a job")
def cancel_job(request: Request, job_id: str, body: ReasonRequest | None = None) -> Response[Any]:
    """At once while it waits; a running handler is asked to stop. Cancelling again changes nothing."""
    reason = body.reason if body is not None else None
    job = control.cancel(runtime.current().ports, caller_of(request), job_id, reason)
    return _told("Job cancelled" if job.state is State.CANCELLED else "Job asked to stop", job)


@router.post("/jobs/<job_id>/retry", tags=["jobs"], operation_id="retry_job", summary="Start an ended job over")
def retry_job(request: Request, job_id: str, body: RetryRequest | None = None) -> Response[Any]:
    """FAILED, EXPIRED and CANCELLED jobs get a fresh set of attempts, or go on with the retries they have left."""
    counted = body is not None and body.counted
    return _told(
        "Job queued again", control.retry(runtime.current().ports, caller_of(request), job_id, counted=counted)
    )


@router.post("/jobs/<job_id>/priority", tags=["jobs"], operation_id="reprioritise_job", summary="Move a waiting job")
def reprioritise_job(request: Request, job_id: str, body: PriorityRequest) -> Response[Any]:
    """It takes its new place among the waiting jobs at once."""
    job = control.reprioritise(runtime.current().ports, caller_of(request), job_id, body.priority)
    return _told("Job priority changed", job)


def idempotent_id(caller: Caller, key: str) -> str:
    """The job id that an Idempotency-Key of this user stands for. Raises InvalidInput."""
    return "idem-" + hashlib.sha256(f"{caller.user}\n{idempotency_key(key)}".encode()).hexdigest()[:32]


_DELETED = {
    "erased": "Job deleted successfully",
    "cancelled": "Job cancelled",
    "cancel_requested": "Job asked to stop",
}


def _delete(ports: Ports, caller: Caller, job_id: str) -> str:
    try:
        control.erase(ports, caller, job_id)
    except WrongState:
        job = control.cancel(ports, caller, job_id)
        return "cancelled" if job.state is State.CANCELLED else "cancel_requested"
    return "erased"


def spec_of(ports: Ports, caller: Caller, body: JobRequest, fallback_id: str | None = None) -> JobSpec:
    """What a body asks for, with the help of the definition that it names. Raises InvalidInput, Forbidden."""
    if body.definition is None:
        return body.spec(fallback_id)
    caller.require(Scope.SUBMIT)
    return spec_from(ports, caller.tenant, body.definition, body.given(fallback_id))


def _spec_or_error(ports: Ports, caller: Caller, raw: Any) -> JobSpec | TidegateError:
    try:
        return spec_of(ports, caller, JobRequest.model_validate(raw))
    except ValidationError as error:
        return invalid_input((each["loc"] or ("job",), each) for each in error.errors())
    except TidegateError as error:
        return error


def _submit_each(ports: Ports, caller: Caller, asked: list[JobSpec | TidegateError]) -> list[Submitted | TidegateError]:
    """Submit those that are sound; every answer stands where its question stood."""
    specs = [each for each in asked if isinstance(each, JobSpec)]
    answers = iter(submit(ports, caller, specs) if specs else [])
    return [next(answers) if isinstance(each, JobSpec) else each for each in asked]


def _rejection(index: int, error: TidegateError) -> dict[str, Any]:
    body = body_of(error)
    return {"index": index, **{name: body[name] for name in ("code", "message", "details")}}


def _told(message: str, job: Job) -> Response[Any]:
    return answer({"success": True, "message": message, "job": job_view(job)})
