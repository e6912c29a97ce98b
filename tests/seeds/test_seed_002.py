"""Seed 002: every Python snippet about jobs, as it stands but for its imports."""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from snippets import Enough, run

from tidegate.manager import Job, JobExecutor, JobManager


class TrainingConfig:
    """What the document's snippets configure: not part of the queue."""

    def __init__(self, **values: Any) -> None:
        self.values = values

    def to_dict(self) -> dict[str, Any]:
        return self.values


BASIC_USAGE = """
    from tidegate.manager import JobManager

    # Initialize
    manager = JobManager('jobs.db')

    # Submit job
    config = TrainingConfig(learning_rate=5e-5, batch_size=4, epochs=10)
    job_id = manager.submit_job(
        job_type='training',
        config={'training_config': config.to_dict()},
        priority=7,
        max_retries=3
    )

    # Check status
    job = manager.get_job(job_id)
    print(f"Status: {job.status}")

    # List jobs
    pending_jobs = manager.list_jobs(status='pending')
    for job in pending_jobs:
        print(f"{job.job_id}: {job.job_type} (priority={job.priority})")
"""

CLAIMING = """
    # Worker process claims jobs atomically
    worker_id = 'worker-01'

    while True:
        # Claim next highest-priority job
        job = manager.claim_job(worker_id)

        if job is None:
            time.sleep(5)  # No jobs available
            continue

        try:
            # Execute job
            execute_training(job.config)
            manager.update_job_status(job.job_id, 'completed')
        except Exception as e:
            manager.update_job_status(
                job.job_id,
                'failed',
                error_message=str(e)
            )

            # Automatic retry
            if job.retry_count < job.max_retries:
                manager.retry_job(job.job_id)
"""

LOGGING = """
    # Log execution progress
    job_id = manager.submit_job('training', config, priority=5)
    job = manager.claim_job('worker-01')

    manager.log_job_message(job_id, 'INFO', 'Starting training')
    manager.log_job_message(job_id, 'INFO', 'Epoch 1/10 - loss: 0.45')
    manager.log_job_message(job_id, 'WARNING', 'GPU memory at 85%')

    # Retrieve logs
    logs = manager.get_job_logs(job_id)
    for _, row in logs.iterrows():
        print(f"[{row['timestamp']}] {row['level']}: {row['message']}")
"""

WORKER = """
    from tidegate.manager import JobExecutor

    # Initialize
    executor = JobExecutor(
        job_manager=manager,
        worker_id='worker-01',
        max_concurrent=1
    )

    # Run worker (process 10 jobs then exit)
    executor.run_worker(max_jobs=10, poll_interval=5.0)
"""

FOREVER = """
    # Or run indefinitely
    executor.run_worker(max_jobs=None, poll_interval=5.0)
"""

TRAINER = """
    # Job executor integration
    def execute_training_job(job: Job) -> None:
        # Load config from job
        training_config = TrainingConfig(**job.config['training_config'])

        # Load model and task spec
        model = load_model(job.config['model_path'])
        task_spec = TaskSpec(**job.config['task_spec'])

        # Initialize trainer
        trainer = Trainer(
            model=model,
            config=model.config,
            training_config=training_config,
            task_spec=task_spec
        )

        # Train
        results = trainer.train(
            train_data=load_dataset(task_spec),
            val_data=load_validation(task_spec)
        )

        return results
"""

STALE = """
    # Find stale jobs (running >1 hour)
    from tidegate.manager import sqlite as sqlite3
    from datetime import datetime, timedelta

    conn = sqlite3.connect('jobs.db')
    cursor = conn.cursor()

    cutoff = (datetime.now() - timedelta(hours=1)).isoformat()
    cursor.execute('''
        SELECT job_id, started_at, worker_id
        FROM jobs
        WHERE status = 'running' AND started_at < ?
    ''', (cutoff,))

    stale_jobs = cursor.fetchall()
    print(f"Found {len(stale_jobs)} stale jobs")

    # Reset to pending
    for job_id, _, _ in stale_jobs:
        manager.update_job_status(job_id, 'pending')
"""

FAILURES = """
    # Analyze failure patterns
    failed_jobs = manager.list_jobs(status='failed', limit=100)

    error_counts = {}
    for job in failed_jobs:
        msg = job.error_message or 'Unknown'
        error_counts[msg] = error_counts.get(msg, 0) + 1

    # Top errors
    for msg, count in sorted(error_counts.items(), key=lambda x: x[1], reverse=True)[:5]:
        print(f"{count:3d}: {msg[:80]}")
"""

LOCKED = """
    # Verify WAL mode enabled
    from tidegate.manager import sqlite as sqlite3

    conn = sqlite3.connect('jobs.db')
    cursor = conn.cursor()
    cursor.execute('PRAGMA journal_mode')
    mode = cursor.fetchone()[0]

    if mode != 'wal':
        # Enable WAL mode
        cursor.execute('PRAGMA journal_mode=WAL')
        conn.commit()
        print("WAL mode enabled")
"""


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manager() -> Iterator[JobManager]:
    with JobManager("jobs.db") as made:
        yield made


def work_off(manager: JobManager, execute: Any) -> list[float]:
    """The document's worker loop, until it sleeps for lack of jobs; answers how long it would have slept."""
    slept: list[float] = []

    class Time:
        @staticmethod
        def sleep(seconds: float) -> None:
            slept.append(seconds)
            raise Enough

    with pytest.raises(Enough):
        run(CLAIMING, manager=manager, execute_training=execute, time=Time)
    return slept


def test_basic_usage(capsys: pytest.CaptureFixture[str]) -> None:
    names = run(BASIC_USAGE, TrainingConfig=TrainingConfig)
    job_id = names["job_id"]
    assert capsys.readouterr().out == f"Status: pending\n{job_id}: training (priority=7)\n"
    job = names["manager"].get_job(job_id)
    assert (job.max_retries, job.retry_count, job.worker_id, job.started_at) == (3, 0, None, None)
    assert job.config["training_config"]["epochs"] == 10
    names["manager"].close()


def test_the_worker_loop_runs_jobs_by_priority_and_completes_them(manager: JobManager) -> None:
    for priority in (3, 9, 5):
        manager.submit_job("training", {"priority": priority}, priority=priority)
    seen: list[int] = []
    assert work_off(manager, lambda config: seen.append(config["priority"])) == [5]
    assert seen == [9, 5, 3]
    assert {job.status for job in manager.list_jobs()} == {"completed"}
    (job, *_) = manager.list_jobs(status="completed", job_type="training", limit=1)
    assert job.worker_id == "worker-01"
    assert job.started_at is not None
    assert job.completed_at is not None
    assert job.created_at <= job.started_at <= job.completed_at


def test_the_worker_loop_retries_a_failed_job_as_often_as_it_may_and_no_more(manager: JobManager) -> None:
    """One attempt and `max_retries` more: the loop's own `retry_job` is each retry, and none is doubled."""
    job_id = manager.submit_job("training", {}, max_retries=3)
    counts: list[int] = []

    def execute(_: Any) -> None:
        job = manager.get_job(job_id)
        assert job is not None
        counts.append(job.retry_count)
        raise RuntimeError("out of memory")

    work_off(manager, execute)
    job = manager.get_job(job_id)
    assert job is not None
    assert counts == [0, 1, 2, 3]
    assert (job.status, job.retry_count, job.error_message) == ("failed", 3, "out of memory")
    assert manager.claim_job("worker-01") is None


def test_a_retry_that_helps_completes_the_job(manager: JobManager) -> None:
    job_id = manager.submit_job("training", {})
    tries: list[int] = []

    def execute(_: Any) -> None:
        tries.append(1)
        if len(tries) < 3:
            raise ConnectionError("network")

    work_off(manager, execute)
    job = manager.get_job(job_id)
    assert job is not None
    assert (job.status, len(tries), job.error_message) == ("completed", 3, None)


def test_a_job_without_retries_fails_at_once(manager: JobManager) -> None:
    job_id = manager.submit_job("training", {}, max_retries=0)
    work_off(manager, lambda _: json.loads("{"))
    job = manager.get_job(job_id)
    assert job is not None
    assert (job.status, job.retry_count) == ("failed", 0)


def test_job_logging(manager: JobManager, capsys: pytest.CaptureFixture[str]) -> None:
    names = run(LOGGING, manager=manager, config={})
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("] ")[2] for line in lines] == [
        "INFO: Starting training",
        "INFO: Epoch 1/10 - loss: 0.45",
        "WARNING: GPU memory at 85%",
    ]
    assert len(names["logs"]) == 3
    assert names["job"].job_id == names["job_id"]


def test_the_executor_processes_ten_jobs_and_returns(manager: JobManager) -> None:
    from tidegate import executor as handler

    seen: list[Any] = []
    handler("training")(lambda job: seen.append(job.data["n"]))
    for number in range(11):
        manager.submit_job("training", {"n": number})
    run(WORKER, manager=manager)
    assert seen == list(range(10))
    assert [job.config["n"] for job in manager.list_jobs(status="pending")] == [10]


def test_the_executor_runs_on_until_it_is_stopped(manager: JobManager) -> None:
    executor = JobExecutor(manager, "worker-01", handlers={"training": lambda _: executor.stop()})
    manager.submit_job("training", {})
    run(FOREVER, executor=executor)
    assert [job.status for job in manager.list_jobs()] == ["completed"]


def test_the_trainer_integration(manager: JobManager) -> None:
    class Anything:
        config = None

        def __init__(self, *_: Any, **values: Any) -> None:
            self.values = values

        def train(self, **_: Any) -> dict[str, float]:
            return {"loss": 0.25}

    names = run(
        TRAINER,
        Job=Job,
        TrainingConfig=TrainingConfig,
        TaskSpec=Anything,
        Trainer=Anything,
        **dict.fromkeys(("load_model", "load_dataset", "load_validation"), Anything),
    )
    config = {"training_config": {"epochs": 1}, "model_path": "m", "task_spec": {"name": "lm"}}
    job_id = manager.submit_job("training", config)
    executor = JobExecutor(manager, "worker-01", handlers={"training": names["execute_training_job"]})
    assert executor.run_worker(max_jobs=1, poll_interval=0.01) == 1
    job = manager.get_job(job_id)
    assert job is not None
    assert (job.status, job.result) == ("completed", {"loss": 0.25})


def test_stale_jobs_are_found_and_reset_while_fresh_ones_are_left(
    manager: JobManager, capsys: pytest.CaptureFixture[str]
) -> None:
    stale, fresh = manager.submit_job("training", {}, priority=9), manager.submit_job("training", {})
    assert manager.claim_job("worker-01") is not None
    make_old(stale, hours=2)
    assert manager.claim_job("worker-02") is not None
    run(STALE, manager=manager)
    assert capsys.readouterr().out == "Found 1 stale jobs\n"
    again, still = manager.get_job(stale), manager.get_job(fresh)
    assert again is not None
    assert still is not None
    assert (again.status, still.status, again.retry_count) == ("pending", "running", 0)
    claimed = manager.claim_job("worker-03")
    assert claimed is not None
    assert claimed.job_id == stale


def make_old(job_id: str, *, hours: int) -> None:
    """Let a running job have started so long ago."""
    import sqlite3

    with sqlite3.connect("jobs.db.tidegate/tidegate.db") as connection:
        connection.execute("UPDATE jobs SET started_at = started_at - ? WHERE id = ?", (hours * 3_600_000, job_id))
    connection.close()


def test_failure_patterns(manager: JobManager, capsys: pytest.CaptureFixture[str]) -> None:
    for message in ("out of memory", "network", "out of memory"):
        manager.submit_job("training", {}, max_retries=0)
        job = manager.claim_job("w")
        assert job is not None
        manager.update_job_status(job.job_id, "failed", error_message=message)
    run(FAILURES, manager=manager)
    assert capsys.readouterr().out == "  2: out of memory\n  1: network\n"


def test_the_file_is_in_wal_mode(manager: JobManager, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(LOCKED)["mode"] == "wal"
    assert capsys.readouterr().out == ""


def test_ten_threads_claim_each_job_once(manager: JobManager) -> None:
    ids = {manager.submit_job("training", {"n": n}, priority=n % 11) for n in range(200)}
    barrier = threading.Barrier(10)

    def claim_all(number: int) -> list[str]:
        barrier.wait()
        found: list[str] = []
        while (job := manager.claim_job(f"worker-{number}")) is not None:
            found.append(job.job_id)
        return found

    with ThreadPoolExecutor(10) as threads:
        claimed = [job_id for part in threads.map(claim_all, range(10)) for job_id in part]
    assert len(claimed) == 200
    assert set(claimed) == ids


def _claim_and_complete(path: str, worker_id: str, seen: Any) -> None:
    manager = JobManager(path)
    idle = 0
    while idle < 3:
        job = manager.claim_job(worker_id)
        if job is None:
            idle += 1
            time.sleep(0.05)
            continue
        seen.put((job.job_id, worker_id))
        manager.update_job_status(job.job_id, "completed")
    manager.close()


def test_several_processes_share_the_jobs_without_a_race(manager: JobManager) -> None:
    ids = {manager.submit_job("training", {}) for _ in range(120)}
    context = multiprocessing.get_context("spawn")
    seen = context.Queue()
    workers = [context.Process(target=_claim_and_complete, args=("jobs.db", f"worker-0{n}", seen)) for n in range(3)]
    for worker in workers:
        worker.start()
    claims = [seen.get(timeout=60) for _ in range(120)]
    for worker in workers:
        worker.join(60)
    assert {job_id for job_id, _ in claims} == ids
    assert len(claims) == len(ids)
    assert {job.status for job in manager.list_jobs()} == {"completed"}
