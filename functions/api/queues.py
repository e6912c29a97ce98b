"""The routes of `/queues`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.queue import Queue
from tidegate.service import policies, usage

from .job_models import ReasonRequest
from .models import QueueSettings
from .requests import answer, caller_of
from .views import queue_view, use_view

router = Router()  # type: ignore[no-untyped-call]


@router.get("/queues", tags=["queues"], operation_id="list_queues", summary="All queues, by name")
def list_queues(request: Request) -> Response[Any]:
    """`default` is always among them."""
    queues = policies.list_queues(runtime.current().ports, caller_of(request))
    return answer(
        {"success": True, "message": "Queues retrieved successfully", "queues": [queue_view(each) for each in queues]}
    )


@router.get("/queues/<name>", tags=["queues"], operation_id="get_queue", summary="One queue")
def get_queue(request: Request, name: str) -> Response[Any]:
    """The policy that jobs submitted now would inherit, and how much of its limits is in use."""
    queue, use = usage.use_of(runtime.current().ports, caller_of(request), name)
    view = {**queue_view(queue), "use": use_view(queue, use)}
    return answer({"success": True, "message": "Queue retrieved successfully", "queue": view})


@router.put("/queues/<name>", tags=["queues"], operation_id="put_queue", summary="Make a queue, or set it anew")
def put_queue(request: Request, name: str, settings: QueueSettings) -> Response[Any]:
    """Settings that are not given get their defaults; a pause stays. Applies to jobs submitted afterwards."""
    queue = policies.put_queue(runtime.current().ports, caller_of(request), name, settings.given())
    return _told("Queue stored", queue)


@router.patch("/queues/<name>", tags=["queues"], operation_id="patch_queue", summary="Change settings of a queue")
def patch_queue(request: Request, name: str, settings: QueueSettings) -> Response[Any]:
    """Settings that are not given stay as they are. Applies to jobs submitted afterwards."""
    queue = policies.patch_queue(runtime.current().ports, caller_of(request), name, settings.given())
    return _told("Queue changed", queue)


@router.post("/queues/<name>/pause", tags=["queues"], operation_id="pause_queue", summary="Start no more of its jobs")
def pause_queue(request: Request, name: str, body: ReasonRequest | None = None) -> Response[Any]:
    """Running jobs go on; jobs are still accepted."""
    reason = body.reason if body is not None else None
    return _told("Queue paused", policies.pause_queue(runtime.current().ports, caller_of(request), name, reason))


@router.post("/queues/<name>/resume", tags=["queues"], operation_id="resume_queue", summary="Start its jobs again")
def resume_queue(request: Request, name: str) -> Response[Any]:
    """Undo a pause."""
    return _told("Queue resumed", policies.resume_queue(runtime.current().ports, caller_of(request), name))


def _told(message: str, queue: Queue) -> Response[Any]:
    return answer({"success": True, "message": message, "queue": queue_view(queue)})
