"""The schedules of a server, over HTTP. The token needs the scopes submit and read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tidegate.client import Client
from tidegate.client.schedule_models import Schedule
from tidegate.domain.job import Json
from tidegate.domain.priority import DEFAULT
from tidegate.scheduler import ScheduleInfo


class ServerSchedules:
    """`Schedules` on a server."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def create_schedule(
        self, name: str, job_type: str, config: Json, schedule_expr: str, priority: int, **options: Any
    ) -> str:
        """See `Schedules.create_schedule`."""
        job = {"name": job_type, "data": config, "priority": priority}
        return self._client.create_schedule(name, schedule_expr, job=job, **options).id

    def check_due_schedules(self) -> list[str]:
        """See `Schedules.check_due_schedules`: the server's clock does that."""
        return []

    def enable_schedule(self, schedule_id: str) -> None:
        """See `Schedules.enable_schedule`."""
        self._client.enable_schedule(schedule_id)

    def disable_schedule(self, schedule_id: str, reason: str | None = None) -> None:
        """See `Schedules.disable_schedule`."""
        self._client.disable_schedule(schedule_id, reason)

    def list_schedules(self, enabled_only: bool = False) -> list[ScheduleInfo]:
        """See `Schedules.list_schedules`."""
        return [_info(each) for each in self._client.schedules(enabled_only=enabled_only)]

    def close(self) -> None:
        """See `Schedules.close`."""
        self._client.close()


def _info(seen: Schedule) -> ScheduleInfo:
    return ScheduleInfo(
        schedule_id=seen.id,
        name=seen.name,
        job_type=seen.job_type,
        config=seen.config,
        schedule_expr=seen.expression,
        priority=DEFAULT if seen.priority is None else seen.priority,
        enabled=seen.enabled,
        next_run=seen.next_run,
        last_run=seen.last_run,
        created_at=seen.created_at or datetime.fromtimestamp(0, UTC),
    )
