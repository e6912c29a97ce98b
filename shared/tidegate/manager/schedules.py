"""`TrainingScheduler` on the jobs of the `JobManager` of the same path, or of the same server."""

from __future__ import annotations

import os
from typing import Any, Protocol

from tidegate import scheduler
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json
from tidegate.domain.priority import DEFAULT
from tidegate.scheduler import ScheduleInfo

from .jobs import DEFAULT_FILE, folder_for, is_address


class Schedules(Protocol):
    """Schedules somewhere: see `TrainingScheduler`."""

    def create_schedule(
        self, name: str, job_type: str, config: Json, schedule_expr: str, priority: int, **options: Any
    ) -> str:
        """Make a schedule and answer its id."""

    def check_due_schedules(self) -> list[str]:
        """Make what is due; answers the ids."""

    def enable_schedule(self, schedule_id: str) -> None:
        """Let it run again."""

    def disable_schedule(self, schedule_id: str, reason: str | None = None) -> None:
        """Make no more jobs."""

    def list_schedules(self, enabled_only: bool = False) -> list[ScheduleInfo]:
        """All schedules, by name."""

    def close(self) -> None:
        """Give back what is held open."""


class TrainingScheduler:
    """Schedules whose jobs a `JobManager` of the same `path` claims; whoever claims also looks for what is due.

    `path` is a file name, a data folder, or a server's address. A server fires by itself.
    """

    def __init__(self, path: str | os.PathLike[str] = DEFAULT_FILE, *, token: str | None = None) -> None:
        """Open. Raises Unavailable when the folder cannot be used, InvalidInput for an address that is none."""
        self._schedules = _schedules(path, token)

    def create_schedule(
        self,
        name: str,
        job_type: str,
        config: Json = None,
        schedule_expr: str = "@daily",
        priority: int = DEFAULT,
        **options: Any,
    ) -> str:
        """Make a schedule and answer its id. `options` are more fields of a schedule, such as `timezone` or `overlap`.

        Raises InvalidInput, Conflict when the name is taken.
        """
        return self._schedules.create_schedule(name, job_type, config, schedule_expr, priority, **options)

    def check_due_schedules(self) -> list[str]:
        """Make the jobs and runs whose time has come; answers the ids of those made by this call: none on a server."""
        return self._schedules.check_due_schedules()

    check_due = check_due_schedules

    def enable_schedule(self, schedule_id: str) -> None:
        """Let it run again, from now on. Raises NotFound."""
        self._schedules.enable_schedule(schedule_id)

    def disable_schedule(self, schedule_id: str, reason: str | None = None) -> None:
        """Make no more jobs. Raises NotFound."""
        self._schedules.disable_schedule(schedule_id, reason)

    def list_schedules(self, enabled_only: bool = False) -> list[ScheduleInfo]:
        """All schedules, by name."""
        return self._schedules.list_schedules(enabled_only)

    def close(self) -> None:
        """Give back what is held open."""
        self._schedules.close()


def _schedules(path: str | os.PathLike[str], token: str | None) -> Schedules:
    if is_address(path):
        from tidegate.client import Client

        from .server_schedules import ServerSchedules

        return ServerSchedules(Client(str(path), token))
    if token is not None:
        raise InvalidInput.field("token", "is for a server's address")
    return scheduler.TrainingScheduler(folder_for(path))
