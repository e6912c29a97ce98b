"""What people do with schedules: make, look at, change, pause, run by hand, fill up the past."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.faults import Fault, refuse_all
from tidegate.domain.dag.run import Run as DagRun
from tidegate.domain.errors import Conflict, InvalidInput, NotFound
from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Job, Ms
from tidegate.domain.schedule import (
    Backfill,
    DagTemplate,
    Fate,
    Firing,
    JobTemplate,
    Schedule,
    is_uuid,
    next_time,
    run_id,
    spec_for,
    started,
    target_for,
    watched,
)
from tidegate.domain.spec import JobSpec
from tidegate.ports import Hold, Ports, ScheduleKey

from .allowed import check_allowed
from .audit import Act, audited
from .backfill import id_of_past, times_from
from .fire_schedules import fire_one
from .policies import queue_named, tenant_named
from .runs import check_run, submit_dag
from .scheduled import made_by, owner_of
from .submit import submit_one
from .tenants import check_schedules

MAX_NEXT = 100
MAX_BACKFILL = 10_000
MAX_PER_MINUTE = 1_000
_TRIES = 5
_MAX_PAGES = 20
"""Read for one answer: those that the caller may not see, or did not ask for, count too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, and the same on the clocks of a zone (RFC 3339 with its offset)."""

    at: Ms
    local: str


@dataclass(frozen=True, slots=True)
class Run:
    """One of a schedule's latest times, and what it made if that still is there."""

    firing: Firing
    made: Job | DagRun | None


def create_schedule(
    ports: Ports,
    caller: Caller,
    *,
    name: str,
    expression: str,
    job: JobTemplate | None = None,
    dag: DagTemplate | None = None,
    schedule_id: str | None = None,
    **options: Any,
) -> tuple[Schedule, bool]:
    """Make a schedule of a job or a DAG; answers it, and whether it is new.

    Asking again with the same id makes no second one.

    `options` are fields of `Schedule`. Raises InvalidInput, Conflict when the name is taken.
    """
    caller.require(Scope.SUBMIT)
    if schedule_id is not None and not is_uuid(schedule_id):
        raise InvalidInput.field("schedule_id", "must be a UUID")
    now = ports.now()
    fresh = Schedule(
        id=schedule_id or ports.new_id(), tenant=caller.tenant, name=name, owner=caller.user,
        expression=expression, job=job, dag=dag, created_at=now, updated_at=now, **options,
    )  # fmt: skip
    _check_surroundings(ports, fresh)
    if not ports.schedules.get([ScheduleKey(caller.tenant, name)])[0]:
        check_schedules(ports, tenant_named(ports, caller.tenant))
    schedule = started(fresh, now, ports.cron.next_match)
    if schedule.enabled and schedule.next_run is None:
        raise InvalidInput.field("expression", "has no time to come")
    audited(ports, caller, "schedule.create", name, expression=expression)
    if not ports.schedules.create(schedule):
        (existing,) = ports.schedules.get([ScheduleKey(caller.tenant, name)])
        same = existing is not None and schedule_id is not None and existing.id == schedule_id
        if existing is not None and same and _may_see(caller, existing):
            return existing, False
        raise Conflict(f"there is a schedule '{name}' already, or one with this id", name=name)
    fire_one(ports, schedule)
    return schedule, True


def get_schedule(ports: Ports, caller: Caller, ref: str) -> Schedule:
    """A schedule by name or id. Raises NotFound, also for one that the caller may not see."""
    caller.require(Scope.READ)
    return _visible(ports, caller, ref)


def list_schedules(
    ports: Ports, caller: Caller, after: str, limit: int, *, enabled_only: bool = False
) -> tuple[Sequence[Schedule], str | None]:
    """Schedules that the caller may see, by name after `after`, and where the next page begins (None: at the end)."""
    caller.require(Scope.READ)
    found: list[Schedule] = []
    for _ in range(_MAX_PAGES):
        page = ports.schedules.list(caller.tenant, after, limit)
        for schedule in page:
            if _may_see(caller, schedule) and (schedule.enabled or not enabled_only):
                found.append(schedule)
            after = schedule.name
            if len(found) == limit:
                return found, after
        if len(page) < limit:
            return found, None
    return found, after


def change_schedule(
    ports: Ports, caller: Caller, ref: str, changes: Callable[[Schedule], Mapping[str, Any]]
) -> Schedule:
    """Change the fields that `changes` makes of the schedule as it is; the next run is counted anew from now.

    Raises NotFound, InvalidInput.
    """
    caller.require(Scope.SUBMIT)

    act = Act(ports, caller, "schedule.change", ref)

    def change(seen: Schedule) -> Schedule:
        wanted = changes(seen)
        changed = replace(seen, **wanted)
        _check_surroundings(ports, changed)
        act.about(fields=sorted(wanted))
        return _restarted(ports, changed)

    return _change(ports, caller, ref, change, act)


def enable_schedule(ports: Ports, caller: Caller, ref: str) -> Schedule:
    """Let it run again, from now on: times that passed meanwhile are no missed runs."""
    caller.require(Scope.SUBMIT)
    return _change(
        ports,
        caller,
        ref,
        lambda seen: _restarted(ports, replace(seen, enabled=True, paused_by=None, paused_reason=None)),
        Act(ports, caller, "schedule.enable", ref),
    )


def disable_schedule(ports: Ports, caller: Caller, ref: str, reason: str | None = None) -> Schedule:
    """Make no more jobs, and end its backfill. Jobs made already, up to a tick ahead, still run."""
    caller.require(Scope.SUBMIT)

    def disabled(seen: Schedule) -> Schedule:
        stopped = replace(seen, enabled=False, paused_by=caller.user, paused_reason=reason, backfill=None)
        return _restarted(ports, stopped)

    return _change(ports, caller, ref, disabled, Act(ports, caller, "schedule.disable", ref, reason=reason))


def delete_schedule(ports: Ports, caller: Caller, ref: str) -> Schedule:
    """Delete a schedule; its jobs stay. Raises NotFound."""
    caller.require(Scope.SUBMIT)
    act = Act(ports, caller, "schedule.delete", ref)
    for _ in range(_TRIES):
        schedule = _visible(ports, caller, ref)
        act.note()
        if ports.schedules.delete_if_unchanged(schedule):
            return schedule
    raise _keeps_changing(ref)


def trigger_schedule(ports: Ports, caller: Caller, ref: str, made_id: str | None = None) -> Job | DagRun:
    """Run it once now, disabled or not, beside its times; answers its job or run. With the same `made_id` it runs once.

    Raises NotFound, InvalidInput for the id of a run that is no UUIDv7.
    """
    caller.require(Scope.SUBMIT)
    schedule = _visible(ports, caller, ref)
    audited(ports, caller, "schedule.trigger", ref)
    owner = replace(owner_of(schedule), correlation=caller.correlation)
    if schedule.dag is None:
        return submit_one(ports, owner, spec_for(schedule, None, made_id, None)).job
    if made_id is not None and not is_uuid7(made_id):
        raise InvalidInput.field("job_id", "must be a UUIDv7 where the schedule makes runs")
    run = target_for(schedule, None, made_id, None)
    if isinstance(run, JobSpec):
        raise AssertionError("a schedule of a DAG makes runs")
    return submit_dag(ports, owner, run.spec, run.conditions)[0].run


def backfill_schedule(
    ports: Ports, caller: Caller, ref: str, first: Ms, until: Ms, per_minute: int
) -> tuple[Schedule, int]:
    """Run the past times from `first` to `until`, both included, at a rate; answers how many there are.

    Times whose job is still kept are passed over. Raises Conflict while another backfill goes on, InvalidInput.
    """
    caller.require(Scope.SUBMIT)
    if not 1 <= per_minute <= MAX_PER_MINUTE:
        raise InvalidInput.field("per_minute", f"must be from 1 to {MAX_PER_MINUTE}")
    now, count = ports.now(), 0

    def begin(seen: Schedule) -> Schedule:
        nonlocal count
        if seen.backfill is not None:
            raise Conflict(f"a backfill of '{seen.name}' is under way; disable the schedule to end it", name=seen.name)
        last = min(until, (seen.next_run or now) - 1, now)
        times, more = times_from(ports, seen, first, last, MAX_BACKFILL)
        if more is not None:
            raise InvalidInput.field("until", f"leads to more than {MAX_BACKFILL} runs: take a part of the range")
        if not times:
            raise InvalidInput.field("from", "there is no past time of the schedule from here to until")
        count = len(times)
        work = Backfill(times[0], times[-1], per_minute, due=now, requested_by=caller.user)
        return watched(replace(seen, backfill=work))

    act = Act(ports, caller, "schedule.backfill", ref, first=first, until=until, per_minute=per_minute)
    return _change(ports, caller, ref, begin, act), count


def next_runs(ports: Ports, schedule: Schedule, count: int) -> list[Moment]:
    """The times to come, also of a disabled schedule: those it would have."""
    found: list[Moment] = []
    at = schedule.next_run if schedule.next_run is not None else _upcoming(ports, schedule, ports.now())
    while at is not None and len(found) < count:
        found.append(Moment(at, ports.cron.local(schedule.timezone, at)))
        at = _upcoming(ports, schedule, at)
    return found


def history(ports: Ports, schedule: Schedule) -> list[Run]:
    """What became of its latest times, newest first, with the jobs and runs that are still kept."""
    firings = list(reversed(schedule.recent))
    ids = [
        id_of_past(schedule, each.at) if each.fate is Fate.BACKFILLED else run_id(schedule.id, each.at)
        for each in firings
    ]
    found = made_by(ports, schedule, ids)
    ran = (Fate.FIRED, Fate.BACKFILLED)
    return [Run(each, made if each.fate in ran else None) for each, made in zip(firings, found, strict=True)]


def hold_schedules(ports: Ports, caller: Caller, reason: str | None) -> Hold:
    """Pause all schedules of the tenant, for maintenance: times that come are let go until `release_schedules`."""
    caller.require(Scope.OPERATE)
    hold = Hold(caller.user, ports.now(), reason)
    audited(ports, caller, "schedule.pause_all", reason=reason)
    ports.schedules.set_hold(caller.tenant, hold)
    return hold


def release_schedules(ports: Ports, caller: Caller) -> None:
    """End the pause of all schedules."""
    caller.require(Scope.OPERATE)
    audited(ports, caller, "schedule.resume_all")
    ports.schedules.set_hold(caller.tenant, None)


def hold_of(ports: Ports, caller: Caller) -> Hold | None:
    """The pause of all the tenant's schedules, if there is one."""
    caller.require(Scope.READ)
    return ports.schedules.hold_of(caller.tenant)


def _upcoming(ports: Ports, schedule: Schedule, after: Ms) -> Ms | None:
    return next_time(schedule, after, ports.cron.next_match)


def _check_surroundings(ports: Ports, schedule: Schedule) -> None:
    """Raises InvalidInput for a zone or a queue that there is not, and for what only Tidegate may ask for."""
    ports.cron.check_zone(schedule.timezone)
    if schedule.dag is not None:
        _check_dag(ports, schedule, schedule.dag)
    if schedule.job is None:
        return
    check_allowed(ports, schedule.job.spec(), "job.")
    try:
        queue_named(ports, schedule.tenant, schedule.job.queue)
    except NotFound as error:
        raise InvalidInput.field("job.queue", error.message) from error


def _check_dag(ports: Ports, schedule: Schedule, dag: DagTemplate) -> None:
    try:
        check_run(ports, owner_of(schedule), dag.run().spec)
    except InvalidInput as error:
        refuse_all(Fault.all_in(error, "dag"))


def _restarted(ports: Ports, schedule: Schedule) -> Schedule:
    return started(schedule, ports.now(), ports.cron.next_match)


def _change(ports: Ports, caller: Caller, ref: str, change: Callable[[Schedule], Schedule], act: Act) -> Schedule:
    for _ in range(_TRIES):
        seen = _visible(ports, caller, ref)
        if seen.releasing:
            fire_one(ports, seen)  # what was decided is carried out as it was decided
            continue
        changed = replace(change(seen), version=seen.version + 1, updated_at=ports.now())
        act.note()
        if ports.schedules.replace_if_unchanged([(changed, seen)])[0]:
            fire_one(ports, changed)
            return changed
    raise _keeps_changing(ref)


def _visible(ports: Ports, caller: Caller, ref: str) -> Schedule:
    (found,) = ports.schedules.get([ScheduleKey(caller.tenant, ref)])
    if found is None and (name := ports.schedules.name_of(caller.tenant, ref)) is not None:
        (found,) = ports.schedules.get([ScheduleKey(caller.tenant, name)])
    if found is None or not _may_see(caller, found):
        raise NotFound(f"there is no schedule '{ref}'", schedule=ref)
    return found


def _may_see(caller: Caller, schedule: Schedule) -> bool:
    return schedule.owner == caller.user or caller.sees_all_users()


def _keeps_changing(ref: str) -> Conflict:
    return Conflict(f"schedule '{ref}' keeps changing", schedule=ref)
