"""The routes of a running attempt, for workers without access to the tables. Each needs the scope `work`.

All are fenced by `attempt`: 409 LEASE_LOST when it is not the current one, and nothing is changed.
"""

from __future__ import annotations

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.errors import PayloadTooLarge
from tidegate.domain.job import Job
from tidegate.domain.logs import line_of
from tidegate.service import attempts

from .requests import answer, caller_of
from .views import job_view
from .wire import TOO_LARGE, dump, first_that_fit, fits
from .work_models import (
    CompleteRequest,
    FailRequest,
    HeartbeatRequest,
    LogRequest,
    SkipRequest,
    SnoozeRequest,
    StoppedRequest,
)
from .work_views import held_view, upstream_view

router = Router()  # type: ignore[no-untyped-call]


@router.post("/jobs/<job_id>/heartbeat", tags=["workers"], operation_id="heartbeat", summary="Keep a running job")
def heartbeat(request: Request, job_id: str, body: HeartbeatRequest) -> Response[Any]:
    """Moves the end of the lease on; `cancel_requested` tells the worker to stop."""
    app = runtime.current()
    lease = runtime.lease_seconds(app)
    held = attempts.heartbeat(app.ports, caller_of(request), job_id, body.attempt, lease, body.told)
    return answer({"success": True, "message": "Lease extended", **held_view(held)})


@router.get("/jobs/<job_id>/data", tags=["workers"], operation_id="get_job_data", summary="The data of a running job")
def get_job_data(request: Request, job_id: str, attempt: Annotated[int, Query(ge=1)]) -> Response[Any]:
    """For data too large to come with the claim. 413 for data that no answer can carry."""
    data = attempts.data_of(runtime.current().ports, caller_of(request), job_id, attempt)
    body = {"success": True, "message": "Job data retrieved successfully", "job_id": job_id, "data": data}
    if not fits(dump(body)):
        raise PayloadTooLarge(TOO_LARGE)
    return answer(body)


@router.get(
    "/jobs/<job_id>/upstream",
    tags=["workers"],
    operation_id="get_job_upstream",
    summary="What the nodes before a running job came to",
)
def get_job_upstream(
    request: Request, job_id: str, attempt: Annotated[int, Query(ge=1)], after: Annotated[int, Query(ge=0)] = 0
) -> Response[Any]:
    """The nodes that it depends on, with their results, as many as one answer carries; `next_after` goes on."""
    found = attempts.upstream_of_held(runtime.current().ports, caller_of(request), job_id, attempt, after)
    nodes, is_all = first_that_fit(upstream_view(node, upstream) for node, upstream in found)
    return _page("Upstream retrieved successfully", job_id, "nodes", nodes, None if is_all else after + len(nodes))


@router.get(
    "/jobs/<job_id>/entries",
    tags=["workers"],
    operation_id="get_job_entries",
    summary="The results that a running tidegate.gather gathers",
)
def get_job_entries(
    request: Request, job_id: str, attempt: Annotated[int, Query(ge=1)], after: Annotated[int, Query(ge=0)] = 0
) -> Response[Any]:
    """Those of a fanned-out node's entries, in order, as many as one answer carries; `next_after` goes on."""
    found = attempts.entries_of_held(runtime.current().ports, caller_of(request), job_id, attempt, after)
    results, is_all = first_that_fit(found)
    return _page("Entries retrieved successfully", job_id, "results", results, None if is_all else after + len(results))


@router.post("/jobs/<job_id>/logs", tags=["workers"], operation_id="append_job_logs", summary="Add to a job's log")
def append_job_logs(request: Request, job_id: str, body: LogRequest) -> Response[Any]:
    """Lines of a running attempt, oldest first, kept under the limits of logs."""
    ports, now = runtime.current().ports, runtime.current().ports.now()
    lines = [line_of(now - round(each.seconds_ago * 1000), each.level, each.message) for each in body.lines]
    usage, number = attempts.append_log(ports, caller_of(request), job_id, body.attempt, body.number, lines)
    kept = {"lines": usage.lines, "bytes": usage.size, "overflows": usage.overflows}
    return answer({"success": True, "message": "Log kept", "job_id": job_id, "number": number, "kept": kept})


@router.post("/jobs/<job_id>/complete", tags=["workers"], operation_id="complete_job", summary="Record a result")
def complete_job(request: Request, job_id: str, body: CompleteRequest) -> Response[Any]:
    """The job is COMPLETED, once."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Result recorded", attempts.complete(ports, caller, job_id, body.attempt, body.result, body.told))


@router.post("/jobs/<job_id>/fail", tags=["workers"], operation_id="fail_job", summary="Record a failure")
def fail_job(request: Request, job_id: str, body: FailRequest) -> Response[Any]:
    """Another attempt follows, unless this was the last one or the failure is `permanent`."""
    ports, caller = runtime.current().ports, caller_of(request)
    job = attempts.fail(
        ports,
        caller,
        job_id,
        body.attempt,
        body.error_type,
        body.error_message,
        permanent=body.permanent,
        progress=body.told,
        stop_if_asked=not body.cleans_up,
    )
    return _told("Failure recorded", job)


@router.post("/jobs/<job_id>/snooze", tags=["workers"], operation_id="snooze_job", summary="Run a job again later")
def snooze_job(request: Request, job_id: str, body: SnoozeRequest) -> Response[Any]:
    """Uses up no attempt."""
    ports, caller = runtime.current().ports, caller_of(request)
    job = attempts.snooze(
        ports, caller, job_id, body.attempt, body.seconds, progress=body.told, stop_if_asked=not body.cleans_up
    )
    return _told("Job snoozed", job)


@router.post("/jobs/<job_id>/skip", tags=["workers"], operation_id="skip_job", summary="There was nothing to do")
def skip_job(request: Request, job_id: str, body: SkipRequest) -> Response[Any]:
    """The job is SKIPPED."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Job skipped", attempts.skip(ports, caller, job_id, body.attempt, body.reason, body.told))


@router.post("/jobs/<job_id>/stopped", tags=["workers"], operation_id="job_stopped", summary="A handler has stopped")
def job_stopped(request: Request, job_id: str, body: StoppedRequest) -> Response[Any]:
    """The job is CANCELLED: its handler stopped because it was asked to."""
    ports, caller = runtime.current().ports, caller_of(request)
    error = None if body.error_message is None else (body.error_type, body.error_message)
    return _told("Job cancelled", attempts.stop(ports, caller, job_id, body.attempt, error, body.told))


def _page(message: str, job_id: str, name: str, values: list[Any], next_after: int | None) -> Response[Any]:
    return answer({"success": True, "message": message, "job_id": job_id, name: values, "next_after": next_after})


def _told(message: str, job: Job) -> Response[Any]:
    return answer({"success": True, "message": message, "job": job_view(job)})
