"""`tidegate logs` and `tidegate history`: what a job leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import INTERRUPTED
from .find import by_id_or_prefix
from .jobs import JobId
from .output import clean, complain, emit, moment, say, table
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Client, History, LogLine

_WIDTH = 80


@with_session
def logs(
    session: Session,
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more until the job has ended.")] = False,
    level: Annotated[
        str | None, typer.Option(help="Lines that matter at least so much: DEBUG, INFO, WARNING, ERROR.")
    ] = None,
) -> None:
    """Show what a job's handler told; times are in UTC. With --json, one JSON object a line."""
    with session.patient_client() if follow else session.client() as client:
        found, lines = by_id_or_prefix(client, job_id, lambda given: _begun(client, given, level, follow=follow))
        if not session.as_json:
            say(f"Logs for job {clean(found)}:", "-" * _WIDTH)
        try:
            for line in lines:
                emit(line.raw, line=True) if session.as_json else say(*_shown(line))
        except KeyboardInterrupt:
            complain(f"Stopped following; job {found} goes on")
            raise typer.Exit(INTERRUPTED) from None


@with_session
def history(session: Session, job_id: JobId) -> None:
    """Show every known attempt of a job, and when its state changed; times are in UTC."""
    with session.client() as client:
        found = by_id_or_prefix(client, job_id, _with_id(client.history))
    if session.as_json:
        emit(found[1].raw)
    else:
        _show(*found)


def _begun(client: Client, job_id: str, level: str | None, *, follow: bool) -> tuple[str, Iterator[LogLine]]:
    """The id and its lines, the first of which was asked for: so an id that is none shows at once."""
    lines = client.logs(job_id, level=level, follow=follow)
    if follow:
        client.get(job_id)
        return job_id, lines
    first = next(lines, None)
    return job_id, iter(()) if first is None else _chained(first, lines)


def _chained(first: LogLine, rest: Iterator[LogLine]) -> Iterator[LogLine]:
    yield first
    yield from rest


def _with_id(ask: Callable[[str], History]) -> Callable[[str], tuple[str, History]]:
    return lambda job_id: (job_id, ask(job_id))


def _shown(line: LogLine) -> Iterator[str]:
    """The form of the job queue guide; further lines of a message are set in, so that none can pass for another."""
    first, *rest = line.message.split("\n")
    yield f"[{moment(line.time)}] {clean(line.level)}: {clean(first)}"
    for each in rest:
        yield f"    {clean(each)}"


def _show(job_id: str, found: History) -> None:
    say(f"History of job {clean(job_id)}:", "-" * _WIDTH)
    rows = (
        (
            str(each.attempt),
            each.outcome,
            moment(each.started_at),
            moment(each.ended_at),
            each.worker_id or "-",
            f"{each.error_type}: {each.error_message}" if each.error_type else "",
        )
        for each in found.attempts
    )
    if found.attempts:
        table(("Attempt", "Outcome", "Started", "Ended", "Worker", "Error"), rows)
    else:
        say("No attempts")
    if found.forgotten:
        say(f"Attempts without a record: {found.forgotten} (they snoozed, or others failed since)")
    say("")
    for change in found.changes:
        note = f": {clean(change.note)}" if change.note else ""
        say(f"[{moment(change.at)}] {clean(change.state)}{note}")
