"""What tests of `tidegate.manager` ask for, and know to be there."""

from __future__ import annotations

from tidegate.manager import Job, JobManager


def claimed(manager: JobManager, worker_id: str = "w-1") -> Job:
    """The next job, held by `worker_id`."""
    job = manager.claim_job(worker_id)
    assert job is not None
    return job


def found(manager: JobManager, job_id: str) -> Job:
    """The job as it is now."""
    job = manager.get_job(job_id)
    assert job is not None
    return job
