"""A job as a value, in the words of its states: `WorkInfo`, `WorkState`.

from tidegate import Client
from tidegate.models import WorkInfo

work = WorkInfo(name="extract", priority=10, data={"pages": [1, 2, 3]}, retry_limit=2)
with Client() as client:
    client.submit(**work.fields())
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Json
from tidegate.domain.job import State as WorkState
from tidegate.domain.priority import parse_priority
from tidegate.domain.queue import DEFAULT_QUEUE
from tidegate.domain.spec import JobSpec

__all__ = ["WorkInfo", "WorkState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkInfo:
    """A job to be submitted. None means "as the queue says". Durations are seconds; times need a time zone.

    Raises InvalidInput when it breaks a rule: a priority beyond 0 to 10, a `hard_sla` before the `soft_sla`.
    """

    name: str
    """The executor that runs it."""
    priority: int = 5
    """0 to 10, 10 first."""
    data: Json = None
    state: WorkState = WorkState.CREATED
    """Every job begins as CREATED."""
    id: str | None = None
    """An id of your own: asking again with it makes no second job."""
    queue: str = DEFAULT_QUEUE
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_limit: int | None = None
    """Retries after the first attempt."""
    retry_delay: float | None = None
    retry_backoff: bool | None = None
    """Whether the delay doubles with each retry."""
    start_after: datetime | None = None
    expire_in_seconds: float | None = None
    """EXPIRED if it has not started so long after it could."""
    keep_until: datetime | None = None
    """Once ended, it may be deleted after this time."""
    soft_sla: datetime | None = None
    hard_sla: datetime | None = None

    def __post_init__(self) -> None:
        if self.state is not WorkState.CREATED:
            raise InvalidInput.field("state", "must be CREATED: what becomes of a job is for its workers to say")
        self.spec()

    def fields(self) -> dict[str, Any]:
        """What `Client.submit` takes: every field that is given."""
        given = {name: getattr(self, name) for name in self.__slots__ if name not in ("state", "id")}
        given |= {"job_id": self.id, "tags": list(self.tags) or None, "metadata": dict(self.metadata) or None}
        return {name: value for name, value in given.items() if value is not None}

    def spec(self) -> JobSpec:
        """What the services take. Raises InvalidInput."""
        given = {**self.fields(), "tags": self.tags, "metadata": self.metadata}
        times = ("start_after", "keep_until", "soft_sla", "hard_sla")
        moments = {name: _ms(name, given[name]) for name in times if name in given}
        return JobSpec(**{**given, **moments, "priority": parse_priority(self.priority)})


def _ms(name: str, time: datetime) -> int:
    if time.tzinfo is None:
        raise InvalidInput.field(name, "must carry a time zone, for example datetime.now(timezone.utc)")
    return round(time.astimezone(UTC).timestamp() * 1000)
