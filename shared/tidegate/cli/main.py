"""The `tidegate` program."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from tidegate.domain.errors import TidegateError
from tidegate.execution.correlating import request_id

from . import care, home, jobs, operations, records
from .audit import audit_app
from .costs import costs
from .dags import dag_app
from .definitions import definition_app
from .exits import HELP, REFUSED, exit_code, line_for
from .output import clean, complain, emit, say
from .queues import queue_app
from .schedules import schedule_app
from .session import AsJson, Server, Token, Url
from .submit import submit
from .tenants import tenant_app
from .tokens import token_app, whoami
from .top import top
from .watch import watch
from .webhooks import webhook_app
from .why import why
from .workers import list_workers

app = typer.Typer(
    name="tidegate",
    help="Tidegate: a job scheduler for your own AWS account, or for this machine.",
    epilog=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command line (`sys.argv` unless given) and exit with one of the codes in `tidegate.cli`."""
    _never_fail_to_print()
    try:
        app(args)
    except TidegateError as error:
        complain(f"Error: {clean(line_for(error))}")
        sys.exit(exit_code(error))
    except OSError as error:
        complain(f"Error: {clean(error)}")
        sys.exit(REFUSED)
    sys.exit(0)


def _never_fail_to_print() -> None:
    """A terminal that cannot show a character shows its escape instead."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _version(wanted: bool) -> None:
    if wanted:
        say(f"tidegate {version('tidegate')}")
        raise typer.Exit


@app.callback()
def _common(
    ctx: typer.Context,
    url: Url = None,
    token: Token = None,
    request: Annotated[
        str | None,
        typer.Option(
            "--request-id", envvar="TIDEGATE_REQUEST_ID", help="What to call the request, for logs and events."
        ),
    ] = None,
    _: Annotated[bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)] = False,
) -> None:
    if request is not None:
        ctx.with_resource(request_id(request))
    ctx.obj = Server(url, token)


def show_version(as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        emit({"version": version("tidegate")})
    else:
        _version(True)


app.command("serve")(home.serve)
app.command("worker")(home.worker)
app.command("workers")(list_workers)
app.command("submit")(submit)
app.command("list")(jobs.list_jobs)
app.command("show")(jobs.show)
app.command("cancel")(jobs.cancel)
app.command("retry")(jobs.retry)
app.command("logs")(records.logs)
app.command("history")(records.history)
app.command("why")(why)
app.command("watch")(watch)
app.command("top")(top)
app.command("stats")(jobs.stats)
app.add_typer(dag_app, name="dag")
app.command("purge")(operations.purge)
app.command("archive")(operations.archive)
app.command("errors")(operations.errors)
app.command("retries")(operations.retries)
app.command("throughput")(operations.throughput)
app.command("depth")(operations.depth)
app.command("costs")(costs)
app.command("stuck")(operations.stuck)
app.command("queues")(operations.queues)
app.command("pipeline")(operations.pipeline)
app.command("redrive")(operations.redrive)
app.command("backup")(care.backup)
app.command("doctor")(care.doctor)
app.add_typer(operations.dead_app, name="dead")
app.add_typer(queue_app, name="queue")
app.add_typer(schedule_app, name="schedule")
app.add_typer(token_app, name="token")
app.add_typer(tenant_app, name="tenant")
app.add_typer(definition_app, name="definition")
app.add_typer(webhook_app, name="webhook")
app.add_typer(audit_app, name="audit")
app.command("whoami")(whoami)
app.command("version")(show_version)
