"""What the API tells workers, and of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tidegate.domain.job import Job
from tidegate.service.upstream import Upstream
from tidegate.service.workers import Seen

from .views import job_view
from .wire import format_time


def work_view(job: Job) -> dict[str, Any]:
    """A claimed job as its worker needs it; large data is left out (`omitted`), GET /jobs/{id}/data has it."""
    shown = job_view(replace(job, result=None, result_ref=None))
    return {
        **shown,
        "timeout": job.timeout,
        "lease_until": format_time(job.lease_until),
        "cancel_requested": job.cancel_requested,
        "traceparent": job.traceparent,
    }


def upstream_view(node: str, upstream: Upstream) -> dict[str, Any]:
    """A node before."""
    return {"node": node, "job_id": upstream.job_id, "state": upstream.state, "result": upstream.result}


def held_view(job: Job) -> dict[str, Any]:
    """A lease after a heartbeat."""
    return {"job_id": job.id, "lease_until": format_time(job.lease_until), "cancel_requested": job.cancel_requested}


def worker_view(seen: Seen) -> dict[str, Any]:
    """A worker that is alive, and what it runs as far as the caller may see it."""
    worker = seen.worker
    return {
        "id": worker.id,
        "kind": worker.kind,
        "pool": worker.pool,
        "queues": list(worker.queues),
        "names": list(worker.names),
        "host": worker.host,
        "version": worker.version,
        "concurrency": worker.concurrency,
        "busy": len(worker.running),
        "started_at": format_time(worker.started_at),
        "seen_at": format_time(worker.seen_at),
        "running": [_running_view(job) for job in seen.running],
    }


def _running_view(job: Job) -> dict[str, Any]:
    progress = job.progress
    return {
        "job_id": job.id,
        "name": job.name,
        "queue": job.queue,
        "attempt": job.attempt,
        "started_at": format_time(job.started_at),
        "progress": None if progress is None else {"fraction": progress.fraction, "message": progress.message},
    }
