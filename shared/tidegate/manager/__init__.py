"""A job queue in the style of a single file: `JobManager`, `JobExecutor`, `TrainingScheduler`.

    from tidegate.manager import JobManager

    manager = JobManager("jobs.db")
    job_id = manager.submit_job("training", {"epochs": 10}, priority=7, max_retries=3)

The same names work on a server: `JobManager("https://…")`.
"""

from .executor import JobExecutor
from .job import Job, JobLogs
from .jobs import JobManager
from .schedules import TrainingScheduler

__all__ = ["Job", "JobExecutor", "JobLogs", "JobManager", "TrainingScheduler"]
