"""`tidegate definition …`: templates of jobs."""

from __future__ import annotations

from typing import Annotated

import typer

from tidegate.domain.errors import InvalidInput

from . import inputs
from .dag_file import read_dag
from .output import clean, emit, json_text, moment, say, table
from .session import Session, with_session

definition_app = typer.Typer(help="Store, show and list definitions of jobs.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The definition's name.", show_default=False)]


@definition_app.command("put")
@with_session
def put(
    session: Session,
    name: Name,
    schema: Annotated[
        str | None, typer.Option(help="JSON Schema of the data: JSON, FILE or @FILE.", metavar="JSON|FILE")
    ] = None,
    job: Annotated[
        str | None, typer.Option(help="What its jobs have by default: JSON, FILE or @FILE.", metavar="JSON|FILE")
    ] = None,
    queue: Annotated[str | None, typer.Option(help="The queue of its jobs.")] = None,
    dag: Annotated[
        str | None,
        typer.Option(help="A run, in a file as for `tidegate dag submit`: runs are made from it.", metavar="FILE"),
    ] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
) -> None:
    """Store a new version, unless the latest says the same.

    For example: tidegate definition put extract --schema extract.json --job '{"priority": "high"}'
    """
    defaults = {} if job is None else inputs.json_argument("--job", job)
    if not isinstance(defaults, dict):
        raise InvalidInput.field("--job", "must be a JSON object")
    if queue is not None:
        defaults["queue"] = queue
    wanted = None if schema is None else inputs.json_argument("--schema", schema)
    with session.client() as client:
        body = None if dag is None else read_dag(dag)
        stored = client.put_definition(name, schema=wanted, job=defaults or None, description=description, dag=body)
    if session.as_json:
        emit(stored.raw)
    else:
        say(f"✅ Definition {clean(stored.reference)} is stored")


@definition_app.command("get")
@with_session
def get(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Which definition.", show_default=False)],
) -> None:
    """Show a definition: the latest version, or NAME@VERSION."""
    name, _, version = name.partition("@")
    if version and not version.isdecimal():
        raise InvalidInput.field("NAME", "must be a name, or name@version such as extract@3")
    with session.client() as client:
        found = client.definition(name, int(version) if version else None)
    if session.as_json:
        emit(found.raw)
        return
    for key, value in found.raw.items():
        say(f"{clean(key)}: {clean(value) if isinstance(value, str) else json_text(value)}")


@definition_app.command("list")
@with_session
def list_definitions(session: Session) -> None:
    """List the definitions, the latest version of each."""
    with session.client() as client:
        found = client.definitions()
    if session.as_json:
        emit({"definitions": [each.raw for each in found]})
    else:
        rows = ((each.name, str(each.version), moment(each.created_at), each.description) for each in found)
        table(("Definition", "Version", "Stored", "Description"), rows)
