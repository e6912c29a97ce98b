"""What requests about queues and definitions, and those of Marie's gateway, may say."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.domain.job import HardMiss
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import DEFAULT_QUEUE, Queue

from .bodies import Body, Word
from .job_models import JobRequest, Webhook

_QUEUE = Queue(tenant="-", name=DEFAULT_QUEUE)


class QueueSettings(Body):
    """What jobs of a queue inherit unless they say otherwise. Durations are seconds."""

    pool: str = _QUEUE.pool
    retry_limit: int = _QUEUE.retry_limit
    retry_delay: float = _QUEUE.retry_delay
    retry_backoff: bool = _QUEUE.retry_backoff
    retry_delay_max: float = _QUEUE.retry_delay_max
    retry_jitter: bool = _QUEUE.retry_jitter
    timeout: float = _QUEUE.timeout
    expire_in_seconds: float | None = _QUEUE.expire_in_seconds
    keep_seconds: float = _QUEUE.keep_seconds
    ordering: Annotated[Ordering, Field(strict=False)] = _QUEUE.ordering
    aging_seconds: float = _QUEUE.aging_seconds
    webhook: Webhook | None = Field(None, description="Who is told of the changes of its jobs.")
    age_floor_seconds: float = Field(
        _QUEUE.age_floor_seconds, description="In `deadline` order no job ranks as if due so long after it was made."
    )
    soft_sla_seconds: float | None = Field(None, description="The soft deadline of jobs that say none.")
    hard_sla_seconds: float | None = Field(None, description="The hard deadline of jobs that say none.")
    on_hard_miss: Annotated[HardMiss, Field(strict=False)] = _QUEUE.on_hard_miss
    slots: int | None = Field(_QUEUE.slots, description="Most jobs that run at once.")
    key_slots: int | None = Field(_QUEUE.key_slots, description="Most jobs of one `concurrency_key` that run at once.")
    rate_limit: int | None = Field(_QUEUE.rate_limit, description="Most starts in one `rate_period`.")
    rate_period: Literal["second", "minute"] = "second"
    max_queue_size: int | None = Field(_QUEUE.max_queue_size, description="Most jobs accepted and not yet started.")
    timeout_retry_limit: int | None = Field(
        _QUEUE.timeout_retry_limit, description="Retries after attempts that took too long; null: as retry_limit."
    )
    shards: int = Field(
        _QUEUE.shards, description="Keys of the index that its ready jobs stand on: each takes 500 jobs a second."
    )

    def given(self) -> dict[str, Any]:
        """The settings that the request names."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        return {name: value.value() if isinstance(value, Webhook) else value for name, value in found.items()}


class DefinitionRequest(Body):
    """A template of jobs."""

    schema_: dict[str, Any] | None = Field(None, alias="schema", description="JSON Schema of `data`, draft 2020-12.")
    job: JobRequest | None = Field(None, description="What its jobs have unless they say otherwise.")
    dag: dict[str, Any] | None = Field(None, description="The body of a run, where runs are made from it.")
    description: str = ""


class InvokeParameters(BaseModel):
    """What to run: all but `command` becomes the job's data."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, defer_build=True)

    command: Word = Field(description="Which handler runs it.")


class InvokeRequest(Body):
    """A job in the words of Marie's gateway."""

    header: dict[str, Any] | None = None
    parameters: InvokeParameters
