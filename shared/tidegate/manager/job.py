"""A job and its log, as the manager shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, overload

from tidegate.domain import job as domain
from tidegate.domain.job import Json

STATUSES = ("pending", "running", "completed", "failed", "cancelled", "skipped", "expired")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job when it was looked at. Times are in UTC."""

    job_id: str
    job_type: str
    status: str
    priority: int
    config: Json
    created_at: datetime
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error_message: str | None = None
    worker_id: str | None = None
    retry_count: int = 0
    max_retries: int = 0
    queue: str = "default"
    result: Json = None
    attempt: int = field(default=0, repr=False)
    """The number of the attempt that was running: what fences a worker that lost its job."""
    record: domain.Job | None = field(default=None, repr=False, compare=False)
    """What the scheduler keeps of a claimed job."""
    stop_asked: Callable[[], bool] = field(default=lambda: False, repr=False, compare=False)

    @property
    def cancelled(self) -> bool:
        """Whether a claimed job shall stop: someone cancelled it, or its lease was lost."""
        return self.stop_asked()


class JobLogs(Sequence[Mapping[str, Any]]):
    """The lines of a job's log, oldest first: mappings with `log_id`, `job_id`, `timestamp`, `level`, `message`."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self._rows = rows

    def iterrows(self) -> Iterator[tuple[int, Mapping[str, Any]]]:
        """Each line with its number from 0, as a data frame has them."""
        return iter(enumerate(self._rows))

    @overload
    def __getitem__(self, index: int) -> Mapping[str, Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Mapping[str, Any]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)


def time_of(at: int | None) -> datetime | None:
    """A time in milliseconds as a datetime in UTC."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC)


def log_rows(job_id: str, lines: Iterable[tuple[int, str, str]]) -> list[Mapping[str, Any]]:
    """Lines (time in milliseconds, level, message) as `JobLogs` has them; they are numbered from 1."""
    names = ("log_id", "job_id", "timestamp", "level", "message")
    return [
        dict(zip(names, (number, job_id, log_time(at), str(level), message), strict=True))
        for number, (at, level, message) in enumerate(lines, start=1)
    ]


def log_time(at: int) -> str:
    """A time in milliseconds as `2025-11-20 14:35:00`, in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
