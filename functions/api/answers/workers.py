"""What the routes of workers answer."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tidegate.domain.job import State

from .base import Answer, Table, Time, Told
from .jobs import Job, JobAnswer, Progress


class ClaimedJob(Job):
    """A job that was started for the worker that claimed it."""

    timeout: float = Field(description="Seconds that the attempt may take.")
    lease_until: Time = Field(description="Another worker may start it then, unless a heartbeat comes before.")
    cancel_requested: bool = Field(description="Whether it was started only to be cleaned up and `stopped`.")
    traceparent: str | None = Field(description="Where the request that made it stands in a trace, if it was traced.")
    omitted: list[Literal["data", "result"]] = Field(
        default=[], description="`data` when it is large: GET /jobs/{job_id}/data has it."
    )


class Claimed(Told):
    """The jobs that were started."""

    jobs: list[ClaimedJob]
    lease_seconds: float = Field(description="By how much a heartbeat moves the end of a lease on.")
    longest_wait_seconds: float = Field(description="How long this server lets a claim wait.")


class LeaseExtended(Told):
    """The lease after a heartbeat."""

    job_id: str
    lease_until: Time
    cancel_requested: bool = Field(description="Whether someone asked the job to stop.")


class JobData(Told):
    """The data of a held job."""

    job_id: str
    data: Any


class Upstream(Answer):
    """A node that a held job depends on."""

    node: str
    job_id: str
    state: State
    result: Any


class JobUpstream(Told):
    """The nodes that a held job depends on, as many as one answer carries."""

    job_id: str
    nodes: list[Upstream]
    next_after: int | None = Field(description="Where to go on; null: these are all.")


class JobEntries(Told):
    """What a held job gathers, as many as one answer carries."""

    job_id: str
    results: list[Any] = Field(description="In order; null for an entry that was skipped.")
    next_after: int | None = Field(description="Where to go on; null: these are all.")


class LogKept(Answer):
    """How much of a job's log is kept, all attempts together."""

    lines: int
    bytes: int
    overflows: int = Field(description="Chunks beside the table: once there is one, write every ten seconds at most.")


class LogAppended(Told):
    """The lines are kept, unless they were before."""

    job_id: str
    number: int = Field(description="Of the attempt's last request that was kept.")
    kept: LogKept


class Running(Answer):
    """A job that a worker runs."""

    job_id: str
    name: str
    queue: str
    attempt: int
    started_at: Time
    progress: Progress | None


class Worker(Answer):
    """A worker that was seen in the last minute."""

    id: str
    kind: Literal["embedded", "lambda", "pull", "http"] = Field(
        description="`pull` has access to the tables; `http` works with a token alone."
    )
    pool: str
    queues: list[str] = Field(description="None: all of its pool.")
    names: list[str] = Field(description="The jobs that it has handlers for. None: it did not tell.")
    host: str
    version: str
    concurrency: int = Field(description="How many jobs it runs at once, at most.")
    busy: int = Field(description="How many it ran when it was last seen, of all tenants and users.")
    started_at: Time
    seen_at: Time
    running: list[Running] = Field(description="What it still runs of that, as far as the caller may see it.")


class WorkerList(Told):
    """Who works."""

    workers: list[Worker]


class WorkerTold(Told):
    """The worker is known."""

    worker_id: str


ANSWERS: Table = {
    "claim_jobs": {200: Claimed},
    "heartbeat": {200: LeaseExtended},
    "get_job_data": {200: JobData},
    "get_job_upstream": {200: JobUpstream},
    "get_job_entries": {200: JobEntries},
    "append_job_logs": {200: LogAppended},
    "complete_job": {200: JobAnswer},
    "fail_job": {200: JobAnswer},
    "snooze_job": {200: JobAnswer},
    "skip_job": {200: JobAnswer},
    "job_stopped": {200: JobAnswer},
    "list_workers": {200: WorkerList},
    "put_worker": {200: WorkerTold},
}
