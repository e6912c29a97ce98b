"""`tidegate audit`: who did what, and whether the log of it is whole."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.domain.errors import InvalidInput

from .exits import REFUSED
from .output import clean, emit, json_text, say, table
from .session import Session, with_session
from .watch import bar

if TYPE_CHECKING:
    from tidegate.client import AuditEntry, AuditHead

audit_app = typer.Typer(help="Who did what: read the audit log, and check that it is whole.", no_args_is_help=True)
_HEAD = re.compile(r"(\d{1,15}):([0-9a-f]{64})")


@audit_app.command("list")
@with_session
def list_entries(
    session: Session,
    limit: Annotated[int, typer.Option(help="How many entries, the newest.", min=1)] = 50,
    action: Annotated[str | None, typer.Option(help="Of this action alone, or all that begin so: job.")] = None,
    user: Annotated[str | None, typer.Option(help="Of this user alone.")] = None,
) -> None:
    """Show who did what, newest first."""
    with session.client() as client:
        found = [
            entry
            for entry in client.audit(max_entries=None if action or user else limit)
            if entry.action.startswith(action or "") and user in (None, entry.user)
        ][:limit]
    if session.as_json:
        emit([_wire(entry) for entry in found])
    else:
        table(("Number", "Time", "User", "Via", "Action", "Target", "Details"), map(_row, found))


@audit_app.command("verify")
@with_session
def verify(
    session: Session,
    since: Annotated[
        str | None, typer.Option(help="A head noted before, NUMBER:HASH: check from there on.", metavar="HEAD")
    ] = None,
) -> None:
    """Check that no entry was changed, replaced or taken away; exit code 1 if one was.

    Note the head that is printed where the server's keepers cannot reach it: with --since it shows next time that what
    was checked today is still the beginning of the log.
    """
    from tidegate.domain.audit import NONE

    start = NONE if since is None else _head(since)
    with session.client() as client, bar() as progress:
        progress.add_task("Check", total=None, visible=not session.as_json)
        verdict = client.verify_audit(start)
    if session.as_json:
        emit(
            {
                "whole": verdict.fault is None,
                "checked": verdict.checked,
                "head": str(verdict.head),
                "fault": verdict.fault,
            }
        )
    elif verdict.fault is None:
        say(f"✅ {verdict.checked} entries are whole", f"Head: {verdict.head}")
    else:
        say(f"❌ {clean(verdict.fault)}", f"{verdict.checked} entries before it are whole")
    if verdict.fault is not None:
        raise typer.Exit(REFUSED)


def _head(text: str) -> AuditHead:
    from tidegate.domain.audit import Head

    found = _HEAD.fullmatch(text)
    if found is None:
        raise InvalidInput.field("--since", "must be NUMBER:HASH, as 'tidegate audit verify' prints it")
    return Head(int(found[1]), found[2])


def _wire(entry: AuditEntry) -> object:
    from dataclasses import asdict

    return json.loads(json.dumps(asdict(entry)))


def _row(entry: AuditEntry) -> tuple[str, ...]:
    from datetime import UTC, datetime

    from .output import moment

    time = moment(datetime.fromtimestamp(entry.at / 1000, UTC))
    details = json_text(dict(entry.details), indent=None) if entry.details else ""
    return str(entry.number), time, entry.user, entry.via, entry.action, entry.target, details
