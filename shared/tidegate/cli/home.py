"""`tidegate serve` and `tidegate worker`: what runs on this machine. Each imports what it needs when it is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tidegate.domain.errors import InvalidInput

from .session import Server

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder; else TIDEGATE_DATA, else ./.tidegate.", file_okay=False, metavar="DIR"),
]
Handlers = Annotated[
    list[str] | None,
    typer.Option("--handlers", help="Module or FILE.py with handlers; may be repeated. Else TIDEGATE_HANDLERS."),
]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=0, max=65535)] = 8321,
    data: Data = None,
    workers: Annotated[int, typer.Option(help="Worker processes; 0 leaves jobs to 'tidegate worker'.", min=0)] = 2,
    handlers: Handlers = None,
) -> None:
    """Run server, workers and clock on this machine, on one SQLite file."""
    from tidegate.client.endpoint import data_folder
    from tidegate.local import ServeOptions, serve

    serve(ServeOptions(host=host, port=port, data=data_folder(data), workers=workers, handlers=_names(handlers)))


def worker(
    ctx: typer.Context,
    data: Data = None,
    stack: Annotated[
        str | None, typer.Option(help="Name of a deployed stack to work for, with AWS credentials.")
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="Server to work for over HTTPS alone; else TIDEGATE_URL.", metavar="URL")
    ] = None,
    token: Annotated[
        str | None, typer.Option(help="Token of the scope work; else TIDEGATE_TOKEN.", metavar="TOKEN")
    ] = None,
    pool: Annotated[str, typer.Option(help="Pool whose jobs to run.")] = "default",
    queue: Annotated[list[str] | None, typer.Option(help="Run jobs of this queue only; may be repeated.")] = None,
    concurrency: Annotated[
        int, typer.Option(help="Jobs to run at once, each on a thread of its own.", min=1, max=256)
    ] = 1,
    max_jobs: Annotated[int | None, typer.Option(help="Stop after so many jobs.", min=1)] = None,
    worker_id: Annotated[str | None, typer.Option(help="Name of this worker; made up if not given.")] = None,
    poll_interval: Annotated[float, typer.Option(help="Seconds between two looks for jobs.", min=0.05)] = 5.0,
    metrics_port: Annotated[
        int | None, typer.Option(help="Tell this worker's own figures to Prometheus here.", min=0, max=65535)
    ] = None,
    metrics_host: Annotated[str, typer.Option(help="Address to tell them on; they need no token.")] = "127.0.0.1",
    handlers: Handlers = None,
) -> None:
    """Run jobs of a data folder, of a deployed stack (--stack, or TIDEGATE_JOBS_TABLE and the like), or over HTTPS.

    Over HTTPS (--url, or TIDEGATE_URL) a token of the scope work is all it needs. SIGTERM lets running jobs finish.
    """
    from tidegate.worker import WorkerOptions, run

    given = ctx.find_object(Server) or Server()
    address = _worker_url(url or given.url, data, stack)
    run(
        WorkerOptions(
            data=data if address is not None else _worker_data(data, stack),
            stack=stack,
            url=address,
            token=token or given.token,
            pool=pool,
            queues=tuple(queue or ()),
            concurrency=concurrency,
            max_jobs=max_jobs,
            worker_id=worker_id,
            poll_interval=poll_interval,
            handlers=_names(handlers),
            metrics_port=metrics_port,
            metrics_host=metrics_host,
        )
    )


def _worker_url(given: str | None, data: Path | None, stack: str | None) -> str | None:
    """The server to work for over HTTP: what is given, else TIDEGATE_URL unless a home is named more nearly."""
    if given is not None and stack is not None:
        raise InvalidInput.field("--url", "does not go with --stack")
    nearer = data is not None or stack is not None or {"TIDEGATE_DATA", "TIDEGATE_JOBS_TABLE"} & set(os.environ)
    return given or (None if nearer else os.environ.get("TIDEGATE_URL") or None)


def _worker_data(data: Path | None, stack: str | None) -> Path | None:
    """The folder to work on; None means the cloud that the environment names."""
    from tidegate.client.endpoint import data_folder

    in_cloud = data is None and (stack is not None or "TIDEGATE_JOBS_TABLE" in os.environ)
    return None if in_cloud else data_folder(data)


def _names(given: Sequence[str] | None) -> tuple[str, ...]:
    words = given or os.environ.get("TIDEGATE_HANDLERS", "").split(",")
    return tuple(word.strip() for word in words if word.strip())
