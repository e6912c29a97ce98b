"""The route of `/jobs/bulk`: one deed done to many jobs, by their ids."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request
from pydantic import Field

from tidegate import runtime
from tidegate.domain.errors import InvalidInput, TidegateError
from tidegate.domain.job import Job
from tidegate.domain.spec import MAX_BATCH
from tidegate.service import control

from .bodies import MAX_REASON, Body, Priority, Word
from .errors import body_of
from .requests import answer, caller_of

router = Router()  # type: ignore[no-untyped-call]


class Deed(StrEnum):
    """What to do to each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    PRIORITY = "priority"


class BulkRequest(Body):
    """Jobs to cancel, to start over, or to move, each for itself."""

    action: Annotated[Deed, Field(strict=False)]
    job_ids: Annotated[list[Word], Field(min_length=1, max_length=MAX_BATCH)]
    reason: str | None = Field(None, max_length=MAX_REASON, description="With `cancel`: why, for those who look later.")
    priority: Priority | None = Field(None, description="With `priority`: the new one.")


@router.post("/jobs/bulk", tags=["jobs"], operation_id="bulk", summary="Cancel, retry or move up to 100 jobs")
def bulk(request: Request, body: BulkRequest) -> Response[Any]:
    """As the routes for one job. Each is done or refused for itself; `success` says that none was refused."""
    results = dict(zip(body.job_ids, _results(request, body), strict=True))
    done = [job_id for job_id, each in results.items() if isinstance(each, Job)]
    refused = [_refusal(job_id, each) for job_id, each in results.items() if isinstance(each, TidegateError)]
    message = f"{len(done)} of {len(results)} jobs: {body.action}"
    return answer({"success": not refused, "message": message, "done": done, "refused": refused})


def _results(request: Request, body: BulkRequest) -> control.Results:
    ports, caller = runtime.current().ports, caller_of(request)
    if (body.priority is not None) != (body.action is Deed.PRIORITY):
        raise InvalidInput.field("priority", "goes with the action 'priority', and with no other")
    if body.reason is not None and body.action is not Deed.CANCEL:
        raise InvalidInput.field("reason", "goes with the action 'cancel' alone")
    if body.priority is not None:
        return control.reprioritise_each(ports, caller, body.job_ids, body.priority)
    if body.action is Deed.RETRY:
        return control.retry_each(ports, caller, body.job_ids)
    return control.cancel_each(ports, caller, body.job_ids, body.reason)


def _refusal(job_id: str, error: TidegateError) -> dict[str, Any]:
    body = body_of(error)
    return {"id": job_id, **{name: body[name] for name in ("code", "message", "details")}}
