"""What workers may say over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from tidegate.domain.guarded import MAX_ERROR_LENGTH
from tidegate.domain.job import ErrorType, Progress
from tidegate.domain.logs import CHUNK_BYTES, LINE_OVERHEAD, MAX_LINE_BYTES, Level
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.domain.spec import JOB_ID_RULE, check_job_id
from tidegate.service.workers import MAX_NAMES, MAX_RUNNING, MAX_TEXT

from .bodies import MAX_REASON, Body, LogLevel, Time, word_by

LONGEST_WAIT_SECONDS = 20
MAX_CLAIMED = 10
WorkerId = Annotated[str, word_by(lambda value: check_job_id("worker_id", value), JOB_ID_RULE)]
_NAMES = 100
"""Queues or names in one request."""
MAX_LINES_TOLD = CHUNK_BYTES // LINE_OVERHEAD
CLEANS_UP = Field(
    False,
    description="Answer 409 STOP_ASKED, so that the worker cleans up first, instead of ending a job as cancelled.",
)
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


class TellingRequest(AttemptRequest):
    """The attempt says how far it is."""

    progress: ProgressTold | None = Field(None, description="The last that is to be shown.")

    @property
    def told(self) -> Progress | None:
        """The progress in the domain's words."""
        return None if self.progress is None else Progress(self.progress.fraction, self.progress.message)


class HeartbeatRequest(TellingRequest):
    """The attempt goes on."""


class LineTold(Body):
    """A line of a job's log."""

    level: LogLevel = Level.INFO
    message: str = Field(description=f"Cut to {MAX_LINE_BYTES} bytes.")
    seconds_ago: float = Field(
        0, ge=0, le=30 * 86_400, description="When it was told; clocks of workers are not relied on."
    )


class LogRequest(AttemptRequest):
    """The attempt tells something."""

    number: int | None = Field(
        None, ge=1, description="Counts the requests of an attempt, from 1: the same number again changes nothing."
    )
    lines: list[LineTold] = Field(
        max_length=MAX_LINES_TOLD,
        description=f"In all at most {CHUNK_BYTES} bytes; none: only ask how much is kept.",
    )


class CompleteRequest(TellingRequest):
    """The attempt has a result."""

    result: Any = Field(None, description="Any JSON.")


class FailRequest(TellingRequest):
    """The attempt failed."""

    error_message: str = Field(description=f"Cut to {MAX_ERROR_LENGTH} characters.")
    error_type: Annotated[ErrorType, Field(strict=False)] = ErrorType.AGENT
    permanent: bool = Field(False, description="Trying again cannot help.")
    cleans_up: bool = CLEANS_UP


class SnoozeRequest(TellingRequest):
    """The job shall wait, without using up an attempt."""

    seconds: float = Field(ge=0, le=30 * 86_400)
    cleans_up: bool = CLEANS_UP


class SkipRequest(TellingRequest):
    """There was nothing to do."""

    reason: str = Field("", max_length=MAX_REASON)


class StoppedRequest(TellingRequest):
    """The attempt stopped because it was asked to."""

    error_message: str | None = Field(None, description="What went wrong with stopping.")
    error_type: Annotated[ErrorType, Field(strict=False)] = ErrorType.AGENT


class RunningTold(Body):
    """One attempt that runs."""

    job_id: str
    attempt: Attempt


class WorkerRequest(Body):
    """What a worker says of itself: at its start, every 20 s, and when it stops."""

    pool: str = DEFAULT_POOL
    queues: list[str] = Field(default_factory=list, max_length=_NAMES)
    names: list[str] = Field(
        default_factory=list, max_length=MAX_NAMES, description="The jobs that it has handlers for; none: not told."
    )
    host: str = Field("", max_length=MAX_TEXT)
    version: str = Field("", max_length=MAX_TEXT)
    concurrency: int = Field(1, ge=1, le=10_000)
    started_at: Time
    running: list[RunningTold] = Field(default_factory=list, max_length=MAX_RUNNING)
    stopped: bool = Field(False, description="This is a good-bye.")
