"""How a pipeline works, and the words it uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any

from tidegate.domain.errors import InvalidInput


class JobPriority(IntEnum):
    """How urgent a job is."""

    LOW = 0
    NORMAL = 5
    HIGH = 8
    CRITICAL = 10


class JobStatus(StrEnum):
    """Where a job stands, coarsely."""

    pending = "pending"
    running = "running"
    completed = "completed"
    failed = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineSettings:
    """How a pipeline works. Durations are seconds."""

    max_concurrent_jobs: int = 5
    max_queue_size: int = 1000
    cleanup_interval: float = 300
    retry_delay_base: float = 2.0

    def __post_init__(self) -> None:
        for name, low in (("max_concurrent_jobs", 1), ("max_queue_size", 1), ("cleanup_interval", 0.1)):
            if getattr(self, name) < low:
                raise InvalidInput.field(name, f"must be at least {low:g}")
        if not 0 <= self.retry_delay_base <= 86_400:
            raise InvalidInput.field("retry_delay_base", "must be from 0 to 86400")


def settings_from(environ: Mapping[str, str]) -> PipelineSettings:
    """The settings in `JOB_PIPELINE_*` variables, defaults where there are none. Raises InvalidInput."""
    wanted = {
        "max_concurrent_jobs": ("JOB_PIPELINE_MAX_WORKERS", int),
        "max_queue_size": ("JOB_PIPELINE_MAX_QUEUE_SIZE", int),
        "cleanup_interval": ("JOB_PIPELINE_CLEANUP_INTERVAL", float),
        "retry_delay_base": ("JOB_PIPELINE_RETRY_DELAY", float),
    }
    found: dict[str, Any] = {}
    for name, (variable, read) in wanted.items():
        try:
            if environ.get(variable):
                found[name] = read(environ[variable])
        except ValueError as error:
            raise InvalidInput.field(variable, "must be a number") from error
    return PipelineSettings(**found)
