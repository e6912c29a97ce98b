"""What a caller may say about a job, and how it is written in JSON. Names are those of the HTTP API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypedDict

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json

MAX_CHUNK_JOBS = 100
"""The server takes at most so many jobs in one request."""
MAX_CHUNK_BYTES = 4_000_000
"""Below AWS Lambda's 6 MB per request, with room for the event around the body."""


class JobFields(TypedDict, total=False):
    """Options of a submission; left out or None means "as the queue says". Durations are seconds.

    Times are datetimes with a time zone, or RFC 3339 text.
    """

    queue: str | None
    priority: int | str | None
    tags: Sequence[str] | None
    metadata: Mapping[str, str] | None
    start_after: datetime | str | None
    scheduled_at: datetime | str | None
    """Another word for `start_after`."""
    expire_in_seconds: float | None
    keep_until: datetime | str | None
    soft_sla: datetime | str | float | None
    hard_sla: datetime | str | float | None
    """Deadlines may also be seconds, counted from when the job may start."""
    timeout: float | None
    retry_limit: int | None
    max_retries: int | None
    """Another word for `retry_limit`."""
    retry_delay: float | None
    retry_backoff: bool | None
    retry_delay_max: float | None
    retry_jitter: bool | None
    concurrency_key: str | None
    unique_key: str | None
    policy: str | None
    timeout_retry_limit: int | None
    task_token: str | None
    job_id: str | None
    definition: str | None
    webhook: Mapping[str, Any] | None


class NewJob(JobFields, total=False):
    """One job of a batch."""

    name: str
    data: Json


class JobFilters(TypedDict, total=False):
    """Which jobs to list. States may be fine (`ACTIVE`) or coarse (`running`)."""

    state: str | Sequence[str] | None
    queue: str | None
    name: str | None
    tag: str | None
    dag_id: str | None
    owner: str | None
    metadata: Mapping[str, str] | None
    created_from: datetime | str | None
    created_to: datetime | str | None


def to_json(value: Json, what: str = "the job") -> bytes:
    """`value` as compact JSON. Raises InvalidInput, naming `what`, for what JSON cannot carry."""
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"{what} cannot be written as JSON: {error}") from error


def job_body(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The body for one job: what was given, times as text."""
    body = {key: time_text(key, value) for key, value in fields.items() if value is not None}
    if isinstance(body.get("tags"), str):
        raise InvalidInput.field("tags", "must be a list of words")
    return {**body, "tags": list(body["tags"])} if "tags" in body else body


def filter_params(filters: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The query parameters of a listing."""
    params: list[tuple[str, str]] = []
    for key, value in filters.items():
        if key == "metadata":
            params += [(f"metadata.{name}", text) for name, text in (value or {}).items()]
        elif value is not None:
            values = [value] if isinstance(value, str | datetime) else value
            params += [(key, str(time_text(key, each))) for each in values]
    return params


def time_text(name: str, value: Any) -> Any:
    """A datetime as RFC 3339 in UTC with milliseconds; anything else unchanged. Raises InvalidInput without a zone."""
    if not isinstance(value, datetime):
        return value
    if value.tzinfo is None:
        raise InvalidInput.field(name, "must carry a time zone, for example datetime.now(UTC)")
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def chunks(jobs: Iterable[Mapping[str, Any]]) -> Iterator[list[bytes]]:
    """Jobs as JSON, in requests that the server accepts: at most 100 jobs and about 4 MB each."""
    chunk: list[bytes] = []
    size = 0
    for index, job in enumerate(jobs):
        text = to_json(job, f"jobs[{index}]")
        if chunk and (len(chunk) == MAX_CHUNK_JOBS or size + len(text) > MAX_CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    if chunk:
        yield chunk
