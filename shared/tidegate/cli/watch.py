"""Following a job, or a run, to its end: a bar on a terminal, a line per change elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from tidegate.domain.errors import NotFound

from .exits import DONE, INTERRUPTED, REFUSED, job_exit_code
from .find import by_id_or_prefix
from .output import clean, complain, console, emit, say
from .session import Session, with_session

if TYPE_CHECKING:
    from rich.progress import Progress

    from tidegate.client import Client, DagRun, Job


T = TypeVar("T")


def follow(client: Client, job_id: str, *, quiet: bool) -> Job:
    """The job once it has ended, its progress shown on stderr unless `quiet`."""
    with _interruptible(f"job {job_id}"):
        changes = client.watch(job_id)
        return _last(changes if quiet else _shown(changes))


def follow_run(client: Client, dag_id: str, *, quiet: bool) -> DagRun:
    """The run once it has ended, its progress shown on stderr unless `quiet`."""
    with _interruptible(f"run {dag_id}"):
        changes = client.watch_dag(dag_id)
        return _last(changes if quiet else _shown_runs(changes))


def describe_run(run: DagRun) -> str:
    """The state of a run in a few words: `ACTIVE  50% 3/6 completed, 1 active`."""
    told = run.progress
    failed = f", {told['failed']} failed" if told["failed"] else ""
    share = f"{told['progress_pct'] / 100:4.0%} {told['completed']}/{told['total_jobs']} completed"
    return f"{run.state} {share}, {told['active']} active{failed}"


@contextmanager
def _interruptible(what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        complain(f"Stopped watching; {what} goes on")
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
        yield from _as_lines(changes, describe)
        return
    with bar() as progress:
        task = progress.add_task("", total=1.0)
        for job in changes:
            done = 1.0 if job.ended else job.progress.fraction if job.progress else 0.0
            message = job.progress.message if job.progress else ""
            progress.update(task, completed=done, description=clean(f"{job.name} {job.status} {message}").rstrip())
            yield job


def _shown_runs(changes: Iterable[DagRun]) -> Iterator[DagRun]:
    if not console(stderr=True).is_terminal:
        yield from _as_lines(changes, describe_run)
        return
    with bar() as progress:
        task = progress.add_task("", total=100.0)
        for run in changes:
            text = clean(f"{run.name} {describe_run(run)}")
            progress.update(task, completed=run.progress["progress_pct"], description=text)
            yield run


def _as_lines(changes: Iterable[T], described: Callable[[T], str]) -> Iterator[T]:
    last = ""
    for each in changes:
        line = clean(described(each))
        if line != last:
            complain(line)
        last = line
        yield each


def _last(changes: Iterable[T]) -> T:
    *_, each = changes
    return each


@with_session
def watch(
    session: Session,
    given: Annotated[
        str, typer.Argument(metavar="ID", help="Of a job, or the beginning of it, or of a run.", show_default=False)
    ],
) -> None:
    """Follow a job or a run of a DAG until it has ended; the exit code tells how."""
    with session.patient_client() as client:
        try:
            job_id = by_id_or_prefix(client, given, client.get).id
        except NotFound:
            run = follow_run(client, given, quiet=session.as_json)
            emit(run.raw) if session.as_json else say(clean(f"{run.name} {describe_run(run)}"))
            raise typer.Exit(DONE if run.state == "COMPLETED" else REFUSED) from None
        job = follow(client, job_id, quiet=session.as_json)
    emit(job.raw) if session.as_json else say(clean(f"{job.name} {describe(job)}"))
    raise typer.Exit(job_exit_code(job))
