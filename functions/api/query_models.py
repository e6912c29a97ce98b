"""What may be asked of lists of jobs, lines and events."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from tidegate.domain.logs import Level

from .bodies import MAX_LIMIT, MAX_OFFSET, LogLevel, Time, Word

MAX_LINES = 1_000


class ListQuery(BaseModel):
    """Which jobs to list, newest first. `metadata.KEY=value` may be added any number of times."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    state: list[str] = Field(
        default_factory=list, description="Fine (ACTIVE) or coarse (running) names; repeated, or with commas."
    )
    queue: Word | None = None
    name: Word | None = None
    tag: Word | None = None
    dag_id: Word | None = None
    owner: Word | None = None
    created_from: Time | None = Field(None, description="Made at this time or later.")
    created_to: Time | None = Field(None, description="Made before this time.")
    limit: int = Field(50, ge=1, le=MAX_LIMIT)
    cursor: Word | None = Field(None, description="`next_cursor` of the page before.")
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Jobs to leave out first; a cursor is cheaper.")
    count: bool = Field(
        True, description="Whether to tell `total_count`; it is null otherwise, and the answer quicker."
    )
    brief: bool = Field(False, description="Leave out data and result.")
    result_as: Literal["json", "string"] = Field("json", description="`string`: each result as a JSON text.")


class LogQuery(BaseModel):
    """Which lines of a job's log."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    after: Word | None = Field(None, description="`next_after` of the page before.")
    limit: int = Field(200, ge=1, le=MAX_LINES)
    level: LogLevel = Field(Level.DEBUG, description="Lines that matter at least so much.")


class EventQuery(BaseModel):
    """Which events."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    job: Word | None = Field(None, description="Of this job alone, by its id.")
    queue: Word | None = Field(None, description="Of jobs of this queue alone.")
    dag: Word | None = Field(None, description="Of this run and its jobs alone, by the run's id.")
    after: int | None = Field(
        None, ge=0, description="Events after this id; 0 for all that are kept. Else from now on."
    )
