"""Large values live in the blob store; the job keeps a reference."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from tidegate.domain.job import Job, Json
from tidegate.domain.spec import dump_json
from tidegate.ports import Blobs

MAX_INLINE_BYTES = 100_000
"""Above this a value is offloaded: data, result and history together must fit an item (400 KB in DynamoDB)."""


def offloaded(blobs: Blobs, field: str, name: Callable[[], str], value: Json) -> tuple[Json, str | None]:
    """The value and its reference as they are to be stored: one of the two is None.

    `name` makes the key of the blob if one is needed. Raises InvalidInput or PayloadTooLarge as `dump_json`.
    """
    text = dump_json(field, value)
    content = text.encode()
    if len(content) <= MAX_INLINE_BYTES:
        return value, None
    key = name()
    blobs.put(key, content)
    return None, key


def with_payloads(blobs: Blobs, job: Job) -> Job:
    """The job with its offloaded values filled in; data that stands in the job itself came after what was offloaded."""
    if job.data_ref is None and job.result_ref is None:
        return job
    data = job.data if job.data_ref is None or job.data is not None else json.loads(blobs.get(job.data_ref))
    result = job.result if job.result_ref is None else json.loads(blobs.get(job.result_ref))
    return replace(job, data=data, result=result)


def blob_key(job: Job, part: str) -> str:
    """Where a job's large `part` is kept: never where that of an earlier job with the same id was."""
    return f"{job.tenant}/jobs/{job.id}/{job.created_at}-{part}.json"
