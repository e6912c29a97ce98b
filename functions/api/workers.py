"""The routes of `/workers`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.errors import InvalidInput
from tidegate.ports import Held, Ports, Worker
from tidegate.runtime import App
from tidegate.service import workers
from tidegate.service.claim_lanes import Wanted, claim_of_tenant
from tidegate.service.workers import MAX_TEXT

from .requests import answer, caller_of
from .waiting import until_found
from .work_models import LONGEST_WAIT_SECONDS, ClaimRequest, WorkerRequest
from .work_views import work_view, worker_view

router = Router()  # type: ignore[no-untyped-call]
_CLOUD_WAIT_SECONDS = 1.0
"""A Lambda that waits is billed while it waits: asking again costs less."""
_PAUSE_SECONDS = 0.25
"""Between two looks of a request that waits."""


@router.post("/workers/claim", tags=["workers"], operation_id="claim_jobs", summary="Start the best waiting jobs")
def claim_jobs(request: Request, body: ClaimRequest) -> Response[Any]:
    """For workers without access to the tables; needs the scope `work`.

    Waits for a job up to `wait_seconds`, in the cloud at most `longest_wait_seconds`. Each job is held by its
    `attempt` until `lease_until`, which heartbeats move on by `lease_seconds`.
    """
    app, caller = runtime.current(), caller_of(request)
    _check_pool(app.ports, body.pool)
    wanted = Wanted(
        worker_id=body.worker_id,
        pool=body.pool,
        queues=frozenset(body.queues),
        names=frozenset(body.names),
        lease_seconds=runtime.lease_seconds(app),
    )
    longest = longest_wait(app)
    wait = min(body.wait_seconds, longest)
    found = until_found(lambda: claim_of_tenant(app.ports, caller, wanted, body.max), wait, _PAUSE_SECONDS)
    return answer(
        {
            "success": True,
            "message": f"{len(found)} jobs claimed",
            "jobs": [work_view(job) for job in found],
            "lease_seconds": wanted.lease_seconds,
            "longest_wait_seconds": longest,
        }
    )


@router.get("/workers", tags=["workers"], operation_id="list_workers", summary="Who works, and what each runs")
def list_workers(request: Request) -> Response[Any]:
    """Workers seen in the last minute that work for the tenant; `busy` counts, `running` shows what one may see."""
    found = workers.list_workers(runtime.current().ports, caller_of(request))
    views = [worker_view(seen) for seen in found]
    return answer({"success": True, "message": "Workers retrieved successfully", "workers": views})


@router.put("/workers/<worker_id>", tags=["workers"], operation_id="put_worker", summary="Say that a worker is there")
def put_worker(request: Request, worker_id: str, body: WorkerRequest) -> Response[Any]:
    """At its start, then every 20 s, and with `stopped` at its end; needs the scope `work`."""
    ports, caller = runtime.current().ports, caller_of(request)
    if not 1 <= len(worker_id) <= MAX_TEXT:
        raise InvalidInput.field("worker_id", f"must have 1 to {MAX_TEXT} characters")
    _check_pool(ports, body.pool)
    told = Worker(
        id=worker_id,
        kind="http",
        pool=body.pool,
        queues=tuple(body.queues),
        names=tuple(body.names),
        host=body.host,
        version=body.version,
        concurrency=body.concurrency,
        started_at=body.started_at,
        seen_at=body.started_at,
        running=tuple(Held(caller.tenant, each.job_id, each.attempt) for each in body.running),
        stopped=body.stopped,
    )
    seen = workers.report(ports, caller, told)
    return answer({"success": True, "message": "Good-bye" if seen.stopped else "Welcome", "worker_id": seen.id})


def longest_wait(app: App) -> float:
    """Seconds that a claim may wait in this home."""
    return _CLOUD_WAIT_SECONDS if app.settings.data is None else float(LONGEST_WAIT_SECONDS)


def _check_pool(ports: Ports, pool: str) -> None:
    if pool not in ports.pools:
        known = ", ".join(sorted(ports.pools))
        raise InvalidInput.field("pool", f"there is no pool '{pool[:64]}'; this deployment has: {known}")
