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
from tidegate.domain.job import Job, Progress
from tidegate.service import attempts

from .requests import answer, caller_of
from .views import job_view
from .wire import dump, fits
from .work_models import (
    AttemptRequest,
    CompleteRequest,
    FailRequest,
    HeartbeatRequest,
    SkipRequest,
    SnoozeRequest,
)
from .work_views import held_view

router = Router()  # type: ignore[no-untyped-call]


@router.post("/jobs/<job_id>/heartbeat", tags=["workers"], operation_id="heartbeat", summary="Keep a running job")
def heartbeat(request: Request, job_id: str, body: HeartbeatRequest) -> Response[Any]:
    """Moves the end of the lease on; `cancel_requested` tells the worker to stop."""
    app, told = runtime.current(), body.progress
    progress = None if told is None else Progress(told.fraction, told.message)
    lease = runtime.lease_seconds(app)
    held = attempts.heartbeat(app.ports, caller_of(request), job_id, body.attempt, lease, progress)
    return answer({"success": True, "message": "Lease extended", **held_view(held)})


@router.get("/jobs/<job_id>/data", tags=["workers"], operation_id="get_job_data", summary="The data of a running job")
def get_job_data(request: Request, job_id: str, attempt: Annotated[int, Query(ge=1)]) -> Response[Any]:
    """For data too large to come with the claim. 413 for data that no answer can carry."""
    data = attempts.data_of(runtime.current().ports, caller_of(request), job_id, attempt)
    body = {"success": True, "message": "Job data retrieved successfully", "job_id": job_id, "data": data}
    if not fits(dump(body)):
        raise PayloadTooLarge("the data is too large for an answer: run this job on a worker with AWS credentials")
    return answer(body)


@router.post("/jobs/<job_id>/complete", tags=["workers"], operation_id="complete_job", summary="Record a result")
def complete_job(request: Request, job_id: str, body: CompleteRequest) -> Response[Any]:
    """The job is COMPLETED, once."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Result recorded", attempts.complete(ports, caller, job_id, body.attempt, body.result))


@router.post("/jobs/<job_id>/fail", tags=["workers"], operation_id="fail_job", summary="Record a failure")
def fail_job(request: Request, job_id: str, body: FailRequest) -> Response[Any]:
    """Another attempt follows, unless this was the last one or the failure is `permanent`."""
    ports, caller = runtime.current().ports, caller_of(request)
    job = attempts.fail(
        ports, caller, job_id, body.attempt, body.error_type, body.error_message, permanent=body.permanent
    )
    return _told("Failure recorded", job)


@router.post("/jobs/<job_id>/snooze", tags=["workers"], operation_id="snooze_job", summary="Run a job again later")
def snooze_job(request: Request, job_id: str, body: SnoozeRequest) -> Response[Any]:
    """Uses up no attempt."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Job snoozed", attempts.snooze(ports, caller, job_id, body.attempt, body.seconds))


@router.post("/jobs/<job_id>/skip", tags=["workers"], operation_id="skip_job", summary="There was nothing to do")
def skip_job(request: Request, job_id: str, body: SkipRequest) -> Response[Any]:
    """The job is SKIPPED."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Job skipped", attempts.skip(ports, caller, job_id, body.attempt, body.reason))


@router.post("/jobs/<job_id>/stopped", tags=["workers"], operation_id="job_stopped", summary="A handler has stopped")
def job_stopped(request: Request, job_id: str, body: AttemptRequest) -> Response[Any]:
    """The job is CANCELLED: its handler stopped because it was asked to."""
    return _told("Job cancelled", attempts.stop(runtime.current().ports, caller_of(request), job_id, body.attempt))


def _told(message: str, job: Job) -> Response[Any]:
    return answer({"success": True, "message": message, "job": job_view(job)})
