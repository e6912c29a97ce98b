"""What a job leaves behind: its log and its history."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.caller import Scope
from tidegate.domain.history import AttemptRecord, StateChange, history_of
from tidegate.service.control import visible_job
from tidegate.service.read_log import LogPage, Told, read_log

from .query_models import LogQuery
from .requests import answer, caller_of, check_query, query_pairs
from .wire import dump, fits, format_time

router = Router()  # type: ignore[no-untyped-call]


@router.get("/jobs/<job_id>/logs", tags=["jobs"], operation_id="get_job_logs", summary="What its handler told")
def get_job_logs(request: Request, job_id: str, query: Annotated[LogQuery, Query()]) -> Response[Any]:
    """Oldest first. `next_after` goes on after the last line, also later; `ended` says that no more will come."""
    caller, ports = caller_of(request), runtime.current().ports
    check_query(query_pairs(request), LogQuery, repeatable="")
    limit = query.limit
    while True:
        page = read_log(ports, caller, job_id, after=query.after, limit=limit, level=query.level)
        view = _page_view(job_id, page)
        if limit == 1 or fits(dump(view)):
            return answer(view)
        limit = max(1, limit // 2)


@router.get("/jobs/<job_id>/history", tags=["jobs"], operation_id="get_job_history", summary="Its attempts and states")
def get_job_history(request: Request, job_id: str) -> Response[Any]:
    """Every attempt that is known, with its worker, times and error, and every known change of state.

    The last 20 failures are kept; `forgotten` counts the attempts that left no record.
    """
    caller = caller_of(request)
    caller.require(Scope.READ)
    history = history_of(visible_job(runtime.current().ports, caller, job_id))
    return answer(
        {
            "success": True,
            "message": "Job history retrieved successfully",
            "job_id": job_id,
            "attempts": [attempt_view(each) for each in history.attempts],
            "changes": [_change_view(each) for each in history.changes],
            "forgotten": history.forgotten,
        }
    )


def attempt_view(attempt: AttemptRecord) -> dict[str, Any]:
    """One attempt."""
    view = {each.name: getattr(attempt, each.name) for each in fields(attempt)}
    return {**view, **{name: format_time(view[name]) for name in ("started_at", "ended_at")}}


def _change_view(change: StateChange) -> dict[str, Any]:
    return {"at": format_time(change.at), "state": change.state, "attempt": change.attempt, "note": change.note}


def _page_view(job_id: str, page: LogPage) -> dict[str, Any]:
    return {
        "success": True,
        "message": "Job logs retrieved successfully",
        "job_id": job_id,
        "lines": [_line_view(each) for each in page.lines],
        "next_after": page.cursor,
        "more": page.more,
        "ended": page.ended,
    }


def _line_view(told: Told) -> dict[str, Any]:
    line = told.line
    return {"time": format_time(line.at), "level": line.level, "attempt": told.attempt, "message": line.message}
