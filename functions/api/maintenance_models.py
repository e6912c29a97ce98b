"""What requests of maintenance may say."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tidegate.service.letters import MAX_LETTERS
from tidegate.service.maintenance import MAX_JOBS

from .bodies import Body, Word

States = Annotated[
    list[str], Field(default_factory=list, description="Fine (FAILED) or coarse (failed) names of ended states.")
]


class MaintenanceRequest(Body):
    """Which ended jobs to act on. Without `confirm` nothing is done: the answer says what would be."""

    states: States
    queue: Word | None = None
    name: Word | None = None
    tag: Word | None = None
    older_than: float | None = Field(None, ge=0, le=3_660 * 86_400, description="Seconds since they ended.")
    all: bool = Field(False, description="Must be true when no filter is given.")
    confirm: bool = Field(False, description="Do it.")
    limit: int = Field(MAX_JOBS, ge=1, le=MAX_JOBS, description="Jobs to act on with this request.")
    continuation: Word | None = Field(None, description="From the answer before; the rest of the request as it was.")


class ResetRequest(Body):
    """Which running jobs to take from their attempts. Without `confirm` nothing is done."""

    older_than: float = Field(3_600, ge=0, le=3_660 * 86_400, description="Seconds since the attempt started.")
    confirm: bool = Field(False, description="Do it.")


class RedriveRequest(Body):
    """Which dead letters to deal with: those of `ids`, or `all`. Without `confirm` nothing is done."""

    ids: Annotated[list[str], Field(max_length=MAX_LETTERS)] = Field(default_factory=list)
    all: bool = False
    drop: bool = Field(False, description="Delete them instead of sending them on their way again.")
    confirm: bool = Field(False, description="Do it.")
