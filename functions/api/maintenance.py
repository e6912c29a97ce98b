"""The routes of `/maintenance`: what is done to many jobs at once. Each needs `confirm`, else it is a dry run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.errors import InvalidInput
from tidegate.domain.words import counted
from tidegate.service import letters, maintenance
from tidegate.service.maintenance import Action, Selection

from .listing import states_of
from .maintenance_models import MaintenanceRequest, RedriveRequest, ResetRequest
from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]


@router.post("/maintenance/purge", tags=["maintenance"], operation_id="purge", summary="Delete ended jobs")
def purge(request: Request, body: MaintenanceRequest) -> Response[Any]:
    """By state, queue, name, tag and age; repeat the request with its `continuation` until that is null."""
    return _maintain(request, Action.PURGE, body)


@router.post("/maintenance/archive", tags=["maintenance"], operation_id="archive", summary="Archive ended jobs")
def archive(request: Request, body: MaintenanceRequest) -> Response[Any]:
    """Written as JSON lines to the blob store first, then deleted; `archives` names the files."""
    return _maintain(request, Action.ARCHIVE, body)


@router.post("/maintenance/retry", tags=["maintenance"], operation_id="retry_jobs", summary="Start ended jobs over")
def retry_jobs(request: Request, body: MaintenanceRequest) -> Response[Any]:
    """FAILED jobs unless `states` names EXPIRED or CANCELLED ones."""
    return _maintain(request, Action.RETRY, body)


@router.post("/maintenance/reset", tags=["maintenance"], operation_id="reset_stuck", summary="Reset stuck jobs")
def reset_stuck(request: Request, body: ResetRequest) -> Response[Any]:
    """Running jobs wait again, and whoever ran them is locked out; no retry is used up."""
    caller, ports = caller_of(request), runtime.current().ports
    jobs, done = maintenance.reset_stuck(ports, caller, body.older_than, confirm=body.confirm)
    reset, would = counted(done, "job"), counted(len(jobs), "job")
    message = f"{reset} reset" if body.confirm else f"Dry run: {would} would be reset"
    ids = [job.id for job in jobs]
    return _told(message, dry_run=not body.confirm, matched=len(jobs), done=done, job_ids=ids)


@router.get("/maintenance/dead-letters", tags=["maintenance"], operation_id="dead_letters", summary="Dead letters")
def dead_letters(
    request: Request,
    after: Annotated[str, Query(description="The last id of the page before.")] = "",
    limit: Annotated[int, Query(ge=1, le=letters.MAX_LETTERS)] = 50,
) -> Response[Any]:
    """Messages that were no tickets, and why; a full page may be followed by another."""
    only(request, "after", "limit")
    found = letters.list_letters(runtime.current().ports, caller_of(request), after, limit)
    rows = [{**asdict(each), "at": format_time(each.at)} for each in found]
    return _told("Dead letters retrieved", dead_letters=rows)


@router.post("/maintenance/redrive", tags=["maintenance"], operation_id="redrive", summary="Redrive dead letters")
def redrive(request: Request, body: RedriveRequest) -> Response[Any]:
    """Send those that are tickets by now on their way again, or `drop` them; `results` says what became of each."""
    if body.all == bool(body.ids):
        raise InvalidInput.field("ids", "give ids, or all")
    caller, ports = caller_of(request), runtime.current().ports
    ids = None if body.all else list(dict.fromkeys(body.ids))
    fates = letters.redrive(ports, caller, ids, drop=body.drop, confirm=body.confirm)
    verb = "dropped" if body.drop else "redriven"
    message = f"{len(fates)} dead letters {verb}" if body.confirm else f"Dry run: {len(fates)} would be {verb}"
    results = [{"id": letter_id, "result": fate} for letter_id, fate in fates.items()]
    return _told(message, dry_run=not body.confirm, results=results)


_DONE = {Action.PURGE: "purged", Action.ARCHIVE: "archived", Action.RETRY: "queued again"}


def _maintain(request: Request, action: Action, body: MaintenanceRequest) -> Response[Any]:
    selection = Selection(
        states=states_of(body.states, "states"),
        queue=body.queue,
        name=body.name,
        tag=body.tag,
        older_than=body.older_than,
        all=body.all,
    )
    found = maintenance.maintain(
        runtime.current().ports,
        caller_of(request),
        action,
        selection,
        confirm=body.confirm,
        limit=body.limit,
        continuation=body.continuation,
    )
    verb = _DONE[action]
    matched, done = counted(found.matched, "job"), counted(found.done, "job")
    message = f"Dry run: {matched} would be {verb}" if found.dry_run else f"{done} {verb}"
    return _told(message, action=action.value, **{**asdict(found), "archives": list(found.archives)})


def _told(message: str, **parts: Any) -> Response[Any]:
    return answer({"success": True, "message": message, **parts})
