"""What the API shows. Times are RFC 3339 in UTC; names are those of the domain."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from tidegate.domain.correlation import trace_in
from tidegate.domain.cost import dollars
from tidegate.domain.job import COARSE, Failure, Job, Progress, Sla, State
from tidegate.domain.queue import Queue
from tidegate.domain.sla import deadlines
from tidegate.domain.spread import asked

from .wire import dump, fits, format_time

if TYPE_CHECKING:
    from tidegate.service.stats import Stats
    from tidegate.service.usage import Usage


def job_view(job: Job) -> dict[str, Any]:
    """A job. `omitted` names the values that were left out for their size; GET /jobs/{id} has them."""
    view = {
        "id": job.id,
        "name": job.name,
        "queue": job.queue,
        "state": job.state.value,
        "status": COARSE[job.state],
        "priority": job.priority,
        "data": job.data,
        "tags": list(job.tags),
        "metadata": dict(job.metadata),
        "result": job.result,
        "reason": job.reason,
        "error_message": job.error_message,
        "error_type": None if job.error_type is None else job.error_type.value,
        "attempt": job.attempt,
        "retry_count": job.retry_count,
        "retry_limit": job.retry_limit,
        "timeout": job.timeout,
        "worker_id": job.worker_id,
        "owner": job.owner,
        "dag_id": job.dag_id,
        "node": job.node,
        "dependencies": list(job.dependencies),
        "definition": job.definition,
        "webhook": job.webhook,
        "progress": _progress(job.progress),
        "created_at": format_time(job.created_at),
        "started_at": format_time(job.started_at),
        "completed_at": format_time(job.completed_at),
        "updated_at": format_time(job.updated_at),
        "start_after": format_time(job.start_after),
        "wake_at": format_time(job.wake_at),
        "blocked": job.blocked,
        "expires_at": format_time(job.expires_at),
        "cancel_requested": job.cancel_requested,
        "soft_sla": format_time(job.soft_sla),
        "hard_sla": format_time(job.hard_sla),
        "sla": standing_view(job),
        "concurrency_key": job.concurrency_key,
        "unique_key": job.unique_key,
        "policy": None if job.policy is None else job.policy.value,
        "timeout_retry_limit": job.timeout_retry_limit,
        "correlation_id": job.correlation_id,
        "trace_id": None if job.traceparent is None else trace_in(job.traceparent),
        "cost": dollars(job.cost),
    }
    omitted = _omitted(job)
    return {**view, "omitted": omitted} if omitted else view


def brief_view(job: Job) -> dict[str, Any]:
    """A job without its data and result, which `omitted` names as far as it has any."""
    values = {"data": (job.data, job.data_ref), "result": (job.result, job.result_ref)}
    omitted = [name for name, (value, ref) in values.items() if value is not None or ref is not None]
    view = job_view(replace(job, data=None, data_ref=None, result=None, result_ref=None))
    return {**view, "omitted": omitted} if omitted else view


def standing_view(job: Job) -> str | None:
    """How a job stands, or stood when it ended, to its deadlines; None for one that has none."""
    if deadlines(job).first is None:
        return None
    sla = job.sla if job.completed_at is None else max(job.sla, deadlines(job).missed_at(job.completed_at))
    met = sla < Sla.SOFT_MISSED and job.state is State.COMPLETED
    return "met" if met else STANDINGS[sla]


STANDINGS = {
    Sla.NONE: "in_time",
    Sla.AT_RISK: "at_risk",
    Sla.SOFT_MISSED: "soft_missed",
    Sla.HARD_MISSED: "hard_missed",
}


def with_result_as(form: str, view: dict[str, Any]) -> dict[str, Any]:
    """The view of a job, its result as a JSON text if `form` is `string`."""
    if form != "string" or view["result"] is None:
        return view
    return {**view, "result": json.dumps(view["result"], ensure_ascii=False)}


def fitting_view(job: Job) -> dict[str, Any]:
    """A job with its values, as far as they can be answered: without `data`, or without both, if need be."""
    for shown in (job, _without_data(job), _without_result(_without_data(job))):
        view = {**job_view(shown), "failures": [_failure(each) for each in job.failures]}
        if fits(dump(view)):
            break
    return view


_NOT_TOLD = frozenset({"tenant", "shards_before", "shards_from", "shards_ever"})


def queue_view(queue: Queue) -> dict[str, Any]:
    """A queue's policy."""
    view = {each.name: getattr(queue, each.name) for each in fields(queue) if each.name not in _NOT_TOLD}
    times = {name: format_time(view[name] or None) for name in ("created_at", "updated_at")}
    enums = {"ordering": queue.ordering.value, "on_hard_miss": queue.on_hard_miss.value}
    return {**view, **enums, **times, "shards_asked": asked(queue)}


def use_view(queue: Queue, use: Usage) -> dict[str, Any]:
    """What is in use of a queue's limits, beside the limits."""
    return {
        "running": use.running,
        "slots": queue.slots,
        "keys": dict(use.keys),
        "key_slots": queue.key_slots,
        "starts": use.starts,
        "rate_limit": queue.rate_limit,
        "size": use.size,
        "max_queue_size": queue.max_queue_size,
    }


def stats_view(stats: Stats) -> dict[str, Any]:
    """Counts of jobs, coarse and fine."""
    return {**stats.counts, "total": stats.total, "states": dict(stats.states)}


_LEFT_OUT = "left out"


def _without_data(job: Job) -> Job:
    return replace(job, data=None, data_ref=_LEFT_OUT)


def _without_result(job: Job) -> Job:
    return replace(job, result=None, result_ref=_LEFT_OUT)


def _omitted(job: Job) -> list[str]:
    values = {"data": (job.data, job.data_ref), "result": (job.result, job.result_ref)}
    return [name for name, (value, ref) in values.items() if value is None and ref is not None]


def _failure(failure: Failure) -> dict[str, Any]:
    return {
        "attempt": failure.attempt,
        "worker_id": failure.worker_id,
        "started_at": format_time(failure.started_at),
        "ended_at": format_time(failure.ended_at),
        "error_type": failure.error_type.value,
        "error_message": failure.error_message,
    }


def _progress(progress: Progress | None) -> dict[str, Any] | None:
    return None if progress is None else {"fraction": progress.fraction, "message": progress.message}
