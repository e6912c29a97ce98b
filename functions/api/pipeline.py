"""The routes of `/pipeline`: how it is doing as a whole."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.service import pipeline as service
from tidegate.service.pipeline import PipelineStatus

from .requests import answer, caller_of, only
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]


@router.get("/pipeline/status", tags=["pipeline"], operation_id="pipeline_status", summary="How the pipeline is doing")
def pipeline_status(request: Request) -> Response[Any]:
    """Counted from the change feed, seconds late at most; `uptime_seconds` since the first change was counted."""
    return _told("Pipeline status retrieved", status=_status(request).told())


@router.get("/pipeline/metrics", tags=["pipeline"], operation_id="pipeline_metrics", summary="What became of the jobs")
def pipeline_metrics(request: Request) -> Response[Any]:
    """The same figures in short."""
    status = _status(request).told()
    metrics = {name: status["metrics"][name] for name in _IN_SHORT}
    info = {name: status[name] for name in ("is_running", "worker_count", "max_concurrent_jobs")}
    return _told("Pipeline metrics retrieved", metrics=metrics, pipeline_info=info)


_IN_SHORT = ("completed_jobs", "failed_jobs", "success_rate", "jobs_per_minute")


def _status(request: Request) -> PipelineStatus:
    only(request)
    app = runtime.current()
    return service.pipeline_status(app.ports, caller_of(request), slots=app.settings.slots)


def _told(message: str, **parts: Any) -> Response[Any]:
    now = format_time(runtime.current().ports.now())
    return answer({"success": True, "message": message, **parts, "timestamp": now})
