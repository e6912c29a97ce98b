"""What the routes of figures answer."""

from __future__ import annotations

from pydantic import Field, RootModel

from tidegate.domain.job import ErrorType, State
from tidegate.domain.priority import Band

from .base import Answer, Table, Time, Told
from .jobs import Job


class Stats(Answer):
    """How many jobs stand where."""

    pending: int
    running: int
    completed: int
    failed: int
    cancelled: int
    skipped: int
    expired: int
    total: int
    states: dict[State, int]


class StatsAnswer(Told):
    """Counts of jobs."""

    stats: Stats


class Retried(Answer):
    """Stored jobs of one name that have used retries."""

    name: str
    avg_retries: float
    max_retries: int
    total_jobs: int


class RetryAnalysis(Told):
    """Retries by name."""

    retries: list[Retried]


class Hour(Answer):
    """One hour."""

    hour: Time
    completed_jobs: int
    failed_jobs: int
    avg_run_seconds: float | None = Field(description="How long completed jobs' last attempts took; null if none did.")
    p50_run_seconds: float | None = Field(description="Half of them took at most so long.")
    p99_run_seconds: float | None = Field(description="99 of 100 took at most so long.")


class Throughput(Told):
    """Jobs completed by hour."""

    throughput: list[Hour]


class TimelinePoint(Answer):
    """One step of a timeline."""

    at: Time
    completed: int
    failed: int


class TimelineFigures(Answer):
    """What became of jobs over time, and of all of them together."""

    step_seconds: int
    points: list[TimelinePoint]
    completed: int
    failed: int
    success_rate: float | None = Field(description="Percent; null where no job completed or failed.")
    p50_run_seconds: float | None = Field(description="Half of the completed jobs ran at most so long.")
    p99_run_seconds: float | None = Field(description="99 of 100 completed jobs ran at most so long.")


class TimelineAnswer(Told):
    """Completed and failed jobs over time."""

    timeline: TimelineFigures


class DepthFigures(Answer):
    """Jobs that wait for a worker, or for their next attempt."""

    total: int
    bands: dict[Band, int]
    priorities: dict[str, int] = Field(description="By priority, those that have any.")
    oldest_seconds: float | None = Field(
        description="How long the one that is ready longest has been; null if none is."
    )
    oldest_job: Job | None = Field(description="That job; null where the caller may not see it.")


class DepthAnswer(Told):
    """How many jobs wait."""

    depth: DepthFigures


class SlaFigures(Answer):
    """Jobs that met or missed their deadlines so far, and those at risk now. A job may miss both."""

    met: int = Field(description="Completed within their first deadline. What ended otherwise in time is left out.")
    missed_soft: int
    missed_hard: int
    at_risk: int


class QueueSla(SlaFigures):
    """Those of one queue."""

    queue: str


class SlaOfAll(SlaFigures):
    """Those of all queues together, and of each that had jobs with deadlines."""

    queues: list[QueueSla]


class SlaAnswer(Told):
    """Deadlines met, missed and at risk."""

    sla: SlaOfAll


class CommonError(Answer):
    """Error messages that differ in numbers and ids only."""

    message: str
    count: int
    error_type: ErrorType | None
    names: list[str]
    last_at: Time
    job_id: str = Field(description="The newest job that ended with it.")


class CommonErrors(Told):
    """The most common error messages."""

    errors: list[CommonError]
    jobs_looked_at: int


class QueueFigures(Answer):
    """One queue."""

    queue: str
    depth: int = Field(description="Jobs that wait.")
    running: int
    ended: int = Field(description="Ended jobs that are still stored.")
    states: dict[State, int]


class QueueFiguresAnswer(Told):
    """Jobs by queue."""

    queues: list[QueueFigures]


class MetricsText(RootModel[str]):
    """Text in Prometheus' format, version 0.0.4."""


ANSWERS: Table = {
    "metrics": {200: MetricsText},
    "get_stats": {200: StatsAnswer},
    "retry_analysis": {200: RetryAnalysis},
    "throughput": {200: Throughput},
    "timeline": {200: TimelineAnswer},
    "depth": {200: DepthAnswer},
    "sla_figures": {200: SlaAnswer},
    "common_errors": {200: CommonErrors},
    "queue_figures": {200: QueueFiguresAnswer},
}
