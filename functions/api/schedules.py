"""The routes of `/schedules`."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.event_handler.request import Request

from tidegate import runtime
from tidegate.domain.dag.run import progress_of
from tidegate.domain.job import Job, State
from tidegate.domain.schedule import Schedule
from tidegate.service import schedules as service
from tidegate.service.runs import RunView

from .dags import asked_for
from .dags import run_view as dag_view
from .job_models import ReasonRequest
from .requests import answer, caller_of, check_query, query_pairs
from .schedule_models import (
    BackfillRequest,
    NextQuery,
    ScheduleChanges,
    ScheduleQuery,
    ScheduleRequest,
    TriggerRequest,
)
from .schedule_views import hold_view, moment_view, run_view, schedule_view
from .views import job_view

router = Router()  # type: ignore[no-untyped-call]
_TAGS = ["schedules"]
_SHOWN_NEXT = 5


@router.post("/schedules", tags=_TAGS, operation_id="create_schedule", summary="Make a schedule", status_code=201)
def create_schedule(request: Request, body: ScheduleRequest) -> Response[Any]:
    """The answer tells its next times. The same request with the same `schedule_id` makes one: 201, then 200."""
    ports = runtime.current().ports
    caller = caller_of(request)
    schedule, created = service.create_schedule(ports, caller, **body.asked(partial(asked_for, caller)))
    view = {
        "success": True,
        "message": "Schedule created" if created else "Schedule was created before",
        "schedule_id": schedule.id,
        **_next(schedule, _SHOWN_NEXT),
        "schedule": schedule_view(schedule),
    }
    return answer(view, 201 if created else 200)


@router.get("/schedules", tags=_TAGS, operation_id="list_schedules", summary="List schedules, by name")
def list_schedules(request: Request, query: Annotated[ScheduleQuery, Query()]) -> Response[Any]:
    """Callers without the scope `operate` see their own. `hold` tells whether all of the tenant's are paused."""
    check_query(query_pairs(request), ScheduleQuery, repeatable="")
    ports, caller = runtime.current().ports, caller_of(request)
    found, cursor = service.list_schedules(
        ports, caller, query.cursor or "", query.limit, enabled_only=query.enabled_only
    )
    return answer(
        {
            "success": True,
            "message": "Schedules retrieved successfully",
            "schedules": [schedule_view(each) for each in found],
            "hold": hold_view(service.hold_of(ports, caller)),
            "next_cursor": cursor,
        }
    )


@router.post("/schedules/pause", tags=_TAGS, operation_id="pause_schedules", summary="Pause all schedules")
def pause_schedules(request: Request, body: ReasonRequest | None = None) -> Response[Any]:
    """For maintenance: times that come while they are paused are let go, whatever each schedule's policy."""
    reason = body.reason if body is not None else None
    hold = service.hold_schedules(runtime.current().ports, caller_of(request), reason)
    return answer({"success": True, "message": "All schedules paused", "hold": hold_view(hold)})


@router.post("/schedules/resume", tags=_TAGS, operation_id="resume_schedules", summary="Let all schedules run again")
def resume_schedules(request: Request) -> Response[Any]:
    """Undo a pause. Schedules that were disabled one by one stay so."""
    service.release_schedules(runtime.current().ports, caller_of(request))
    return answer({"success": True, "message": "All schedules resumed", "hold": None})


@router.get("/schedules/<ref>", tags=_TAGS, operation_id="get_schedule", summary="One schedule")
def get_schedule(request: Request, ref: str) -> Response[Any]:
    """By name or id."""
    return _told("Schedule retrieved successfully", _schedule(request, ref))


@router.patch("/schedules/<ref>", tags=_TAGS, operation_id="patch_schedule", summary="Change a schedule")
def patch_schedule(request: Request, ref: str, body: ScheduleChanges) -> Response[Any]:
    """What is not given stays; a `job` is replaced as a whole. The next run is counted anew from now."""
    ports, caller = runtime.current().ports, caller_of(request)

    def changes(seen: Schedule) -> dict[str, Any]:
        return body.changes(seen, partial(asked_for, caller))

    return _told("Schedule changed", service.change_schedule(ports, caller, ref, changes))


@router.delete("/schedules/<ref>", tags=_TAGS, operation_id="delete_schedule", summary="Delete a schedule")
def delete_schedule(request: Request, ref: str) -> Response[Any]:
    """Its jobs stay."""
    schedule = service.delete_schedule(runtime.current().ports, caller_of(request), ref)
    return answer({"success": True, "message": "Schedule deleted", "schedule_id": schedule.id})


@router.post("/schedules/<ref>/enable", tags=_TAGS, operation_id="enable_schedule", summary="Let it run again")
def enable_schedule(request: Request, ref: str) -> Response[Any]:
    """From now on: times that passed meanwhile are no missed runs."""
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Schedule enabled", service.enable_schedule(ports, caller, ref))


@router.post("/schedules/<ref>/disable", tags=_TAGS, operation_id="disable_schedule", summary="Make no more jobs")
def disable_schedule(request: Request, ref: str, body: ReasonRequest | None = None) -> Response[Any]:
    """Also ends its backfill. Jobs are released up to a minute ahead: those still start."""
    reason = body.reason if body is not None else None
    ports, caller = runtime.current().ports, caller_of(request)
    return _told("Schedule disabled", service.disable_schedule(ports, caller, ref, reason))


@router.post(
    "/schedules/<ref>/trigger", tags=_TAGS, operation_id="trigger_schedule", summary="Run it now", status_code=201
)
def trigger_schedule(request: Request, ref: str, body: TriggerRequest | None = None) -> Response[Any]:
    """One job or run beside its times, whether it is enabled or not."""
    made_id = body.job_id if body is not None else None
    made = service.trigger_schedule(runtime.current().ports, caller_of(request), ref, made_id)
    job = made if isinstance(made, Job) else None
    dag = None if isinstance(made, Job) else RunView(made, progress_of(made.total, {State.CREATED: made.total}))
    told = {
        "job_id": None if job is None else job.id,
        "job": None if job is None else job_view(job),
        "dag_id": None if dag is None else dag.run.id,
        "dag": None if dag is None else dag_view(dag),
    }
    return answer({"success": True, "message": "Schedule triggered", **told}, 201)


@router.post(
    "/schedules/<ref>/backfill", tags=_TAGS, operation_id="backfill_schedule", summary="Run past times", status_code=202
)
def backfill_schedule(request: Request, ref: str, body: BackfillRequest) -> Response[Any]:
    """At a rate, each time once: those whose job is still kept are passed over."""
    ports, caller = runtime.current().ports, caller_of(request)
    schedule, runs = service.backfill_schedule(ports, caller, ref, body.from_, body.until, body.per_minute)
    view = {"success": True, "message": f"{runs} past runs are being made", "runs": runs}
    return answer({**view, "schedule": schedule_view(schedule)}, 202)


@router.get("/schedules/<ref>/next", tags=_TAGS, operation_id="next_runs", summary="Its times to come")
def next_runs(request: Request, ref: str, query: Annotated[NextQuery, Query()]) -> Response[Any]:
    """In UTC and in its zone; of a disabled schedule those that it would have."""
    check_query(query_pairs(request), NextQuery, repeatable="")
    schedule = _schedule(request, ref)
    view = {"success": True, "message": "Next runs retrieved successfully", "timezone": schedule.timezone}
    return answer({**view, **_next(schedule, query.n)})


@router.get("/schedules/<ref>/history", tags=_TAGS, operation_id="schedule_history", summary="Its latest times")
def schedule_history(request: Request, ref: str) -> Response[Any]:
    """What became of the latest 20, newest first, with the jobs that are still kept."""
    runs = service.history(runtime.current().ports, _schedule(request, ref))
    return answer(
        {"success": True, "message": "History retrieved successfully", "runs": [run_view(each) for each in runs]}
    )


def _schedule(request: Request, ref: str) -> Schedule:
    return service.get_schedule(runtime.current().ports, caller_of(request), ref)


def _next(schedule: Schedule, count: int) -> dict[str, Any]:
    moments = [moment_view(each) for each in service.next_runs(runtime.current().ports, schedule, count)]
    return {"next_run": moments[0]["utc"] if moments and schedule.enabled else None, "next_runs": moments}


def _told(message: str, schedule: Schedule) -> Response[Any]:
    return answer({"success": True, "message": message, "schedule": schedule_view(schedule)})
