"""What the API shows of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from tidegate.domain.dag.run import Run as DagRun
from tidegate.domain.job import COARSE, Job
from tidegate.domain.schedule import Backfill, DagTemplate, JobTemplate, Schedule
from tidegate.ports import Hold
from tidegate.service.schedules import Moment, Run

from .wire import format_time


def schedule_view(schedule: Schedule) -> dict[str, Any]:
    """A schedule. `job_type` and `priority` are its job's, named again for those who know them
    there; `job_type` of one that makes runs is the name of their DAG."""
    return {
        "id": schedule.id,
        "name": schedule.name,
        "owner": schedule.owner,
        "expression": schedule.expression,
        "timezone": schedule.timezone,
        "job_type": schedule.makes,
        "priority": None if schedule.job is None else schedule.job.priority,
        "job": None if schedule.job is None else _job_view(schedule.job),
        "dag": None if schedule.dag is None else _dag_view(schedule.dag),
        "enabled": schedule.enabled,
        "paused_by": schedule.paused_by,
        "paused_reason": schedule.paused_reason,
        "starts_at": format_time(schedule.starts_at),
        "ends_at": format_time(schedule.ends_at),
        "jitter_seconds": schedule.jitter_seconds,
        "misfire": schedule.misfire.value,
        "misfire_window_seconds": schedule.misfire_window_seconds,
        "overlap": schedule.overlap.value,
        "next_run": format_time(schedule.next_run),
        "last_run": format_time(schedule.last_run),
        "last_job_id": schedule.last_job_id if schedule.dag is None else None,
        "last_dag_id": schedule.last_job_id if schedule.dag is not None else None,
        "last_error": schedule.last_error,
        "fired": schedule.fired,
        "backfill": None if schedule.backfill is None else _backfill_view(schedule.backfill),
        "created_at": format_time(schedule.created_at),
        "updated_at": format_time(schedule.updated_at),
    }


def moment_view(moment: Moment) -> dict[str, Any]:
    """A time in UTC and on the clocks of the schedule's zone."""
    return {"utc": format_time(moment.at), "local": moment.local}


def run_view(run: Run) -> dict[str, Any]:
    """One of a schedule's times, and the state of its job or its run if there is one."""
    view: dict[str, Any] = {"scheduled_for": format_time(run.firing.at), "fate": run.firing.fate.value}
    made = run.made
    job = made if isinstance(made, Job) else None
    dag = made if isinstance(made, DagRun) else None
    view["job"] = None if job is None else {"id": job.id, "state": job.state.value, "status": COARSE[job.state]}
    view["dag"] = None if dag is None else {"id": dag.id, "state": dag.state.value}
    return view


def hold_view(hold: Hold | None) -> dict[str, Any] | None:
    """The pause of all schedules."""
    return None if hold is None else {"by": hold.by, "at": format_time(hold.at), "reason": hold.reason}


def _job_view(job: JobTemplate) -> dict[str, Any]:
    view = {each.name: getattr(job, each.name) for each in fields(job)}
    return {**view, "tags": list(job.tags), "metadata": dict(job.metadata)}


def _dag_view(dag: DagTemplate) -> dict[str, Any]:
    names = ("name", "definition", "soft_sla_seconds", "hard_sla_seconds")
    view = {name: getattr(dag, name) for name in names} | {"failure_policy": dag.failure_policy.value}
    nodes = [_node_view(node) for node in dag.nodes]
    return {**view, "tags": list(dag.tags), "metadata": dict(dag.metadata), "nodes": nodes}


def _node_view(node: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: node["job"].get(name) for name in ("name", "definition")}
    return {"id": node["id"], **named, "depends_on": node.get("depends_on", [])}


def _backfill_view(backfill: Backfill) -> dict[str, Any]:
    return {
        "next": format_time(backfill.next),
        "until": format_time(backfill.until),
        "per_minute": backfill.per_minute,
        "made": backfill.made,
        "requested_by": backfill.requested_by,
    }
