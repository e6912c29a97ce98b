"""`tidegate dag …`: runs of DAGs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tidegate.domain.errors import InvalidInput

from . import inputs
from .dag_file import read_dag
from .dag_graph import MARKS, drawing, now
from .output import clean, emit, say, table
from .session import Session, with_session
from .watch import follow_run

if TYPE_CHECKING:
    from tidegate.client import DagRun

dag_app = typer.Typer(help="Submit, watch, stop and resume runs of DAGs.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(metavar="DAG_ID", help="The run's id.", show_default=False)]
File = Annotated[
    str, typer.Argument(metavar="FILE", help="Body of POST /dags, as YAML or JSON; - for stdin.", show_default=False)
]


@dag_app.command()
@with_session
def submit(
    session: Session,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", help="Body of POST /dags, as YAML or JSON; - for stdin.")
    ] = None,
    definition: Annotated[
        str | None, typer.Option(help="The definition that it is made from.", metavar="NAME[@VERSION]")
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="What the data of every node has: JSON, FILE or @FILE.", metavar="JSON|FILE")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the run has ended.")] = False,
    idempotency_key: Annotated[
        str | None, typer.Option(help="The same file with the same key is submitted once.", metavar="KEY")
    ] = None,
) -> None:
    """Submit a run: one in a YAML or JSON file, or one of a definition.

    For example: tidegate dag submit --definition invoices --data '{"document": "a.pdf"}'
    """
    if file is None and definition is None:
        raise InvalidInput.field("FILE", "is required, or --definition")
    given = {
        "definition": definition,
        "data": None if data is None else inputs.json_argument("--data", data),
    }
    body = {
        **({} if file is None else read_dag(file)),
        **{key: value for key, value in given.items() if value is not None},
    }
    with session.client() as client:
        run = client.submit_dag(body, idempotency_key=idempotency_key)
        if wait:
            run = follow_run(client, run.id, quiet=session.as_json)
    _told(session, run, f"✅ Run {run.id}: {run.state}")
    if wait and run.state != "COMPLETED":
        raise typer.Exit(1)


@dag_app.command()
@with_session
def validate(
    session: Session,
    file: File,
    offline: Annotated[
        bool, typer.Option("--offline", help="Ask no server: whether the queues exist is not looked at.")
    ] = False,
) -> None:
    """Tell all that is wrong with a file, or how large the run would be; nothing is submitted."""
    body = read_dag(file)
    if offline:
        from tidegate_functions.api.dag_models import checked_offline

        extent = checked_offline(body)
    else:
        with session.client() as client:
            extent = client.validate_dag(body)
    if session.as_json:
        emit({"valid": True, **extent})
    else:
        say(f"✅ {extent['nodes']} nodes, {extent['edges']} dependencies, {extent['depth']} deep: nothing is wrong")


@dag_app.command("list")
@with_session
def list_dags(
    session: Session,
    state: Annotated[str | None, typer.Option(help="Only runs in this state.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1)] = 20,
) -> None:
    """List runs, newest first."""
    with session.client() as client:
        runs = client.dags(state, limit)
    if session.as_json:
        emit({"dags": [run.raw for run in runs]})
        return
    rows = ((run.id, clean(run.name), run.state, f"{run.progress.get('progress_pct', 0)} %") for run in runs)
    table(("Run", "Name", "State", "Progress"), rows)


@dag_app.command()
@with_session
def show(session: Session, dag_id: Id) -> None:
    """Show a run and its nodes."""
    with session.client() as client:
        run = client.dag(dag_id)
    if session.as_json:
        emit(run.raw)
        return
    done = f"{run.progress['completed']}/{run.progress['total_jobs']} completed, {run.progress['failed']} failed"
    say(f"{clean(run.name)}  {run.state}  {run.progress['progress_pct']} %  ({done})")
    for deadline, at in (("soft deadline", run.soft_sla), ("hard deadline", run.hard_sla)):
        if at is not None:
            say(f"  {deadline} {at.isoformat()}{'  (passed)' if at == run.soft_sla and run.warned_at else ''}")
    for node in run.nodes:
        after = f"  ← {', '.join(node['depends_on'])}" if node["depends_on"] else ""
        why = f"  ({clean(node['reason'])})" if node.get("reason") else ""
        say(f"  {MARKS.get(node['state'], '·')} {clean(node['id'])}  {node['state']}{after}{why}")


@dag_app.command()
@with_session
def graph(
    session: Session,
    dag_id: Id,
    format_name: Annotated[str, typer.Option("--format", help="text, mermaid, dot or json.")] = "text",
) -> None:
    """Draw a run: what was at work when, and which path decides when it ends; or print it as Mermaid, DOT or JSON."""
    wanted = "json" if session.as_json else format_name
    with session.client() as client:
        picture = client.dag_graph(dag_id, "json" if wanted == "text" else wanted)
    if wanted == "json":
        emit(picture)
    else:
        say(*(drawing(picture, now()) if wanted == "text" else [picture.rstrip()]))


@dag_app.command("next")
@with_session
def next_job(session: Session, dag_id: Id) -> None:
    """Show the run's next ready job."""
    with session.client() as client:
        job = client.dag_next(dag_id)
    if session.as_json:
        emit({"job": None if job is None else job.raw})
    else:
        say("none is ready" if job is None else f"{job.id}  {clean(job.name)}  priority {job.priority}")


@dag_app.command()
@with_session
def cancel(
    session: Session, dag_id: Id, reason: Annotated[str | None, typer.Option(help="Why, for others to see.")] = None
) -> None:
    """Stop a run; its clean-up nodes run."""
    with session.client() as client:
        run = client.cancel_dag(dag_id, reason)
    _told(session, run, f"✅ Run {run.id} asked to stop")


@dag_app.command()
@with_session
def resume(session: Session, dag_id: Id) -> None:
    """Run again what failed in an ended run, and what hung on it."""
    with session.client() as client:
        run = client.resume_dag(dag_id)
    _told(session, run, f"✅ Run {run.id} goes on")


def _told(session: Session, run: DagRun, line: str) -> None:
    emit(run.raw) if session.as_json else say(line)
