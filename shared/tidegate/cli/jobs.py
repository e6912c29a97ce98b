"""`tidegate list`, `show`, `cancel`, `retry` and `stats`."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import State

from . import inputs, operations
from .exits import job_exit_code
from .find import by_id_or_prefix
from .output import clean, console, emit, say, table
from .session import Session, with_session
from .show import show_job, show_page, stats_lines
from .watch import follow

if TYPE_CHECKING:
    from tidegate.client import Client, Page

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, or the beginning of it.", show_default=False)]


@with_session
def list_jobs(
    session: Session,
    state: Annotated[
        list[str] | None,
        typer.Option("--state", "--status", help="pending, running, completed, …, or CREATED, RETRY, …; repeatable."),
    ] = None,
    queue: Annotated[str | None, typer.Option(help="Jobs of this queue.")] = None,
    name: Annotated[str | None, typer.Option("--name", "--type", help="Jobs of this name.")] = None,
    tag: Annotated[str | None, typer.Option(help="Jobs with this tag.")] = None,
    meta: Annotated[
        list[str] | None,
        typer.Option("--meta", "--metadata", help="Jobs with this metadata; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    dag: Annotated[str | None, typer.Option(help="Jobs of this run of a DAG.", metavar="DAG_ID")] = None,
    since: Annotated[
        str | None,
        typer.Option(help="Made at this time or later: a time, or 90s, 10m, 2h, 7d ago.", metavar="TIME|AGE"),
    ] = None,
    until: Annotated[str | None, typer.Option(help="Made before this time.", metavar="TIME|AGE")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 50,
) -> None:
    """List jobs, newest first."""
    now = datetime.now(UTC)
    filters = {
        "state": state or None,
        "queue": queue,
        "name": name,
        "tag": tag,
        "metadata": inputs.pairs("--meta", meta) if meta else None,
        "dag_id": dag,
        "created_from": inputs.point_in_time("--since", since, now, ago=True),
        "created_to": inputs.point_in_time("--until", until, now, ago=True),
    }
    with session.client() as client:
        page = _collected(client, limit, filters)
    if session.as_json:
        jobs = [job.raw for job in page.jobs]
        emit({"jobs": jobs, "total_count": page.total_count, "next_cursor": page.next_cursor})
    else:
        show_page(page)


@with_session
def show(
    session: Session,
    job_id: JobId,
    watch: Annotated[bool, typer.Option("--watch", "--wait", help="Stay until the job has ended.")] = False,
) -> None:
    """Show everything about a job; times are in UTC."""
    with session.patient_client() if watch else session.client() as client:
        job = by_id_or_prefix(client, job_id, client.get)
        if watch:
            job = follow(client, job.id, quiet=session.as_json)
    if session.as_json:
        emit(job.raw)
    else:
        show_job(job)
    if watch:
        raise typer.Exit(job_exit_code(job))


@with_session
def cancel(
    session: Session,
    job_id: JobId,
    reason: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
) -> None:
    """Stop a job: at once while it waits, cooperatively while it runs."""
    with session.client() as client:
        job = by_id_or_prefix(client, job_id, lambda found: client.cancel(found, reason))
    if session.as_json:
        emit(job.raw)
    elif job.state == State.CANCELLED:
        say(f"✅ Cancelled job {clean(job.id)}")
    else:
        say(f"✅ Asked job {clean(job.id)} to stop; it is {clean(job.status)}")


@with_session
def retry(
    session: Session,
    job_id: Annotated[str | None, typer.Argument(metavar="ID", help="The job's id, or the beginning of it.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All failed jobs, or those of the filters.")] = False,
    state: Annotated[
        list[str] | None, typer.Option("--state", "--status", help="With --all: failed, expired or cancelled.")
    ] = None,
    queue: operations.QueueName = None,
    name: operations.JobName = None,
    tag: operations.Tag = None,
    older_than: operations.OlderThan = None,
    yes: operations.Yes = False,
) -> None:
    """Start an ended job over, or many with --all: a dry run unless --yes."""
    if everything == (job_id is not None):
        raise InvalidInput.field("ID", "give the id of a job, or --all")
    if everything:
        selection = operations.selected(state, queue, name, tag, older_than, True)
        operations.run(session, "retry", selection, yes=yes, verb="queued again")
        return
    if state or queue or name or tag or older_than:
        raise InvalidInput.field("ID", "does not go with filters: they are for --all")
    assert job_id is not None
    with session.client() as client:
        job = by_id_or_prefix(client, job_id, client.retry)
    if session.as_json:
        emit(job.raw)
    else:
        say(f"✅ Job {clean(job.id)} reset to {clean(job.status)} (will retry)")


@with_session
def stats(
    session: Session,
    watch: Annotated[bool, typer.Option("--watch", help="Show them again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks with --watch.", min=0.2)] = 2.0,
    sla: Annotated[bool, typer.Option("--sla", help="Deadlines met, missed and at risk, by queue.")] = False,
) -> None:
    """Show how many jobs stand where."""
    if sla:
        _show_sla(session)
        return
    if watch:
        _watch_stats(session, interval)
        return
    with session.client() as client:
        found = client.stats()
    if session.as_json:
        emit(found.raw)
    else:
        say(*stats_lines(found))


def _show_sla(session: Session) -> None:
    with session.client() as client:
        found = client.sla_figures()
    if session.as_json:
        emit(found)
        return
    names = ("met", "missed_soft", "missed_hard", "at_risk")
    rows = ((each["queue"], *(str(each[name]) for name in names)) for each in found["queues"])
    table(
        ("Queue", "Met", "Missed soft", "Missed hard", "At risk"), [*rows, ("Total", *(str(found[n]) for n in names))]
    )


def _watch_stats(session: Session, interval: float) -> None:
    """Ctrl-C is how one ends this, so it is no failure."""
    out = console()
    try:
        with session.patient_client() as client:
            while True:
                found = client.stats()
                if session.as_json:
                    emit(found.raw, line=True)
                else:
                    out.clear()
                    say(*stats_lines(found))
                time.sleep(interval)
    except KeyboardInterrupt:
        return


def _collected(client: Client, limit: int, filters: dict[str, Any]) -> Page:
    """One page of up to `limit` jobs, however many requests it takes."""
    from tidegate.client import Page
    from tidegate.client.synchronous import MAX_PAGE

    page = client.page(limit=min(limit, MAX_PAGE), **filters)
    while page.next_cursor is not None and len(page.jobs) < limit:
        left = min(limit - len(page.jobs), MAX_PAGE)
        more = client.page(limit=left, cursor=page.next_cursor, **filters)
        page = Page(page.jobs + more.jobs, page.total_count, more.next_cursor)
    return page
