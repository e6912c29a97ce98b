"""The routes about webhooks: what they are signed with, and what became of them."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.job import COARSE, Job
from tidegate.domain.webhook import WebhookSecret
from tidegate.service import webhook_secrets
from tidegate.service import webhooks as service

from .requests import answer, caller_of
from .wire import format_time

router = Router()  # type: ignore[no-untyped-call]
_SECRET = "/queues/<name>/webhook-secret"  # noqa: S105 - a path


@router.get(
    _SECRET, tags=["webhooks"], operation_id="get_webhook_secret", summary="What a queue's webhooks are signed with"
)
def get_webhook_secret(request: Request, name: str) -> Response[Any]:
    """Webhooks of single jobs are signed with the secret of their queue."""
    ports = runtime.current().ports
    return _told("Secret retrieved", webhook_secrets.get_secret(ports, caller_of(request), name), ports.now())


@router.post(
    f"{_SECRET}/rotate", tags=["webhooks"], operation_id="rotate_webhook_secret", summary="Replace a queue's secret"
)
def rotate_webhook_secret(request: Request, name: str) -> Response[Any]:
    """For a day messages are signed with both, so that the receiver can change in its own time."""
    ports = runtime.current().ports
    return _told("Secret replaced", webhook_secrets.rotate_secret(ports, caller_of(request), name), ports.now())


@router.get(
    "/jobs/<job_id>/webhooks", tags=["webhooks"], operation_id="list_deliveries", summary="The messages about a job"
)
def list_deliveries(request: Request, job_id: str) -> Response[Any]:
    """Newest first. A message is sent again by POST /jobs/{id}/retry with its id once it has failed for good."""
    found = service.deliveries(runtime.current().ports, caller_of(request), job_id)
    view = {"success": True, "message": "Deliveries retrieved successfully", "deliveries": [*map(_view, found)]}
    return answer(view)


def _told(message: str, secret: WebhookSecret, now: int) -> Response[Any]:
    current, *older = secret.at(now)
    return answer(
        {
            "success": True,
            "message": message,
            "queue": secret.queue,
            "secret": current,
            "previous": older[0] if older else None,
            "rotated_at": format_time(secret.rotated_at),
        }
    )


def _view(job: Job) -> dict[str, Any]:
    data, result = job.data or {}, job.result or {}
    return {
        "id": job.id,
        "event": job.metadata.get("event", ""),
        "url": data.get("url", ""),
        "state": job.state.value,
        "status": COARSE[job.state],
        "attempt": job.attempt,
        "response_status": result.get("status"),
        "error_message": job.error_message,
        "created_at": format_time(job.created_at),
        "completed_at": format_time(job.completed_at),
        "next_attempt_at": format_time(job.wake_at),
    }
