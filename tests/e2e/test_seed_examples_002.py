"""The command lines of document 002 (job queue and scheduler) as they are typed, embedded and deployed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloud import eventually
from seed_places import HANDLERS, UNMANNED, Newcomer, Place, Shell, User

from tidegate.manager import JobExecutor, JobManager, TrainingScheduler

CONFIG = {"training_config": {"learning_rate": 5e-5, "batch_size": 4, "epochs": 10}}
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture(autouse=True)
def _configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.json").write_text(json.dumps(CONFIG))


def submitted(tidegate: Shell, options: str) -> str:
    """The id of the job that `tidegate submit` made."""
    told = tidegate(f"submit {options}")
    assert told.startswith("✅ Submitted job ")
    return told.split()[-1]


def test_a_training_job_is_submitted_shown_and_its_log_read(user: User, tidegate: Shell) -> None:
    job_id = submitted(tidegate, "--type training --config config.json --priority 7 --max-retries 3")
    user.client.wait(job_id, timeout=120)
    shown = tidegate(f"show {job_id}")
    times = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    expected = rf"""Job ID: {job_id}
Type: training
Status: completed
Priority: 7
Created: {times}
Started: {times}
Completed: {times}
Worker: \S+
Retries: 0/3
"""
    assert re.match(expected, shown), shown
    assert json.loads(shown.partition("Configuration:\n")[2].partition("\n\n")[0]) == CONFIG
    heading, rule, *lines = tidegate(f"logs {job_id}").splitlines()
    assert (heading, set(rule)) == (f"Logs for job {job_id}:", {"-"})
    assert all(re.match(rf"\[{times}\] ", line) for line in lines)
    said = [line.partition("] ")[2] for line in lines]
    assert said == ["INFO: Starting training", "INFO: Epoch 1/10 - loss: 0.45", "WARNING: GPU memory at 85%"]


def test_jobs_are_listed_by_status_and_type(user: User, tidegate: Shell) -> None:
    job_id = submitted(tidegate, """--type evaluation --config '{"dataset": "test"}' --priority 5""")
    assert user.client.wait(job_id, timeout=120).result == {"dataset": "test"}
    assert tidegate("list --status pending") == "No jobs\n"
    heading, row = tidegate("list --type evaluation --limit 20").splitlines()
    assert heading.split() == ["ID", "Type", "Status", "Priority", "Queue", "Created"]
    assert row.split()[:5] == [job_id, "evaluation", "completed", "5", "default"]
    assert job_id in tidegate("list")


def test_a_waiting_job_is_cancelled_and_a_failed_one_retried(newcomer: Newcomer) -> None:
    user, tidegate = newcomer("guide-stats")
    user.client.put_queue("night")
    user.client.pause_queue("night")
    waiting = submitted(tidegate, "--type training --config config.json --queue night")
    assert tidegate(f"cancel {waiting}") == f"✅ Cancelled job {waiting}\n"
    failing = submitted(tidegate, """--type training --config '{"fails": true}' --max-retries 0""")
    assert user.client.wait(failing, timeout=120).error_message == "RuntimeError: out of memory"
    assert "out of memory" in tidegate("errors")
    assert tidegate(f"retry {failing}") == f"✅ Job {failing} reset to pending (will retry)\n"
    assert user.client.wait(failing, timeout=120).state == "FAILED"
    assert tidegate(f"logs {failing} --level ERROR").splitlines()[-1].endswith("] ERROR: out of memory")
    eventually(lambda: user.client.stats().failed == 1)
    assert tidegate("stats").splitlines() == [
        "Queue Statistics:",
        "-" * 40,
        "Pending:         0",
        "Running:         0",
        "Completed:       0",
        "Failed:          1",
        "Cancelled:       1",
        "-" * 40,
        "Total:           2",
    ]


def test_schedules_are_made_listed_and_switched(tidegate: Shell) -> None:
    create = (
        """schedule create --name daily-train --type training --expr "0 2 * * *" --config config.json --priority 5"""
    )
    first, second, third = tidegate(create).splitlines()
    schedule_id = re.fullmatch(r"✅ Created schedule 'daily-train' with ID=(\S+)", first)
    assert schedule_id is not None
    assert second == "   Expression: 0 2 * * *"
    assert re.fullmatch(r"   Next run: \d{4}-\d\d-\d\dT02:00:00", third)
    tidegate("""schedule create --name hourly-eval --type evaluation --expr "0 * * * *" """)
    heading, *rows = tidegate("schedule list").splitlines()
    assert re.split(r"\s{2,}", heading.strip()) == ["ID", "Name", "Type", "Expression", "Enabled", "Next Run"]
    shown = [re.split(r"\s{2,}", row.strip()) for row in rows]
    assert shown[0] == [schedule_id[1], "daily-train", "training", "0 2 * * *", "✓", third.split()[-1]]
    assert shown[1][1:5] == ["hourly-eval", "evaluation", "0 * * * *", "✓"]
    assert tidegate(f"schedule disable {schedule_id[1]}") == f"✅ Disabled schedule {schedule_id[1]}\n"
    assert "daily-train" not in tidegate("schedule list --enabled-only")
    assert tidegate(f"schedule enable {schedule_id[1]}") == f"✅ Enabled schedule {schedule_id[1]}\n"


def test_a_schedule_makes_its_jobs_and_one_by_hand(place: Place, newcomer: Newcomer) -> None:
    """Nobody has to check what is due: the clock of either home does."""
    user, tidegate = newcomer("guide-schedules")
    tidegate("""schedule create --name often --type evaluation --every 2s --config '{"dataset": "test"}'""")
    place.minute()
    by_hand = tidegate("schedule trigger often").split()[-1]
    assert "completed" in tidegate(f"watch {by_hand}")

    def made() -> set[str]:
        return {job.id for job in user.client.list(tag="schedule:often", state="completed")} - {by_hand}

    eventually(made)
    tidegate("schedule delete often")


@pytest.fixture
def start(place: Place, tmp_path: Path) -> Iterator[Start]:
    """Start `tidegate worker` with a token and nothing else, for the pool that is left to such workers."""
    started: list[subprocess.Popen[bytes]] = []
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("TIDEGATE_", "AWS_"))}

    def start(user: User, *options: str) -> subprocess.Popen[bytes]:
        environ = bare | {"TIDEGATE_URL": place.url, "TIDEGATE_TOKEN": user.token}
        command = [sys.executable, "-m", "tidegate", "worker", "--pool", UNMANNED, "--handlers", str(HANDLERS)]
        with (tmp_path / f"worker-{len(started)}.log").open("wb") as log:
            started.append(subprocess.Popen([*command, *options], env=environ, cwd=tmp_path, stdout=log, stderr=log))
        return started[-1]

    yield start
    for worker in started:
        if worker.poll() is None:
            worker.terminate()
        worker.wait(30)


def test_three_workers_share_the_jobs_and_exit_after_theirs(newcomer: Newcomer, start: Start) -> None:
    """`worker --max-jobs`, `--worker-id`, `--poll-interval`, three at once: each job runs once."""
    user, tidegate = newcomer("guide-workers")
    tidegate(f"queue set training pool={UNMANNED}")
    jobs = [submitted(tidegate, "--type training --config config.json --queue training") for _ in range(2)]
    jobs += user.client.submit_many({"name": "training", "data": {}, "queue": "training"} for _ in range(4)).accepted
    options = ("--max-jobs", "2", "--poll-interval", "0.2", "--worker-id")
    workers = [start(user, *options, f"worker-0{number}") for number in (1, 2, 3)]
    assert [worker.wait(40) for worker in workers] == [0, 0, 0]
    done = [user.client.get(job_id) for job_id in jobs]
    assert {(job.state, job.attempt) for job in done} == {("COMPLETED", 1)}
    assert sorted(job.worker_id or "" for job in done) == ["worker-01"] * 2 + ["worker-02"] * 2 + ["worker-03"] * 2


def test_the_documents_python_makes_and_switches_schedules(place: Place, newcomer: Newcomer) -> None:
    user, tidegate = newcomer("guide-cron")
    scheduler = TrainingScheduler(place.url, token=user.token)
    schedule_id = scheduler.create_schedule(
        name="daily-retrain", job_type="training", config=CONFIG, schedule_expr="0 2 * * *", priority=7
    )
    scheduler.create_schedule(name="periodic-check", job_type="evaluation", config={}, schedule_expr="0 */6 * * *")
    scheduler.disable_schedule(schedule_id)
    assert [each.name for each in scheduler.list_schedules(enabled_only=True)] == ["periodic-check"]
    scheduler.enable_schedule(schedule_id)
    daily, periodic = scheduler.list_schedules()
    assert (daily.schedule_id, daily.job_type, daily.config, daily.priority) == (schedule_id, "training", CONFIG, 7)
    assert (daily.schedule_expr, daily.enabled, periodic.priority) == ("0 2 * * *", True, 5)
    assert daily.next_run is not None
    assert (daily.next_run.hour, daily.next_run.minute) == (2, 0)
    assert scheduler.check_due_schedules() == []
    assert schedule_id in tidegate("schedule list")
    scheduler.close()


def test_the_documents_python_runs_its_jobs_from_a_queue_of_its_own(place: Place, newcomer: Newcomer) -> None:
    """Submit, list, claim, log, fail and retry, then an executor: all over HTTPS, beside the home's own workers."""
    user, tidegate = newcomer("guide-python")
    tidegate(f"queue set training pool={UNMANNED}")
    with JobManager(place.url, token=user.token, queue="training") as manager:
        job_id = manager.submit_job(job_type="training", config=CONFIG, priority=7, max_retries=3)
        later = manager.submit_job("evaluation", {"dataset": "test"}, priority=5)
        job = manager.get_job(job_id)
        assert job is not None
        assert (job.status, job.priority, job.max_retries) == ("pending", 7, 3)
        assert [each.job_id for each in manager.list_jobs(status="pending")] == [later, job_id]
        claimed = manager.claim_job("worker-01")
        assert claimed is not None
        assert (claimed.job_id, claimed.config) == (job_id, CONFIG)
        manager.log_job_message(job_id, "WARNING", "GPU memory at 85%")
        assert [row["message"] for _, row in manager.get_job_logs(job_id).iterrows()] == ["GPU memory at 85%"]
        manager.update_job_status(job_id, "failed", error_message="out of memory")
        manager.retry_job(job_id)
        seen: list[str] = []
        executor = JobExecutor(manager, "worker-01", handlers={"training": lambda job: seen.append(job.job_id)})
        assert executor.run_worker(max_jobs=1, poll_interval=0.1) == 1
        assert seen == [job_id]
        assert [job.status for job in manager.list_jobs()] == ["pending", "completed"], "one has no function here"
