"""`tidegate serve` and `tidegate worker`: what runs on this machine. Each imports what it needs when it is run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

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
    data: Data = None,
    stack: Annotated[
        str | None, typer.Option(help="Name of a deployed stack to work for, with AWS credentials.")
    ] = None,
    pool: Annotated[str, typer.Option(help="Pool whose jobs to run.")] = "default",
    max_jobs: Annotated[int | None, typer.Option(help="Stop after so many jobs.", min=1)] = None,
    worker_id: Annotated[str | None, typer.Option(help="Name of this worker; made up if not given.")] = None,
    poll_interval: Annotated[float, typer.Option(help="Seconds between two looks for jobs.", min=0.05)] = 5.0,
    handlers: Handlers = None,
) -> None:
    """Run jobs of a data folder, or of a deployed stack (--stack, or TIDEGATE_JOBS_TABLE and the like)."""
    from tidegate.worker import WorkerOptions, run

    run(
        WorkerOptions(
            data=_worker_data(data, stack),
            stack=stack,
            pool=pool,
            max_jobs=max_jobs,
            worker_id=worker_id,
            poll_interval=poll_interval,
            handlers=_names(handlers),
        )
    )


def _worker_data(data: Path | None, stack: str | None) -> Path | None:
    """The folder to work on; None means the cloud that the environment names."""
    from tidegate.client.endpoint import data_folder

    in_cloud = data is None and (stack is not None or "TIDEGATE_JOBS_TABLE" in os.environ)
    return None if in_cloud else data_folder(data)


def _names(given: Sequence[str] | None) -> tuple[str, ...]:
    words = given or os.environ.get("TIDEGATE_HANDLERS", "").split(",")
    return tuple(word.strip() for word in words if word.strip())
