"""The chunks of a job's log as they lie in the stores: walked through, read, and deleted with their job."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence

from tidegate.domain.errors import NotFound
from tidegate.domain.job import Job
from tidegate.domain.logs import Level, LogChunk, LogLine, LogOf, LogPlace, log_of
from tidegate.ports import Blobs, Ports

_READ = 20


def chunks_after(ports: Ports, log: LogOf, after: LogPlace | None) -> Iterator[tuple[LogChunk, bool]]:
    """The chunks after a place, oldest first, each with whether it is the last for now."""
    while True:
        found = ports.logs.read(log, after, _READ + 1)
        for index, chunk in enumerate(found[:_READ]):
            yield chunk, index + 1 == len(found)
            after = chunk.place
        if len(found) <= _READ:
            return


def lines_of(blobs: Blobs, chunk: LogChunk) -> Sequence[LogLine]:
    """The lines of a chunk, wherever they are; none when the job was erased meanwhile."""
    if chunk.blob is None:
        return chunk.lines
    try:
        found = json.loads(blobs.get(chunk.blob))
    except NotFound:
        return []
    return [LogLine(at, Level(level), message) for at, level, message in found]


def log_eraser(ports: Ports, job: Job) -> Callable[[], None]:
    """What deletes a job's log, to be called once the job is gone; doing it again is harmless.

    Made while the job is still there: its log may go with it (SQLite), and nothing would name the blobs then.
    Costs one query where there is no log.
    """
    chunks = [chunk for chunk, _ in chunks_after(ports, log_of(job), None)]

    def erase() -> None:
        for chunk in chunks:
            if chunk.blob is not None:
                ports.blobs.delete(chunk.blob)
        if chunks:
            ports.logs.erase(job.tenant, job.id)

    return erase


def chunk_blob_key(log: LogOf, at: LogPlace, by: str = "") -> str:
    """Where the lines of a chunk are kept that is not in the table; `by` tells several that write at once apart."""
    return f"{log.tenant}/jobs/{log.job_id}/logs/{log.created_at}-{at.attempt}-{at.number}{by}.json"
