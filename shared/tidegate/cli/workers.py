"""`tidegate workers`: who works, and what each runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .output import clean, emit, moment, say, table
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Running, Worker

_HEADINGS = ("Worker", "Kind", "Pool", "Host", "Busy", "Seen", "Runs", "Since")


@with_session
def list_workers(session: Session) -> None:
    """List the workers that were seen in the last minute and the jobs they run; times are in UTC."""
    with session.client() as client:
        workers = client.workers()
    if session.as_json:
        emit({"workers": [worker.raw for worker in workers]})
    elif workers:
        table(_HEADINGS, (row for worker in workers for row in _rows(worker)))
    else:
        say("No workers")


def _rows(worker: Worker) -> Iterator[tuple[str, ...]]:
    """A line for the worker with the first job it runs, and one for each further job."""
    pool = ":".join([worker.pool, ",".join(worker.queues)]) if worker.queues else worker.pool
    busy = f"{worker.busy}/{worker.concurrency}"
    own = (worker.id, worker.kind, pool, worker.host, busy, moment(worker.seen_at))
    first, *rest = [_run(each) for each in worker.running] or [("-", "-")]
    yield own + first
    for run in rest:
        yield ("", "", "", "", "", "", *run)


def _run(running: Running) -> tuple[str, str]:
    told = running.progress
    share = f" {told.fraction:.0%} {told.message}".rstrip() if told is not None else ""
    return f"{clean(running.name)} {clean(running.job_id)}{clean(share)}", moment(running.started_at)
