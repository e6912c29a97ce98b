"""`tidegate webhook …`: what webhooks are signed with, and what became of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from .find import by_id_or_prefix
from .output import clean, emit, moment, say, status_text, table
from .session import Session, with_session

webhook_app = typer.Typer(help="Secrets and deliveries of webhooks.", no_args_is_help=True)


@webhook_app.command("secret")
@with_session
def secret(
    session: Session,
    queue: Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.", show_default=False)],
    rotate: Annotated[bool, typer.Option("--rotate", help="Replace it; both sign for a day.")] = False,
) -> None:
    """Print what messages about a queue's jobs are signed with."""
    with session.client() as client:
        found = client.rotate_webhook_secret(queue) if rotate else client.webhook_secret(queue)
    if session.as_json:
        emit({key: value for key, value in asdict(found).items() if key != "rotated_at"})
    else:
        say(clean(found.secret))


@webhook_app.command("list")
@with_session
def deliveries(
    session: Session,
    job_id: Annotated[str, typer.Argument(metavar="ID", help="A job's id, or its beginning.", show_default=False)],
) -> None:
    """List the messages about a job, newest first."""
    with session.client() as client:
        found = by_id_or_prefix(client, job_id, client.deliveries)
    if session.as_json:
        emit({"deliveries": [each.raw for each in found]})
        return
    rows = (
        (each.id, each.event, status_text(each.status), str(each.attempt), moment(each.created_at), _outcome(each))
        for each in found
    )
    table(("Message", "Event", "Status", "Attempts", "Created", "Outcome"), rows)


def _outcome(each: object) -> str:
    status, error = getattr(each, "response_status", None), getattr(each, "error_message", None)
    return str(status) if status is not None else error or "-"
