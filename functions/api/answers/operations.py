"""What the routes of maintenance answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .base import Answer, Table, Time, Told
from .jobs import Job


class StuckJobs(Told):
    """Jobs that run for too long."""

    jobs: list[Job]


class Maintained(Told):
    """What one request did, or would do."""

    action: Literal["purge", "archive", "retry"]
    dry_run: bool
    matched: int = Field(description="Jobs found.")
    done: int = Field(description="Jobs acted on; the others changed meanwhile.")
    archives: list[str] = Field(description="Keys of the files written.")
    continuation: str | None = Field(description="Null at the end.")


class Reset(Told):
    """What became of stuck jobs."""

    dry_run: bool
    matched: int
    done: int
    job_ids: list[str]


class DeadLetter(Answer):
    """A message that was no ticket."""

    id: str
    body: str
    source: str = Field(description="The queue that gave it up.")
    reason: str
    at: Time


class DeadLetters(Told):
    """Dead letters that were put aside."""

    dead_letters: list[DeadLetter]


class Redriven(Answer):
    """What became of one dead letter."""

    id: str
    result: Literal["renewed", "spent", "unreadable", "dropped"] | None = Field(description="Null in a dry run.")


class RedriveAnswer(Told):
    """What became of dead letters."""

    dry_run: bool
    results: list[Redriven]


ANSWERS: Table = {
    "stuck_jobs": {200: StuckJobs},
    "purge": {200: Maintained},
    "archive": {200: Maintained},
    "retry_jobs": {200: Maintained},
    "reset_stuck": {200: Reset},
    "dead_letters": {200: DeadLetters},
    "redrive": {200: RedriveAnswer},
}
