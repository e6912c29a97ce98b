"""Schedules to test with."""

from __future__ import annotations

from typing import Any

from tidegate.domain.schedule import JobTemplate, Schedule

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
