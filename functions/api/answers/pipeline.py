"""What the routes with other systems' names answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from .base import Answer, Table, Time, Told
from .jobs import Job, JobAnswer, JobPage


class Metrics(Answer):
    """What became of the jobs since the counters began."""

    active_jobs: int
    completed_jobs: int
    failed_jobs: int
    retried_jobs: int = Field(description="Jobs that needed retries, however many.")
    total_processed: int = Field(description="Completed and failed jobs.")
    success_rate: float = Field(description="Percent of the processed jobs that completed.")
    uptime_seconds: int = Field(description="Since the first change was counted.")
    jobs_per_minute: float = Field(description="Processed jobs per minute of uptime.")


class PipelineStatus(Answer):
    """The pipeline now."""

    is_running: bool = Field(description="Whether any queue is not paused.")
    queue_size: int = Field(description="Jobs that wait to be started, those between two attempts included.")
    scheduled_jobs: int = Field(description="Jobs that wait for a time of their own.")
    active_jobs: int
    max_concurrent_jobs: int
    worker_count: int
    metrics: Metrics


class PipelineStatusAnswer(Told):
    """How the pipeline is doing."""

    status: PipelineStatus
    timestamp: Time


class ShortMetrics(Answer):
    """What became of the jobs, in short."""

    completed_jobs: int
    failed_jobs: int
    success_rate: float
    jobs_per_minute: float


class PipelineInfo(Answer):
    """The pipeline, in short."""

    is_running: bool
    worker_count: int
    max_concurrent_jobs: int


class PipelineMetricsAnswer(Told):
    """How the pipeline is doing, in short."""

    metrics: ShortMetrics
    pipeline_info: PipelineInfo
    timestamp: Time


class InvokedParameters(Answer):
    """The accepted job."""

    job_id: str
    status: Literal["submitted"]


class Invoked(Answer):
    """An accepted job, in the words of Marie's gateway."""

    header: dict[str, Any]
    parameters: InvokedParameters
    data: None


class JobsOrJob(Told):
    """A page of jobs where the path names a state, else one job."""

    jobs: list[Job] = Field(default=[])
    total_count: int | None = None
    next_cursor: str | None = None
    job: Job | None = None


class Capacity(Answer):
    """Slots of all pools."""

    slots: int
    used: int
    available: int
    queued: int


class CapacityAnswer(Told):
    """How many slots are taken."""

    capacity: Capacity


ANSWERS: Table = {
    "pipeline_status": {200: PipelineStatusAnswer},
    "pipeline_metrics": {200: PipelineMetricsAnswer},
    "invoke": {200: Invoked},
    "marie_list_jobs": {200: JobPage},
    "marie_jobs": {200: JobsOrJob},
    "marie_stop_job": {200: JobAnswer},
    "capacity": {200: CapacityAnswer},
}
