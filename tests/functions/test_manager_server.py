"""`JobManager` and `JobExecutor` on a server: over HTTP, through the API's function."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from bridge import made_of
from gateway import Api

from home import Home
from support.managers import claimed, found
from tidegate import JobContext, executor
from tidegate.client.work import WorkClient
from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, TidegateError, WrongState
from tidegate.manager import JobExecutor, JobManager


@pytest.fixture
def manager(api: Api, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobManager]:
    """One whose server is the API's function."""
    caller = api.by(scopes="submit read work")
    monkeypatch.setattr("tidegate.client.work.WorkClient", lambda *_: made_of(caller, WorkClient))
    with JobManager("http://tidegate.test", token="tg") as made:
        yield made


def test_jobs_are_submitted_looked_at_and_cancelled(manager: JobManager, home: Home) -> None:
    job_id = manager.submit_job("training", {"a": 1}, priority=7, max_retries=3)
    job = found(manager, job_id)
    assert (job.job_type, job.config, job.priority, job.max_retries) == ("training", {"a": 1}, 7, 3)
    assert (job.status, job.retry_count, job.worker_id) == ("pending", 0, None)
    assert job.created_at.isoformat() == "2033-05-18T08:00:00+00:00"
    assert home.job(job_id).timeout == 7 * 86_400, "training takes its time"
    assert [each.job_id for each in manager.list_jobs(status="pending", limit=5)] == [job_id]
    assert manager.get_job("nothing") is None
    manager.cancel_job(job_id)
    assert found(manager, job_id).status == "cancelled"


def test_the_highest_priority_is_claimed_first_and_once(manager: JobManager) -> None:
    low, high = manager.submit_job("training", priority=2), manager.submit_job("training", priority=9)
    assert [claimed(manager).job_id for _ in range(2)] == [high, low]
    assert manager.claim_job("w-2") is None


def test_large_data_comes_with_the_claim(manager: JobManager) -> None:
    config = {"text": "x" * 500_000}
    manager.submit_job("training", config)
    assert claimed(manager).config == config


@pytest.mark.parametrize(
    ("act", "status", "told"),
    [
        (lambda manager, job_id: manager.update_job_status(job_id, "completed", result=1), "completed", None),
        (lambda manager, job_id: manager.update_job_status(job_id, "failed", "no"), "failed", "no"),
        (lambda manager, job_id: manager.update_job_status(job_id, "failed", "no", retry=True), "pending", "no"),
        (lambda manager, job_id: manager.update_job_status(job_id, "pending"), "pending", None),
        (lambda manager, job_id: manager.update_job_status(job_id, "cancelled"), "cancelled", None),
    ],
)
def test_a_claimed_job_is_settled(
    manager: JobManager, act: Callable[[JobManager, str], None], status: str, told: str | None
) -> None:
    job_id = manager.submit_job("training")
    claimed(manager)
    act(manager, job_id)
    assert (found(manager, job_id).status, found(manager, job_id).error_message) == (status, told)


def test_who_lost_a_job_changes_nothing(manager: JobManager, home: Home) -> None:
    job_id = manager.submit_job("training")
    claimed(manager)
    home.clock.advance(11)
    home.settle(home.runner(training=lambda _: "another's"), seconds=2)
    with pytest.raises(LeaseLost):
        manager.update_job_status(job_id, "completed", result="from the dead")
    assert found(manager, job_id).result == "another's"


def test_a_retry_uses_those_that_are_left(manager: JobManager) -> None:
    job_id = manager.submit_job("training", max_retries=1)
    for retry_count in (0, 1, 0):
        job = claimed(manager)
        assert job.retry_count == retry_count
        manager.update_job_status(job_id, "failed", "no")
        manager.retry_job(job_id)


def test_an_executor_runs_a_servers_jobs(manager: JobManager, home: Home) -> None:
    seen: list[Any] = []

    @executor("training")
    def train(job: JobContext) -> str:
        seen.append((job.data, job.attempt, job.retry_count))
        job.log.info("half way")
        job.progress(0.5)
        home.clock.advance(1)
        return "done"

    job_id = manager.submit_job("training", {"a": 1})
    assert JobExecutor(manager, "w-1").run_worker(max_jobs=1) == 1
    assert (seen, found(manager, job_id).result) == ([({"a": 1}, 1, 0)], "done")
    assert [(row["level"], row["message"]) for row in manager.get_job_logs(job_id)] == [("INFO", "half way")]


def test_an_executor_is_among_the_workers_while_it_works(manager: JobManager, api: Api) -> None:
    seen: list[Any] = []
    executor = JobExecutor(
        manager, "gpu-7", handlers={"training": lambda _: seen.append(api.get("/workers").body["workers"])}
    )
    manager.submit_job("training")
    executor.run_worker(max_jobs=1, poll_interval=0.01)
    ((worker,),) = seen
    assert (worker["id"], worker["kind"], worker["pool"], worker["concurrency"]) == ("gpu-7", "http", "default", 1)
    assert "training" in worker["names"]
    assert api.get("/workers").body["workers"] == []


def test_only_who_holds_a_job_adds_to_its_log(manager: JobManager) -> None:
    job_id = manager.submit_job("training")
    with pytest.raises((LeaseLost, InvalidInput)):
        manager.log_job_message(job_id, "INFO", "too early")
    claimed(manager)
    manager.log_job_message(job_id, "WARNING", "GPU memory at 85%")
    (row,) = manager.get_job_logs(job_id)
    assert row == {
        "log_id": 1, "job_id": job_id, "timestamp": "2033-05-18 08:00:00", "level": "WARNING",
        "message": "GPU memory at 85%",
    }  # fmt: skip


def test_a_run_with_a_fan_out_is_run_to_its_end(manager: JobManager, api: Api, home: Home) -> None:
    executor("split")(lambda _: [1, 2, 3])
    executor("double")(lambda job: 2 * job.data["item"])
    executor("add")(lambda job: sum(job.upstream["double"].result))
    nodes = [
        {"id": "split", "name": "split"},
        {"id": "double", "name": "double", "for_each": "$.split.result", "depends_on": ["split"]},
        {"id": "add", "name": "add", "depends_on": ["double"]},
    ]
    answer = api.post("/dags", {"name": "sum", "nodes": nodes})
    assert answer.status == 201, answer.text
    worker = JobExecutor(manager, "w-1")
    for jobs in (1, 3):
        worker.run_worker(max_jobs=jobs)
        home.pump()
    assert manager.claim_job("w-1") is None, "results were gathered, and nothing else was to do"
    home.pump()
    worker.run_worker(max_jobs=1)
    added = [job for job in manager.list_jobs() if job.job_type == "add"]
    assert [job.result for job in added] == [12]


@pytest.mark.parametrize(
    ("act", "error"),
    [
        (lambda manager: manager.update_job_status("nothing", "completed"), NotFound),
        (lambda manager: manager.retry_job("nothing"), NotFound),
        (lambda manager: manager.update_job_status(manager.submit_job("training"), "completed"), WrongState),
    ],
)
def test_what_cannot_be_is_refused(
    manager: JobManager, act: Callable[[JobManager], None], error: type[TidegateError]
) -> None:
    with pytest.raises(error):
        act(manager)
