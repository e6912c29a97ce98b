"""Schedules as two texts: what people define, and what changes with every run. Shared by both homes.

Kept apart, a run rewrites a few hundred bytes, however large the job's data is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.schedule import Backfill, DagTemplate, Fate, Firing, JobTemplate, Misfire, Overlap, Schedule
from tidegate.ports import Hold

_STATE = (
    "next_run", "look_at", "queued", "releasing", "last_run", "last_job_id", "last_error", "fired", "recent",
    "backfill",
)  # fmt: skip
_BESIDE = ("version",)
_DEFINITION = tuple(each.name for each in fields(Schedule) if each.name not in (*_STATE, *_BESIDE))
_DEFAULTS = {each.name: each.default for each in fields(Schedule)}


def definition_of(schedule: Schedule) -> str:
    """What people define, as JSON; values that are defaults are left out."""
    made = {"job": None if schedule.job is None else _given(schedule.job)}
    made["dag"] = None if schedule.dag is None else _given(schedule.dag)
    return _dump({name: getattr(schedule, name) for name in _DEFINITION} | made)


def state_of(schedule: Schedule) -> str:
    """What changes with every run, as JSON."""
    values = {name: getattr(schedule, name) for name in _STATE}
    values["recent"] = [[firing.at, firing.fate] for firing in schedule.recent]
    values["backfill"] = None if schedule.backfill is None else asdict(schedule.backfill)
    return _dump(values)


def schedule_of(version: int, definition: str, state: str) -> Schedule:
    """The schedule in the two texts."""
    values: dict[str, Any] = {**json.loads(definition), **json.loads(state)}
    if (job := values.get("job")) is not None:
        values["job"] = JobTemplate(**{**job, "tags": tuple(job.get("tags", ()))})
    if (dag := values.get("dag")) is not None:
        values["dag"] = _dag(dag)
    values["misfire"] = Misfire(values.get("misfire", _DEFAULTS["misfire"]))
    values["overlap"] = Overlap(values.get("overlap", _DEFAULTS["overlap"]))
    values["releasing"] = tuple(values.get("releasing", ()))
    values["recent"] = tuple(Firing(at, Fate(fate)) for at, fate in values.get("recent", ()))
    backfill = values.get("backfill")
    values["backfill"] = None if backfill is None else Backfill(**backfill)
    return Schedule(**values, version=version)


def hold_text(hold: Hold) -> str:
    """A pause of all schedules as JSON."""
    return json.dumps(asdict(hold), separators=(",", ":"), ensure_ascii=False)


def hold_of(text: str) -> Hold:
    """The pause in the text."""
    return Hold(**json.loads(text))


def _dag(values: Mapping[str, Any]) -> DagTemplate:
    policy = FailurePolicy(values.get("failure_policy", FailurePolicy.FAIL_FAST))
    tags, nodes = tuple(values.get("tags", ())), tuple(values["nodes"])
    return DagTemplate(**{**values, "failure_policy": policy, "tags": tags, "nodes": nodes})


def _given(template: JobTemplate | DagTemplate) -> dict[str, Any]:
    """What a template says; what it leaves to defaults is left out."""
    defaults = {each.name: each.default for each in fields(template)}
    values = {each.name: getattr(template, each.name) for each in fields(template)}
    values["metadata"] = dict(template.metadata) or None
    return {name: value for name, value in values.items() if value is not None and value != defaults[name]}


def _dump(values: Mapping[str, Any]) -> str:
    kept = {name: value for name, value in values.items() if value != _DEFAULTS[name] and value != []}
    return json.dumps(kept, separators=(",", ":"), ensure_ascii=False)
