"""What requests about jobs may say."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated, Any

from pydantic import Field, SkipValidation

from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Ms
from tidegate.domain.priority import DEFAULT
from tidegate.domain.queue import DEFAULT_QUEUE
from tidegate.domain.spec import MAX_BATCH, JobSpec

from .bodies import MAX_REASON, Body, Deadline, Policy, Priority, Time, agent_in, one_of


class Webhook(Body):
    """An address that is told of changes."""

    url: str = Field(description="https, to a public host.")
    events: list[str] | None = Field(None, description="Such as job.failed; every way to end unless given.")

    def value(self) -> dict[str, Any]:
        """As the domain keeps it."""
        return {"url": self.url} if self.events is None else {"url": self.url, "events": self.events}


class JobFields(Body):
    """What requests for a job and for a schedule's job say alike. What is absent or null is as the queue says."""

    name: str | None = Field(None, description="Which handler runs it. Without it, `data.agent` names the handler.")
    job_type: str | None = Field(None, description="Another word for `name`.")
    agent: str | None = Field(None, description="Another word for `name`.")
    data: Any = Field(None, description="What the handler gets: any JSON.")
    queue: str = DEFAULT_QUEUE
    priority: Priority = Field(DEFAULT, description="Higher starts first.")
    tags: list[str] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    expire_in_seconds: float | None = Field(None, description="EXPIRED if not started so long after it could.")
    timeout: float | None = Field(None, description="How long an attempt may take.")
    retry_limit: int | None = Field(None, description="Retries after the first attempt.")
    max_retries: int | None = Field(None, description="Another word for `retry_limit`.")
    retry_delay: float | None = None
    retry_backoff: bool | None = Field(None, description="Double the delay with each retry.")
    retry_delay_max: float | None = None
    retry_jitter: bool | None = None


class JobRequest(JobFields):
    """A job to be run. What is absent or null is as the queue says. Durations are seconds."""

    job_id: str | None = Field(None, description="An id of your own: asking again with it makes no second job.")
    start_after: Time | None = Field(None, description="Not before this time.")
    scheduled_at: Time | None = Field(None, description="Another word for `start_after`.")
    keep_until: Time | None = Field(None, description="Once ended, it may be deleted after this time.")
    soft_sla: Deadline | None = Field(None, description="Its target: a time, or seconds from when it may start.")
    hard_sla: Deadline | None = Field(None, description="Its limit: likewise. A miss is as the queue says.")
    definition: str | None = Field(None, description="`name` or `name@version`: fills in what is not given here.")
    webhook: Webhook | None = Field(None, description="Who is told of its changes, besides the queue's webhook.")
    concurrency_key: str | None = Field(None, description="Of one key, at most the queue's `key_slots` run at once.")
    unique_key: str | None = Field(None, description="What makes it the same as another job of the queue.")
    policy: Policy | None = Field(None, description="What happens if it is; REJECT_DUPLICATE unless given.")
    timeout_retry_limit: int | None = Field(None, description="Retries after attempts that took too long.")
    task_token: str | None = Field(None, description="Of the Step Functions task that waits for the job's end.")

    def spec(self, fallback_id: str | None = None) -> JobSpec:
        """What it asks for, in the domain's words; `fallback_id` serves when it names no `job_id`.

        Raises InvalidInput for what breaks a rule.
        """
        name = one_of(name=self.name, job_type=self.job_type, agent=self.agent) or agent_in(self.data)
        if name is None:
            raise InvalidInput.field("name", "is required, here or as data.agent")
        return JobSpec(
            name=name,
            data=self.data,
            queue=self.queue,
            priority=self.priority,
            job_id=self.job_id if self.job_id is not None else fallback_id,
            tags=tuple(self.tags),
            metadata=self.metadata,
            start_after=one_of(start_after=self.start_after, scheduled_at=self.scheduled_at),
            expire_in_seconds=self.expire_in_seconds,
            keep_until=self.keep_until,
            **_deadlines(soft_sla=self.soft_sla, hard_sla=self.hard_sla),
            timeout=self.timeout,
            retry_limit=one_of(retry_limit=self.retry_limit, max_retries=self.max_retries),
            retry_delay=self.retry_delay,
            retry_backoff=self.retry_backoff,
            retry_delay_max=self.retry_delay_max,
            retry_jitter=self.retry_jitter,
            webhook=None if self.webhook is None else self.webhook.value(),
            concurrency_key=self.concurrency_key,
            unique_key=self.unique_key,
            policy=self.policy,
            timeout_retry_limit=self.timeout_retry_limit,
            task_token=self.task_token,
        )

    def given(self, fallback_id: str | None = None) -> dict[str, Any]:
        """What it says and nothing else, as fields of `JobSpec`, for a definition to fill in the rest.

        Raises InvalidInput for what breaks a rule.
        """
        name = one_of(name=self.name, job_type=self.job_type, agent=self.agent)
        spec = self.model_copy(update={"name": name or "nameless"}).spec(fallback_id)
        said = {_MEANING.get(field, field) for field in self.model_fields_set if getattr(self, field) is not None}
        wanted = (said & _OF_A_JOB | ({"job_id"} if spec.job_id else set())) - {"definition"}
        return {field: getattr(spec, field) for field in wanted}


_OF_A_JOB = frozenset(each.name for each in fields(JobSpec))
_MEANING = {"job_type": "name", "agent": "name", "scheduled_at": "start_after", "max_retries": "retry_limit"}
"""Other words for fields of `JobSpec`."""


class BatchRequest(Body):
    """Jobs to be run, each accepted or rejected for itself."""

    jobs: Annotated[list[SkipValidation[JobRequest]], Field(min_length=1, max_length=MAX_BATCH)]
    """Read one by one later, so that one wrong job does not refuse the others."""


class PriorityRequest(Body):
    """Another priority for a waiting job."""

    priority: Priority


class ReasonRequest(Body):
    """Why, for those who look later."""

    reason: str | None = Field(None, max_length=MAX_REASON)


class RetryRequest(Body):
    """How to start an ended job over."""

    counted: bool = Field(False, description="Use the retries it has left, if any, instead of a fresh set.")


def _deadlines(**given: Ms | float | None) -> dict[str, Any]:
    """Each under the name that the domain has for a time, or for a duration."""
    return {f"{name}_seconds" if isinstance(at, float) else name: at for name, at in given.items()}
