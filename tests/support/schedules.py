"""Schedules to test with, and what came of them."""

from __future__ import annotations

from typing import Any

from home import ADMIN, Home
from tidegate.domain.caller import Caller
from tidegate.domain.job import Job
from tidegate.domain.schedule import JobTemplate, Schedule
from tidegate.ports import JobQuery, ScheduleKey
from tidegate.service import schedules as service

from .clock import START_MS

SCHEDULE_ID = "0192f000-0000-7000-8000-00000000000a"


def make_schedule(name: str = "nightly", **changes: Any) -> Schedule:
    """An hourly schedule of tenant `acme`, made at the start of time."""
    fields: dict[str, Any] = {
        "id": SCHEDULE_ID,
        "tenant": "acme",
        "name": name,
        "owner": "ann",
        "expression": "every 1h",
        "job": JobTemplate(name="work"),
        "created_at": START_MS,
        "updated_at": START_MS,
    }
    return Schedule(**{**fields, **changes})


ANN = Caller("main", "ann", frozenset({"submit", "read"}))
BOB = Caller("main", "bob", frozenset({"submit", "read"}))


def create(
    home: Home, name: str = "s", expression: str = "every 10s", caller: Caller = ADMIN, **fields: Any
) -> Schedule:
    job = fields.pop("job", JobTemplate(name="work"))
    return service.create_schedule(home.ports, caller, name=name, expression=expression, job=job, **fields)[0]


def stored(home: Home, name: str = "s") -> Schedule:
    (found,) = home.ports.schedules.get([ScheduleKey("main", name)])
    assert found is not None
    return found


def jobs(home: Home) -> list[Job]:
    """All jobs, the oldest first."""
    page = home.ports.jobs.page(JobQuery(tenant="main", limit=5_000))
    assert page.next_cursor is None
    return list(reversed(page.jobs))


def starts(home: Home) -> list[float]:
    """When each job may start, in seconds from the beginning."""
    return sorted(((job.start_after or job.created_at) - START_MS) / 1000 for job in jobs(home))


def pass_time(home: Home, seconds: float, period: float = 1.0) -> None:
    for _ in range(round(seconds / period)):
        home.clock.advance(period)
        home.tick(period)


def fates(home: Home) -> list[str]:
    return [f"{(each.at - START_MS) / 1000:g} {each.fate}" for each in stored(home).recent]


class Died(Exception):
    """The process is no more."""


class Dies:
    """A port that dies when a method is called."""

    def __init__(self, real: Any, method: str) -> None:
        self._real, self._method = real, method

    def __getattr__(self, name: str) -> Any:
        if name == self._method:
            raise Died
        return getattr(self._real, name)
