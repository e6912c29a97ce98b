"""`TrainingScheduler`: schedules by the names of the job queue guide, on this machine's home and without a server.

    scheduler = TrainingScheduler("data")
    scheduler.create_schedule(name="nightly", job_type="training", config={}, schedule_expr="0 2 * * *", priority=5)
    while True:
        job_ids = scheduler.check_due_schedules()
        time.sleep(60)

Beside a server (`tidegate serve`) nobody has to check: it fires by itself, and whoever looks finds the same jobs made
once. A server elsewhere is spoken to with `tidegate.Client`, which has the same methods.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import Json, Ms
from tidegate.domain.priority import DEFAULT
from tidegate.domain.schedule import JobTemplate, Schedule
from tidegate.runtime import App
from tidegate.service import schedules as service
from tidegate.service.fire_schedules import fire_schedules
from tidegate.service.tokens import DEFAULT_TENANT

_PAGE = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ScheduleInfo:
    """A schedule in the words of the guide; times are in UTC.

    One that makes runs has the name of their DAG as `job_type`, and no `config`.
    """

    schedule_id: str
    name: str
    job_type: str
    config: Json
    schedule_expr: str
    priority: int
    enabled: bool
    next_run: datetime | None
    last_run: datetime | None
    created_at: datetime


class TrainingScheduler:
    """Schedules of one home. `home` is its data folder (made when absent), or an `App` that is open already."""

    def __init__(self, home: str | Path | App, *, tenant: str = DEFAULT_TENANT, user: str = "admin") -> None:
        self._app = home if isinstance(home, App) else runtime.embedded(Path(home))
        self._caller = Caller(tenant, user, frozenset({Scope.ADMIN.value}))

    def create_schedule(
        self,
        name: str,
        job_type: str,
        config: Json = None,
        schedule_expr: str = "@daily",
        priority: int = 5,
        **options: Any,
    ) -> str:
        """Make a schedule and answer its id. `options` are more fields of a schedule, such as `timezone` or `overlap`.

        Raises InvalidInput, Conflict when the name is taken.
        """
        schedule, _ = service.create_schedule(
            self._app.ports,
            self._caller,
            name=name,
            expression=schedule_expr,
            job=JobTemplate(name=job_type, data=config, priority=priority),
            **options,
        )
        return schedule.id

    def check_due_schedules(self) -> list[str]:
        """Make the jobs and runs whose time has come; answers the ids of those made by this call."""
        ports = self._app.ports
        return list(fire_schedules(ports, ports.now()))

    check_due = check_due_schedules

    def enable_schedule(self, schedule_id: str) -> None:
        """Let it run again, from now on. Raises NotFound."""
        service.enable_schedule(self._app.ports, self._caller, schedule_id)

    def disable_schedule(self, schedule_id: str, reason: str | None = None) -> None:
        """Make no more jobs. Raises NotFound."""
        service.disable_schedule(self._app.ports, self._caller, schedule_id, reason)

    def list_schedules(self, enabled_only: bool = False) -> list[ScheduleInfo]:
        """All schedules, by name."""
        found: list[ScheduleInfo] = []
        after: str | None = ""
        while after is not None:
            page, after = service.list_schedules(self._app.ports, self._caller, after, _PAGE, enabled_only=enabled_only)
            found += [_info(each) for each in page]
        return found

    def close(self) -> None:
        """Close the home."""
        self._app.ports.close()


def _info(schedule: Schedule) -> ScheduleInfo:
    job = schedule.job
    return ScheduleInfo(
        schedule_id=schedule.id,
        name=schedule.name,
        job_type=schedule.makes,
        config=None if job is None else job.data,
        schedule_expr=schedule.expression,
        priority=DEFAULT if job is None else job.priority,
        enabled=schedule.enabled,
        next_run=_moment(schedule.next_run),
        last_run=_moment(schedule.last_run),
        created_at=_EPOCH + timedelta(milliseconds=schedule.created_at),
    )


def _moment(at: Ms | None) -> datetime | None:
    return None if at is None else _EPOCH + timedelta(milliseconds=at)
