"""`tidegate queue …`: policies, made and changed while the server runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.domain.errors import InvalidInput, NotFound

from . import inputs
from .output import clean, emit, json_text, say, table
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Queue

queue_app = typer.Typer(help="Look at, make, change, pause and resume queues.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name.", show_default=False)]


@queue_app.command("list")
@with_session
def list_queues(session: Session) -> None:
    """List the queues."""
    with session.client() as client:
        queues = client.queues()
    if session.as_json:
        emit({"queues": [queue.raw for queue in queues]})
    else:
        rows = ((queue.name, queue.pool, _running(queue), queue.ordering, str(queue.retry_limit)) for queue in queues)
        table(("Queue", "Pool", "Running", "Ordering", "Retries"), rows)


@queue_app.command()
@with_session
def show(session: Session, name: Name) -> None:
    """Show the settings of a queue."""
    with session.client() as client:
        queue = client.queue(name)
    if session.as_json:
        emit(queue.raw)
        return
    for key, value in queue.raw.items():
        say(f"{clean(key)}: {clean(value if isinstance(value, str) else json_text(value, indent=None))}")


@queue_app.command("set")
@with_session
def set_queue(
    session: Session,
    name: Name,
    settings: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Settings.", show_default=False)],
) -> None:
    """Change settings of a queue; make it if there is none.

    For example: tidegate queue set reports retry_limit=5 timeout=60 ordering=aging
    """
    wanted = inputs.json_pairs("settings", settings)
    if "name" in wanted:
        raise InvalidInput.field("name", "cannot be changed")
    with session.client() as client:
        try:
            queue = client.patch_queue(name, **wanted)
        except NotFound:
            queue = client.put_queue(name, **wanted)
    _done(session, queue, f"✅ Queue {clean(queue.name)} set")


@queue_app.command()
@with_session
def pause(
    session: Session,
    name: Name,
    reason: Annotated[str | None, typer.Option(help="Why, for others to see.")] = None,
) -> None:
    """Start no more jobs of a queue; running ones go on."""
    with session.client() as client:
        queue = client.pause_queue(name, reason)
    _done(session, queue, f"✅ Paused queue {clean(queue.name)}")


@queue_app.command()
@with_session
def resume(session: Session, name: Name) -> None:
    """Start jobs of a queue again."""
    with session.client() as client:
        queue = client.resume_queue(name)
    _done(session, queue, f"✅ Resumed queue {clean(queue.name)}")


def _done(session: Session, queue: Queue, line: str) -> None:
    if session.as_json:
        emit(queue.raw)
    else:
        say(line)


def _running(queue: Queue) -> str:
    if not queue.paused:
        return "yes"
    return f"paused: {queue.paused_reason}" if queue.paused_reason else "paused"
