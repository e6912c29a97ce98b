"""The routes of `/stats`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.service import depth as service_depth
from tidegate.service import stats as service
from tidegate.service import timeline as service_timeline

from .requests import answer, caller_of, only
from .views import job_view, stats_view
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]

MAX_TOP = 100
MAX_SAMPLE = 1_000
MAX_STUCK = 200
_LONGEST = 3_660 * 86_400.0


@router.get("/stats", tags=["stats"], operation_id="get_stats", summary="How many jobs stand where")
def get_stats(request: Request) -> Response[Any]:
    """Counted from the change feed, seconds late at most."""
    found = service.stats(runtime.current().ports, caller_of(request))
    return answer({"success": True, "message": "Stats retrieved successfully", "stats": stats_view(found)})


@router.get("/stats/retries", tags=["stats"], operation_id="retry_analysis", summary="How often jobs were retried")
def retry_analysis(request: Request) -> Response[Any]:
    """Of each name, the stored jobs that have used retries, those with the highest average first."""
    only(request)
    found = service.retry_analysis(runtime.current().ports, caller_of(request))
    return _told("Retry analysis retrieved", retries=[asdict(each) for each in found])


@router.get("/stats/throughput", tags=["stats"], operation_id="throughput", summary="What became of jobs in each hour")
def throughput(request: Request, hours: Annotated[int, Query(ge=1, le=720)] = 24) -> Response[Any]:
    """The hour under way is the last; hours without any are there too."""
    only(request, "hours")
    found = service.throughput(runtime.current().ports, caller_of(request), hours)
    rows = [{**asdict(each), "hour": format_time(each.hour)} for each in found]
    return _told("Throughput retrieved", throughput=rows)


@router.get("/stats/timeline", tags=["stats"], operation_id="timeline", summary="Completed and failed jobs over time")
def timeline(request: Request, hours: Annotated[int, Query(ge=1, le=720)] = 24) -> Response[Any]:
    """In steps of five minutes up to 24 hours, else of an hour; steps without any are there too."""
    only(request, "hours")
    found = service_timeline.timeline(runtime.current().ports, caller_of(request), hours)
    points = [{**asdict(each), "at": format_time(each.at)} for each in found.points]
    view = {**asdict(found), "success_rate": found.success_rate, "points": points}
    return _told("Timeline retrieved", timeline=view)


@router.get("/stats/depth", tags=["stats"], operation_id="depth", summary="How many jobs wait for a worker")
def depth(request: Request) -> Response[Any]:
    """By priority, with the job that has been ready for the longest. Jobs with a time of their own do not count."""
    only(request)
    found = service_depth.depth(runtime.current().ports, caller_of(request))
    oldest = None if found.oldest is None else job_view(found.oldest)
    view = {
        "total": sum(found.priorities.values()),
        "bands": {band.value: jobs for band, jobs in found.bands.items()},
        "priorities": {str(priority): jobs for priority, jobs in found.priorities.items()},
        "oldest_seconds": found.waiting_seconds,
        "oldest_job": oldest,
    }
    return _told("Depth retrieved", depth=view)


@router.get("/stats/errors", tags=["stats"], operation_id="common_errors", summary="The most common error messages")
def common_errors(
    request: Request,
    top: Annotated[int, Query(ge=1, le=MAX_TOP)] = 5,
    sample: Annotated[int, Query(ge=1, le=MAX_SAMPLE, description="Failed jobs to look at, the newest.")] = 500,
) -> Response[Any]:
    """Messages that differ in numbers, UUIDs and ids only count as one."""
    only(request, "top", "sample")
    found, looked = service.common_errors(runtime.current().ports, caller_of(request), top, sample)
    rows = [{**asdict(each), "names": list(each.names), "last_at": format_time(each.last_at)} for each in found]
    return _told("Errors retrieved", errors=rows, jobs_looked_at=looked)


@router.get("/stats/stuck", tags=["stats"], operation_id="stuck_jobs", summary="Jobs that run for too long")
def stuck_jobs(
    request: Request,
    older_than: Annotated[float, Query(ge=0, le=_LONGEST, description="Seconds since the attempt started.")] = 3_600,
    limit: Annotated[int, Query(ge=1, le=MAX_STUCK)] = 50,
) -> Response[Any]:
    """The longest running first. POST /maintenance/reset takes them from their attempts."""
    only(request, "older_than", "limit")
    found = service.stuck_jobs(runtime.current().ports, caller_of(request), older_than, limit)
    return _told("Stuck jobs retrieved", jobs=[job_view(job) for job in found])


@router.get("/stats/queues", tags=["stats"], operation_id="queue_figures", summary="How many jobs stand in each queue")
def queue_figures(request: Request) -> Response[Any]:
    """Of every queue that has had jobs, how many wait, run, and have ended and are still stored."""
    only(request)
    found = service.queue_figures(runtime.current().ports, caller_of(request))
    return _told("Queue figures retrieved", queues=[{**asdict(each), "states": dict(each.states)} for each in found])


@router.get("/stats/sla", tags=["stats"], operation_id="sla_figures", summary="Deadlines met, missed and at risk")
def sla_figures(request: Request) -> Response[Any]:
    """In all, and of each queue. `met`: completed within the first deadline; `at_risk`: now; the rest: so far."""
    only(request)
    found = service.sla_figures(runtime.current().ports, caller_of(request))
    rows = [asdict(each) for each in found]
    total = {name: sum(row[name] for row in rows) for name in ("met", "missed_soft", "missed_hard", "at_risk")}
    return _told("SLA figures retrieved", sla={**total, "queues": rows})


def _told(message: str, **parts: Any) -> Response[Any]:
    return answer({"success": True, "message": message, **parts})
