"""Move ended jobs to the blob store: JSON lines, one job each, in `archive/{tenant}/{day it ended}/{digest}.jsonl`.

What was written is deleted afterwards, if it has not changed since. A crash in between leaves jobs in both places;
done again, the same jobs are written under the same key, for the key is the digest of what is written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime

from tidegate.domain.errors import NotFound
from tidegate.domain.job import Job
from tidegate.ports import Blobs, Ports

from .payloads import with_payloads

FOLDER = "archive"
_MAX_BYTES = 4_000_000
"""A file is closed once it is so large: it is held in memory, and never loses more than itself."""


def archive(ports: Ports, jobs: Sequence[Job]) -> tuple[int, list[str]]:
    """Write the jobs, then delete them; answers how many were deleted, and the keys that were written."""
    done, keys = 0, []
    for part, lines in _files(ports.blobs, jobs):
        content = "".join(lines).encode()
        key = f"{FOLDER}/{part[0].tenant}/{_day(part[0])}/{hashlib.sha256(content).hexdigest()[:32]}.jsonl"
        ports.blobs.put(key, content)
        done += sum(ports.upkeep.erase_unchanged(part))
        keys.append(key)
    return done, keys


def line_of(blobs: Blobs, job: Job) -> str:
    """A job with all its fields and its large values as one line. Times are milliseconds since 1970."""
    try:
        whole = replace(with_payloads(blobs, job), data_ref=None, result_ref=None)
    except NotFound:
        whole = job  # a value that is lost already: its key tells that there was one
    return json.dumps(asdict(whole), separators=(",", ":"), ensure_ascii=False) + "\n"


def _files(blobs: Blobs, jobs: Sequence[Job]) -> Iterator[tuple[list[Job], list[str]]]:
    """The jobs of each file with their lines: of one day, and not much more than `_MAX_BYTES`."""
    part: list[Job] = []
    lines: list[str] = []
    for job in sorted(jobs, key=lambda job: (_day(job), job.id)):
        if part and (_day(job) != _day(part[0]) or sum(map(len, lines)) >= _MAX_BYTES):
            yield part, lines
            part, lines = [], []
        part.append(job)
        lines.append(line_of(blobs, job))
    if part:
        yield part, lines


def _day(job: Job) -> str:
    return f"{datetime.fromtimestamp((job.completed_at or 0) / 1000, UTC):%Y-%m-%d}"
