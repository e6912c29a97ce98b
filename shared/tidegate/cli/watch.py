"""Following a job to its end: a bar on a terminal, a line per change elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from .exits import INTERRUPTED
from .output import clean, complain, console

if TYPE_CHECKING:
    from rich.progress import Progress

    from tidegate.client import Client, Job


def follow(client: Client, job_id: str, *, quiet: bool) -> Job:
    """The job once it has ended, its progress shown on stderr unless `quiet`."""
    try:
        changes = client.watch(job_id)
        return _last(changes if quiet else _shown(changes))
    except KeyboardInterrupt:
        complain(f"Stopped watching; job {job_id} goes on")
        raise typer.Exit(INTERRUPTED) from None


def describe(job: Job) -> str:
    """The state of a job in a few words: `running  50% page 3`."""
    if job.progress is None or job.ended:
        return job.status
    return f"{job.status} {job.progress.fraction:4.0%} {job.progress.message}".rstrip()


@contextmanager
def bar() -> Iterator[Progress]:
    """A progress display on stderr, gone when done; nothing where stderr is no terminal."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    text = TextColumn("{task.description}", markup=False)
    err = console(stderr=True)
    columns = (text, BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        yield progress


def _shown(changes: Iterable[Job]) -> Iterator[Job]:
    if not console(stderr=True).is_terminal:
        yield from _shown_as_lines(changes)
        return
    with bar() as progress:
        task = progress.add_task("", total=1.0)
        for job in changes:
            done = 1.0 if job.ended else job.progress.fraction if job.progress else 0.0
            message = job.progress.message if job.progress else ""
            progress.update(task, completed=done, description=clean(f"{job.name} {job.status} {message}").rstrip())
            yield job


def _shown_as_lines(changes: Iterable[Job]) -> Iterator[Job]:
    last = ""
    for job in changes:
        line = clean(describe(job))
        if line != last:
            complain(line)
        last = line
        yield job


def _last(changes: Iterable[Job]) -> Job:
    *_, job = changes
    return job
