"""`tidegate schedule …`: jobs that are made by themselves. The first lines are those of the job queue guide."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from tidegate.domain.errors import InvalidInput, NotFound

from . import inputs
from .dag_file import read_dag
from .output import clean, emit, json_text, moment, say, table
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Client
    from tidegate.client.schedule_models import NextRun, Schedule

schedule_app = typer.Typer(help="Make jobs by themselves: cron, intervals, once.", no_args_is_help=True)
T = TypeVar("T")

Ref = Annotated[
    str, typer.Argument(metavar="SCHEDULE", help="Name, id, or the beginning of an id.", show_default=False)
]


@schedule_app.command("create")
@with_session
def create(
    session: Session,
    name: Annotated[str, typer.Option(help="The schedule's name.", show_default=False)],
    type_: Annotated[
        str | None, typer.Option("--type", help="What to run: the name of a handler.", show_default=False)
    ] = None,
    dag: Annotated[
        str | None, typer.Option(help="A run instead: FILE, as for tidegate dag submit.", metavar="FILE")
    ] = None,
    expr: Annotated[
        str | None, typer.Option("--expr", help="Five cron fields, @daily, 'every 90s', or 'at 2030-01-31T08:00:00Z'.")
    ] = None,
    every: Annotated[str | None, typer.Option(help="An interval instead: 90s, 5m, 1h30m, 1d.")] = None,
    at: Annotated[str | None, typer.Option(help="Once instead: 2030-01-31T08:00:00Z, or from now: 10m, 2h.")] = None,
    timezone: Annotated[str | None, typer.Option(help="IANA zone of the cron fields; UTC if not given.")] = None,
    config: Annotated[
        str | None, typer.Option("--config", "--data", help="JSON, FILE, @FILE, or - for stdin.", metavar="JSON|FILE")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Queue; 'default' if not given.")] = None,
    priority: Annotated[str | None, typer.Option(help="0 to 10, or low, normal, high, critical.")] = None,
    retry_limit: Annotated[
        int | None, typer.Option("--retry-limit", "--max-retries", help="Retries after the first attempt.")
    ] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that an attempt may take.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A tag of its jobs; may be repeated.")] = None,
    misfire: Annotated[str | None, typer.Option(help="Missed runs: skip, run_once or run_all.")] = None,
    overlap: Annotated[str | None, typer.Option(help="allow, skip, queue_one or cancel_running.")] = None,
    jitter: Annotated[float | None, typer.Option(help="Spread starts over so many seconds.")] = None,
    starts_at: Annotated[str | None, typer.Option(help="No run before.")] = None,
    ends_at: Annotated[str | None, typer.Option(help="No run after.")] = None,
    disabled: Annotated[bool, typer.Option("--disabled", help="Make it without letting it run yet.")] = False,
) -> None:
    """Make a schedule and show when it runs."""
    now = datetime.now(UTC)
    if (type_ is None) == (dag is None):
        raise InvalidInput("say what to run: --type for a job, or --dag for a run")
    job: dict[str, Any] = {
        "name": type_,
        "queue": queue,
        "retry_limit": retry_limit,
        "timeout": timeout,
        "tags": tag or None,
    }
    if config is not None:
        job["data"] = inputs.json_argument("--config", config)
    fields: dict[str, Any] = {
        "expression": expr,
        "every": every,
        "at": inputs.point_in_time("--at", at, now),
        "timezone": timezone,
        "job": {key: value for key, value in job.items() if value is not None} or None,
        "dag": None if dag is None else read_dag(dag),
        "priority": inputs.number_or_name(priority),
        "misfire": misfire,
        "overlap": overlap,
        "jitter_seconds": jitter,
        "starts_at": inputs.point_in_time("--starts-at", starts_at, now),
        "ends_at": inputs.point_in_time("--ends-at", ends_at, now),
    }
    with session.client() as client:
        schedule = client.create_schedule(name, **fields, enabled=not disabled)
    if session.as_json:
        emit(schedule.raw)
        return
    say(
        f"✅ Created schedule '{clean(schedule.name)}' with ID={clean(schedule.id)}",
        f"   Expression: {clean(schedule.expression)}",
        f"   Next run: {_run_time(schedule)}{_local(schedule)}",
    )


@schedule_app.command("list")
@with_session
def list_schedules(
    session: Session,
    enabled_only: Annotated[bool, typer.Option("--enabled-only", help="Leave the disabled ones out.")] = False,
) -> None:
    """List the schedules by name."""
    with session.client() as client:
        schedules = list(client.schedules(enabled_only=enabled_only))
        hold = client.schedule_page(limit=1).hold
    if session.as_json:
        emit({"schedules": [schedule.raw for schedule in schedules], "hold": hold})
        return
    if hold is not None:
        say(
            f"All schedules are paused by {clean(hold.get('by'))}: {clean(hold.get('reason') or 'no reason given')}", ""
        )
    if not schedules:
        say("No schedules")
        return
    rows = (
        (each.id, each.name, each.job_type, each.expression, "✓" if each.enabled else "✗", _run_time(each))
        for each in schedules
    )
    table(("ID", "Name", "Type", "Expression", "Enabled", "Next Run"), rows)


@schedule_app.command()
@with_session
def show(session: Session, ref: Ref) -> None:
    """Show a schedule and what became of its latest times."""
    with session.client() as client:
        schedule = _by_ref(client, ref, client.schedule)
        runs = client.schedule_history(schedule.id)
    if session.as_json:
        emit(schedule.raw)
        return
    for key, value in schedule.raw.items():
        say(f"{clean(key)}: {clean(value if isinstance(value, str) else json_text(value, indent=None))}")
    if runs:
        say("")
        kind = "Job" if schedule.dag is None else "DAG"
        made = [(run.job_id or run.dag_id or "-", run.job_state or run.dag_state or "-") for run in runs]
        rows = ((moment(run.scheduled_for), run.fate, *what) for run, what in zip(runs, made, strict=True))
        table(("Run", "Fate", kind, "State"), rows)


@schedule_app.command("next")
@with_session
def next_(
    session: Session, ref: Ref, n: Annotated[int, typer.Option("-n", help="How many.", min=1, max=100)] = 5
) -> None:
    """Show the next times, in the schedule's zone and in UTC."""
    with session.client() as client:
        schedule = _by_ref(client, ref, client.schedule)
        runs = client.next_runs(schedule.id, n)
    if session.as_json:
        emit({"timezone": schedule.timezone, "next_runs": [_both(run) for run in runs]})
        return
    if not runs:
        say("It does not run again")
        return
    table((schedule.timezone, "UTC"), ((each.local.isoformat(), moment(each.utc)) for each in runs))


@schedule_app.command()
@with_session
def enable(session: Session, ref: Ref) -> None:
    """Let a schedule run again, from now on."""
    with session.client() as client:
        schedule = _by_ref(client, ref, client.enable_schedule)
    _done(session, schedule, f"✅ Enabled schedule {clean(ref)}")


@schedule_app.command()
@with_session
def disable(
    session: Session, ref: Ref, reason: Annotated[str | None, typer.Option(help="Why, for others to see.")] = None
) -> None:
    """Make no more jobs; those already made run."""
    with session.client() as client:
        schedule = _by_ref(client, ref, lambda found: client.disable_schedule(found, reason))
    _done(session, schedule, f"✅ Disabled schedule {clean(ref)}")


@schedule_app.command("set")
@with_session
def set_schedule(
    session: Session,
    ref: Ref,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Settings.", show_default=False)],
) -> None:
    """Change settings of a schedule; its next run is counted anew.

    For example: tidegate schedule set nightly expression='0 3 * * *' overlap=skip
    """
    wanted = inputs.json_pairs("settings", settings)
    with session.client() as client:
        schedule = _by_ref(client, ref, lambda found: client.patch_schedule(found, **wanted))
    _done(session, schedule, f"✅ Schedule {clean(schedule.name)} set; next run: {_run_time(schedule)}")


@schedule_app.command()
@with_session
def trigger(session: Session, ref: Ref) -> None:
    """Run a schedule once now."""
    from tidegate.client.models import DagRun

    with session.client() as client:
        made = _by_ref(client, ref, client.trigger_schedule)
    if session.as_json:
        emit(made.raw)
    else:
        say(f"✅ Submitted {'run' if isinstance(made, DagRun) else 'job'} {clean(made.id)}")


@schedule_app.command()
@with_session
def backfill(
    session: Session,
    ref: Ref,
    first: Annotated[str, typer.Option("--from", help="The first time: 2030-01-31T00:00:00Z.", show_default=False)],
    until: Annotated[str | None, typer.Option(help="The last time; now if not given.")] = None,
    per_minute: Annotated[int, typer.Option(help="Jobs to make a minute.", min=1, max=1000)] = 60,
) -> None:
    """Run past times, each once, at a rate."""
    now = datetime.now(UTC)
    begin, end = inputs.point_in_time("--from", first, now), inputs.point_in_time("--until", until, now) or now
    if begin is None or begin > now:
        raise InvalidInput.field("--from", "must be a time in the past")
    with session.client() as client:
        runs = _by_ref(client, ref, lambda found: client.backfill_schedule(found, begin, end, per_minute=per_minute))
    if session.as_json:
        emit({"runs": runs})
    else:
        say(f"✅ {runs} past runs of {clean(ref)} are being made, {per_minute} a minute")


@schedule_app.command()
@with_session
def delete(session: Session, ref: Ref) -> None:
    """Delete a schedule; its jobs stay."""
    with session.client() as client:
        schedule_id = _by_ref(client, ref, client.delete_schedule)
    if session.as_json:
        emit({"schedule_id": schedule_id})
    else:
        say(f"✅ Deleted schedule {clean(ref)}")


@schedule_app.command("pause-all")
@with_session
def pause_all(
    session: Session, reason: Annotated[str | None, typer.Option(help="Why, for others to see.")] = None
) -> None:
    """Pause all schedules, for maintenance; times that come are let go."""
    with session.client() as client:
        client.pause_schedules(reason)
    _told(session, paused=True, line="✅ Paused all schedules")


@schedule_app.command("resume-all")
@with_session
def resume_all(session: Session) -> None:
    """Let all schedules run again; those disabled one by one stay so."""
    with session.client() as client:
        client.resume_schedules()
    _told(session, paused=False, line="✅ Resumed all schedules")


def _by_ref(client: Client, ref: str, act: Callable[[str], T]) -> T:
    """`act` on the schedule with that name or id, else on the only one whose id begins so."""
    try:
        return act(ref)
    except NotFound as error:
        found = [each.id for each in client.schedules() if each.id.startswith(ref)]
        if not found:
            raise error from None
    if len(found) > 1:
        raise InvalidInput(f"several schedules begin with '{ref}': {', '.join(found[:3])}, …; give more of the id")
    return act(found[0])


def _run_time(schedule: Schedule) -> str:
    return "-" if schedule.next_run is None else schedule.next_run.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _local(schedule: Schedule) -> str:
    """The next run on the clocks of another zone than UTC."""
    if schedule.timezone == "UTC" or not schedule.next_runs:
        return ""
    return f" UTC, {schedule.next_runs[0].local.isoformat()} in {clean(schedule.timezone)}"


def _both(run: NextRun) -> dict[str, Any]:
    return {"utc": run.utc.isoformat(), "local": run.local.isoformat()}


def _done(session: Session, schedule: Schedule, line: str) -> None:
    if session.as_json:
        emit(schedule.raw)
    else:
        say(line)


def _told(session: Session, *, paused: bool, line: str) -> None:
    if session.as_json:
        emit({"paused": paused})
    else:
        say(line)
