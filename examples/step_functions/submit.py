"""A Lambda for your own state machine: submits a job, and lets the machine wait for its end.

Its environment has TIDEGATE_URL and TIDEGATE_TOKEN. Nothing runs, and nothing is paid for, while the job does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tidegate import Client


def handler(event: Mapping[str, Any], context: object) -> dict[str, str]:  # noqa: ARG001
    """Submit the job of the event. Raises what the API refuses, which fails the task."""
    with Client() as client:
        return submit(client, event)


def submit(client: Client, event: Mapping[str, Any]) -> dict[str, str]:
    """The same with a client at hand. A task that is repeated has the same `job_id`, so it makes no second job."""
    job = client.submit(**event["job"], task_token=event["task_token"])
    return {"job_id": job.id}
