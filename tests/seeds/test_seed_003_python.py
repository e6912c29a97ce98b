"""Seed 003: the programmatic snippets, as they stand but for their imports."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from snippets import run

from tidegate import JobContext, executor, pipeline
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Conflict, InvalidInput, TooManyRequests
from tidegate.pipeline import JobPipeline, JobPriority, JobStatus, PipelineSettings, settings_from
from tidegate.service.pipeline import Metrics

SUBMIT = """
    from tidegate.pipeline import JobPriority, get_job_pipeline

    pipeline = get_job_pipeline()

    await pipeline.submit_job(
        job_id="unique-job-id",
        user_id="user-123",
        agent_name="text_processing",
        job_data={
            "text": "Sample text",
            "operation": "analyze_sentiment"
        },
        priority=JobPriority.HIGH,
        max_retries=3
    )
"""

SCHEDULE = """
    from datetime import datetime, timedelta

    # Schedule job for 1 hour from now
    future_time = datetime.utcnow() + timedelta(hours=1)

    await pipeline.submit_job(
        job_id="scheduled-job",
        user_id="user-123",
        agent_name="text_processing",
        job_data={"text": "Scheduled processing"},
        scheduled_at=future_time
    )
"""

STATUS = """
    from tidegate.pipeline import get_job_pipeline

    # Get real-time metrics
    pipeline = get_job_pipeline()
    metrics = pipeline.get_pipeline_status()

    print(f"Success Rate: {metrics['metrics']['success_rate']:.1f}%")
    print(f"Jobs per minute: {metrics['metrics']['jobs_per_minute']:.1f}")
"""

LOAD = """
    # Example load test
    import asyncio
    from tidegate.pipeline import get_job_pipeline

    async def load_test():
        pipeline = get_job_pipeline()
        
        # Submit 100 jobs
        for i in range(100):
            await pipeline.submit_job(
                job_id=f"load-test-{i}",
                user_id="load-test-user",
                agent_name="text_processing",
                job_data={"text": f"Test job {i}"}
            )
        
        # Monitor completion
        while True:
            status = pipeline.get_pipeline_status()
            if status['queue_size'] == 0 and status['active_jobs'] == 0:
                break
            await asyncio.sleep(1)
        
        print("Load test completed")
"""  # noqa: W293

CONFIGURE = """
    from tidegate.pipeline import JobPipeline

    pipeline = JobPipeline(
        max_concurrent_jobs=5,    # Number of worker threads
        max_queue_size=1000,      # Maximum jobs in queue
        cleanup_interval=300,     # Cleanup cycle in seconds
        retry_delay_base=2.0      # Exponential backoff base
    )
"""


@pytest.fixture(autouse=True)
def _own_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    for name in ("TIDEGATE_DATA", "JOB_PIPELINE_MAX_WORKERS", "JOB_PIPELINE_MAX_QUEUE_SIZE"):
        monkeypatch.delenv(name, raising=False)
    yield
    asyncio.run(pipeline.stop_job_pipeline())


def run_async(*snippets: str, **names: Any) -> dict[str, Any]:
    """Run snippets with `await` in them, one after the other, in one coroutine; answers the names there are."""
    body = "\n".join(snippets)
    space = run(f"async def main():\n{indent(_dedented(body), '    ')}\n    return locals()\n", names)
    found: dict[str, Any] = asyncio.run(space["main"]())
    return found


def _dedented(text: str) -> str:
    from textwrap import dedent

    return dedent(text)


def until(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.02)


def test_a_submitted_job_is_run_by_the_agent_of_its_name() -> None:
    seen: list[Any] = []
    executor("text_processing")(lambda job: seen.append((job.id, job.priority, job.data["operation"])))
    status = run_async(SUBMIT)["pipeline"].get_pipeline_status
    until(lambda: status()["metrics"]["completed_jobs"] == 1)
    assert seen == [("unique-job-id", 8, "analyze_sentiment")]
    assert status()["is_running"] is True


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")
def test_a_scheduled_job_waits_for_its_hour() -> None:
    ran: list[str] = []
    executor("text_processing")(lambda job: ran.append(job.id))
    found = run_async(SUBMIT, SCHEDULE)
    status = found["pipeline"].get_pipeline_status
    until(lambda: status()["metrics"]["completed_jobs"] == 1)
    assert (status()["scheduled_jobs"], status()["queue_size"], ran) == (1, 0, ["unique-job-id"])


def test_the_metrics_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    run(STATUS)
    assert capsys.readouterr().out == "Success Rate: 0.0%\nJobs per minute: 0.0\n"


def test_the_load_test_of_100_jobs_completes(capsys: pytest.CaptureFixture[str]) -> None:
    ran: list[str] = []
    executor("text_processing")(lambda job: ran.append(job.data["text"]))
    load_test = run(LOAD)["load_test"]
    asyncio.run(load_test())
    assert capsys.readouterr().out == "Load test completed\n"
    assert sorted(ran) == sorted(f"Test job {i}" for i in range(100))
    found = pipeline.get_job_pipeline().get_pipeline_status()
    assert found["metrics"]["completed_jobs"] == found["metrics"]["total_processed"] == 100
    assert (found["metrics"]["success_rate"], found["metrics"]["failed_jobs"]) == (100.0, 0)


def test_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    made: JobPipeline = run(CONFIGURE)["pipeline"]
    assert made.settings == PipelineSettings() == settings_from({})
    environ = {
        "JOB_PIPELINE_MAX_WORKERS": "7",
        "JOB_PIPELINE_MAX_QUEUE_SIZE": "20",
        "JOB_PIPELINE_CLEANUP_INTERVAL": "60",
        "JOB_PIPELINE_RETRY_DELAY": "0.5",
    }
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert pipeline.get_job_pipeline().settings == PipelineSettings(
        max_concurrent_jobs=7, max_queue_size=20, cleanup_interval=60, retry_delay_base=0.5
    )


@pytest.mark.parametrize("value", ["many", "0", "-1"])
def test_a_wrong_variable_is_told(value: str) -> None:
    with pytest.raises(InvalidInput):
        settings_from({"JOB_PIPELINE_MAX_WORKERS": value})


def test_the_status_has_the_documents_shape_and_figures() -> None:
    """150 of 155 in an hour."""
    metrics = Metrics(active_jobs=3, completed_jobs=150, failed_jobs=5, retried_jobs=8, uptime_seconds=3600)
    assert metrics.told() == {
        "active_jobs": 3,
        "completed_jobs": 150,
        "failed_jobs": 5,
        "retried_jobs": 8,
        "total_processed": 155,
        "success_rate": 96.8,
        "uptime_seconds": 3600,
        "jobs_per_minute": 2.6,
    }
    assert list(JobPipeline().get_pipeline_status()) == [
        "is_running",
        "queue_size",
        "scheduled_jobs",
        "active_jobs",
        "max_concurrent_jobs",
        "worker_count",
        "metrics",
    ]


def test_priorities_and_statuses_are_those_of_the_document() -> None:
    assert {each.name: each.value for each in JobPriority} == {"LOW": 0, "NORMAL": 5, "HIGH": 8, "CRITICAL": 10}
    assert [each.value for each in JobStatus] == ["pending", "running", "completed", "failed"]


async def _submit(made: JobPipeline, job_id: str, agent: str = "work", **fields: Any) -> str:
    return await made.submit_job(job_id=job_id, user_id="user-123", agent_name=agent, **fields)


def test_failures_are_retried_with_backoff_and_counted(tmp_path: Path) -> None:
    tries: list[float] = []

    def fail(job: JobContext) -> None:
        tries.append(time.monotonic())
        raise ConnectionError

    executor("work")(fail)

    async def main() -> dict[str, Any]:
        made = JobPipeline(max_concurrent_jobs=2, retry_delay_base=0.2, data=tmp_path / "jobs")
        await _submit(made, "a", max_retries=2)
        await asyncio.to_thread(until, lambda: made.get_pipeline_status()["metrics"]["failed_jobs"] == 1)
        status = made.get_pipeline_status()
        await made.stop()
        return status

    found = asyncio.run(main())["metrics"]
    assert (len(tries), found["retried_jobs"], found["failed_jobs"], found["success_rate"]) == (3, 1, 1, 0.0)
    assert tries[1] - tries[0] >= 0.2
    assert tries[2] - tries[1] >= 0.4


def test_as_many_jobs_run_at_once_as_there_are_workers(tmp_path: Path) -> None:
    barrier = threading.Barrier(3)
    executor("work")(lambda _: barrier.wait(30))

    async def main() -> dict[str, Any]:
        made = JobPipeline(max_concurrent_jobs=3, data=tmp_path / "jobs")
        for job_id in "abc":
            await _submit(made, job_id)
        await asyncio.to_thread(until, lambda: made.get_pipeline_status()["metrics"]["completed_jobs"] == 3)
        status = made.get_pipeline_status()
        await made.stop()
        return status

    assert asyncio.run(main())["worker_count"] == 3


def test_a_full_queue_refuses_and_the_same_job_is_one_job(tmp_path: Path) -> None:
    release = threading.Event()
    executor("work")(lambda _: release.wait(30))

    async def main() -> None:
        made = JobPipeline(max_concurrent_jobs=1, max_queue_size=2, data=tmp_path / "jobs")
        await _submit(made, "running")
        await asyncio.to_thread(until, lambda: made.get_pipeline_status()["active_jobs"] == 1)
        for job_id in ("a", "b", "b"):
            await _submit(made, job_id)
        with pytest.raises(TooManyRequests, match="2 jobs wait"):
            await _submit(made, "c")
        with pytest.raises(Conflict):
            await _submit(made, "b", job_data={"other": True})
        assert made.get_pipeline_status()["queue_size"] == 2
        release.set()
        await made.stop()

    asyncio.run(main())


def test_jobs_outlive_the_pipeline(tmp_path: Path) -> None:
    ran: list[str] = []
    executor("work")(lambda job: ran.append(job.id))

    async def main() -> None:
        first = JobPipeline(max_concurrent_jobs=1, data=tmp_path / "jobs")
        await first.start()
        await first.stop()
        assert first.get_pipeline_status()["is_running"] is False
        await _submit(first, "a")
        await asyncio.to_thread(until, lambda: ran == ["a"])
        await first.stop()
        second = JobPipeline(max_concurrent_jobs=1, data=tmp_path / "jobs")
        await second.start()
        assert second.get_pipeline_status()["metrics"]["completed_jobs"] == 1, "figures are those of the folder"
        await second.stop()

    asyncio.run(main())


def test_old_jobs_are_cleaned_away(tmp_path: Path) -> None:
    from tidegate import runtime
    from tidegate.service.policies import put_queue

    executor("work")(lambda _: None)
    app = runtime.embedded(tmp_path / "jobs")
    put_queue(app.ports, Caller("main", "admin", frozenset({"admin"})), "default", {"keep_seconds": 0})

    async def main() -> None:
        made = JobPipeline(max_concurrent_jobs=1, cleanup_interval=0.1, data=tmp_path / "jobs")
        await _submit(made, "a")
        await asyncio.to_thread(until, lambda: made.get_pipeline_status()["metrics"]["completed_jobs"] == 1)
        from tidegate.ports import JobKey

        await asyncio.to_thread(until, lambda: app.ports.jobs.get([JobKey("main", "a")]) == [None])
        await made.stop()

    asyncio.run(main())
    app.ports.close()
