"""What the routes of logs, of histories and of `why` answer."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from tidegate.domain.history import Ending
from tidegate.domain.job import ErrorType, State
from tidegate.domain.logs import Level
from tidegate.domain.why.gate import GateName

from .base import Answer, Table, Time, Told


class LogLine(Answer):
    """What a handler told."""

    time: Time
    level: Level
    attempt: int
    message: str


class LogPage(Told):
    """Part of a job's log, oldest first."""

    job_id: str
    lines: list[LogLine]
    next_after: str | None = Field(description="Goes on after the last line, also later. Null while there is none.")
    more: bool = Field(description="Whether there is more already.")
    ended: bool = Field(description="Whether the job had ended before this was read: then no more will come.")


class Attempt(Answer):
    """An attempt of a job, as far as it is known."""

    attempt: int
    worker_id: str | None
    started_at: Time | None
    ended_at: Time | None
    outcome: Ending
    error_type: ErrorType | None
    error_message: str | None


class StateChange(Answer):
    """A state that a job came to."""

    at: Time
    state: State
    attempt: int | None
    note: str | None


class JobHistory(Told):
    """A job's past, oldest first."""

    job_id: str
    attempts: list[Attempt]
    changes: list[StateChange]
    forgotten: int = Field(description="Attempts that left no record: they snoozed, or are older than 20 failures.")


class Gate(Answer):
    """One thing that keeps the job from running (`holds`), or that it has passed."""

    gate: GateName
    holds: bool
    message: str = Field(description="A clause about the job, for people.")
    facts: dict[str, Any] = Field(description="The figures behind it; those named …_at, …_until, …_after are times.")


class Why(Answer):
    """Why a job is not running, why it still runs, or why it ended as it did."""

    job_id: str
    state: State
    verdict: str = Field(description="One sentence, for people.")
    gates: list[Gate]
    expected_start: Time | None = Field(
        description="An estimate from what started lately; null where nothing tells, and for jobs that do not wait."
    )


class WhyAnswer(Told):
    """The explanation."""

    why: Why


ANSWERS: Table = {
    "get_job_logs": {200: LogPage},
    "get_job_history": {200: JobHistory},
    "get_job_why": {200: WhyAnswer},
}
