"""What workers may say over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tidegate.domain.guarded import MAX_ERROR_LENGTH
from tidegate.domain.job import ErrorType
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.domain.spec import JOB_ID_RULE, check_job_id
from tidegate.service.workers import MAX_RUNNING, MAX_TEXT

from .models import MAX_REASON, Body, Time, rule_by

LONGEST_WAIT_SECONDS = 20
MAX_CLAIMED = 10
WorkerId = Annotated[str, rule_by(lambda value: check_job_id("worker_id", value), JOB_ID_RULE)]
_NAMES = 100
"""Queues or names in one request."""
Attempt = Annotated[int, Field(ge=1, description="The number of the attempt, as claimed: it fences the lease.")]


class ClaimRequest(Body):
    """Which jobs a worker takes, and how long it would wait for one."""

    worker_id: WorkerId
    pool: str = DEFAULT_POOL
    queues: list[str] = Field(
        default_factory=list, max_length=_NAMES, description="The queues to take jobs of; none: all of the pool."
    )
    names: list[str] = Field(
        default_factory=list,
        max_length=_NAMES,
        description="The names of jobs to take, looked for in the first 100 of a queue; none: any.",
    )
    wait_seconds: float = Field(
        0, ge=0, le=LONGEST_WAIT_SECONDS, description="How long to wait for a job; in the cloud at most 1 s."
    )
    max: int = Field(1, ge=1, le=MAX_CLAIMED, description="How many jobs to start at once, at most.")


class AttemptRequest(Body):
    """Which attempt it is about."""

    attempt: Attempt


class ProgressTold(Body):
    """How far the work is."""

    fraction: float = Field(ge=0, le=1)
    message: str = Field("", max_length=200)


class HeartbeatRequest(AttemptRequest):
    """The attempt goes on."""

    progress: ProgressTold | None = None


class CompleteRequest(AttemptRequest):
    """The attempt has a result."""

    result: Any = Field(None, description="Any JSON.")


class FailRequest(AttemptRequest):
    """The attempt failed."""

    error_message: str = Field(description=f"Cut to {MAX_ERROR_LENGTH} characters.")
    error_type: Annotated[ErrorType, Field(strict=False)] = ErrorType.AGENT
    permanent: bool = Field(False, description="Trying again cannot help.")


class SnoozeRequest(AttemptRequest):
    """The job shall wait, without using up an attempt."""

    seconds: float = Field(ge=0, le=30 * 86_400)


class SkipRequest(AttemptRequest):
    """There was nothing to do."""

    reason: str = Field("", max_length=MAX_REASON)


class RunningTold(Body):
    """One attempt that runs."""

    job_id: str
    attempt: Attempt


class WorkerRequest(Body):
    """What a worker says of itself: at its start, every 20 s, and when it stops."""

    pool: str = DEFAULT_POOL
    queues: list[str] = Field(default_factory=list, max_length=_NAMES)
    host: str = Field("", max_length=MAX_TEXT)
    version: str = Field("", max_length=MAX_TEXT)
    concurrency: int = Field(1, ge=1, le=10_000)
    started_at: Time
    running: list[RunningTold] = Field(default_factory=list, max_length=MAX_RUNNING)
    stopped: bool = Field(False, description="This is a good-bye.")
