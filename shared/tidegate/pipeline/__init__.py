"""An asynchronous pipeline of jobs in this process: `get_job_pipeline`, `JobPipeline`.

    from tidegate.pipeline import JobPriority, get_job_pipeline

    pipeline = get_job_pipeline()
    await pipeline.submit_job(job_id="report-1", user_id="ann", agent_name="report", priority=JobPriority.HIGH)

Jobs are those of the embedded home, so they survive this process; its worker threads run the functions that were
registered with `@tidegate.executor` under the names of the agents.
"""

from .pipeline import JobPipeline, get_job_pipeline, start_job_pipeline, stop_job_pipeline
from .settings import JobPriority, JobStatus, PipelineSettings, settings_from

__all__ = [
    "JobPipeline",
    "JobPriority",
    "JobStatus",
    "PipelineSettings",
    "get_job_pipeline",
    "settings_from",
    "start_job_pipeline",
    "stop_job_pipeline",
]
