"""`JobManager` and `JobExecutor` beyond the snippets of the document they come from."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.managers import claimed, found
from tidegate import JobContext, PermanentError, executor, runtime
from tidegate.domain.caller import Caller
from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, WrongState
from tidegate.manager import Job, JobExecutor, JobManager, TrainingScheduler
from tidegate.manager import sqlite as readable
from tidegate.manager.embedded import EmbeddedHome
from tidegate.manager.jobs import folder_for
from tidegate.service.policies import put_queue
from tidegate.service.stats import stats
from tidegate.service.workers import list_workers

ADMIN = Caller("main", "admin", frozenset({"admin"}))


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[JobManager]:
    with JobManager(tmp_path / "jobs.db") as made:
        yield made


def test_an_executor_is_among_the_workers_while_it_works(manager: JobManager, tmp_path: Path) -> None:
    seen: list[Any] = []

    def look(job: Job) -> None:
        assert [held.id for held in manager.held()] == [job.job_id]
        other = runtime.embedded(folder_for(tmp_path / "jobs.db"))
        seen.extend((each.worker.id, each.worker.kind, each.worker.names) for each in list_workers(other.ports, ADMIN))
        other.ports.close()

    manager.submit_job("training")
    JobExecutor(manager, "gpu-7", handlers={"training": look}).run_worker(max_jobs=1, poll_interval=0.01)
    assert [(worker_id, kind) for worker_id, kind, _ in seen] == [("gpu-7", "embedded")]
    assert "training" in seen[0][2]
    assert manager.held() == []


def until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not come true"
        time.sleep(0.02)


def claimed_in_time(manager: JobManager, worker_id: str = "w-1") -> Job:
    jobs: list[Job] = []

    def is_claimed() -> bool:
        job = manager.claim_job(worker_id)
        jobs.extend([job] if job else [])
        return job is not None

    until(is_claimed)
    return jobs[0]


class TestFolder:
    def test_a_file_name_stands_for_a_folder_beside_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        JobManager("production.db").close()
        assert [path.name for path in tmp_path.iterdir()] == ["production.db.tidegate"]

    def test_a_folder_stands_for_itself_so_a_servers_jobs_can_be_worked_on(self, tmp_path: Path) -> None:
        assert folder_for(tmp_path) == tmp_path
        with JobManager(tmp_path) as first, JobManager(str(tmp_path)) as second:
            job_id = first.submit_job("training")
            assert claimed(second).job_id == job_id

    def test_a_token_is_for_a_server(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidInput, match="token"):
            JobManager(tmp_path / "jobs.db", token="x")


class TestClaims:
    def test_the_highest_priority_of_all_queues_comes_first_then_the_oldest(self, manager: JobManager) -> None:
        home = embedded(manager)
        put_queue(home.ports, ADMIN, "other", {})
        names = ["low", "first of five", "nine", "second of five"]
        for name, queue, priority in zip(names, ("default", "other", "other", "default"), (0, 5, 9, 5), strict=True):
            submit(home, name, queue, priority)
        assert [claimed(manager).job_type for _ in names] == ["nine", "first-of-five", "second-of-five", "low"]
        assert manager.claim_job("w") is None

    def test_a_paused_queue_is_passed_over(self, manager: JobManager) -> None:
        home = embedded(manager)
        put_queue(home.ports, ADMIN, "other", {})
        submit(home, "paused", "other", 9)
        submit(home, "open", "default", 1)
        put_queue(home.ports, ADMIN, "other", {})
        from tidegate.service.policies import pause_queue

        pause_queue(home.ports, ADMIN, "other", "maintenance")
        time.sleep(0.6)  # a policy is remembered for half a second
        assert claimed(manager).job_type == "open"
        assert manager.claim_job("w") is None

    def test_a_claimed_job_names_its_worker_and_is_nobody_elses(self, manager: JobManager) -> None:
        manager.submit_job("training", {"a": 1})
        job = claimed(manager, "worker-07")
        assert (job.status, job.worker_id, job.config, job.attempt) == ("running", "worker-07", {"a": 1}, 1)
        assert manager.claim_job("w-2") is None

    def test_tickets_do_not_pile_up(self, manager: JobManager) -> None:
        for _ in range(30):
            manager.submit_job("training")
        for _ in range(30):
            manager.update_job_status(claimed(manager).job_id, "completed")
        assert manager.claim_job("w") is None
        depth = embedded(manager).ports.tickets.depth("default")
        assert sum(each.visible + each.in_flight + each.delayed for each in depth.values()) <= 1

    def test_a_job_whose_process_died_goes_to_another_with_an_attempt_used(
        self, manager: JobManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A death is a lease that nobody extends: here it lasts a fifth of a second."""
        monkeypatch.setattr("tidegate.manager.embedded._LEASE_SECONDS", 0.2)
        job_id = manager.submit_job("training")
        dead = JobManager(tmp_path / "jobs.db")
        assert claimed(dead).attempt == 1
        dead.close()
        again = claimed_in_time(manager, "w-2")
        assert (again.job_id, again.attempt, again.retry_count) == (job_id, 2, 1)

    def test_a_claimed_job_is_kept_for_as_long_as_it_takes(
        self, manager: JobManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tidegate.manager.embedded._LEASE_SECONDS", 0.6)
        monkeypatch.setattr(EmbeddedHome, "lease_seconds", 0.6)
        manager.submit_job("training")
        job = claimed(manager)
        end = time.monotonic() + 2
        while time.monotonic() < end:
            assert manager.claim_job("w-2") is None
            time.sleep(0.1)
        manager.update_job_status(job.job_id, "completed")
        assert found(manager, job.job_id).status == "completed"


def embedded(manager: JobManager) -> Any:
    home = manager.home
    assert isinstance(home, EmbeddedHome)
    return home._app


def submit(app: runtime.App, name: str, queue: str, priority: int) -> None:
    from tidegate.domain.spec import JobSpec
    from tidegate.service.submit import submit_one

    submit_one(app.ports, ADMIN, JobSpec(name=name.replace(" ", "-"), queue=queue, priority=priority))


class TestStatus:
    def test_a_failed_job_stays_failed_until_it_is_retried_within_its_retries(self, manager: JobManager) -> None:
        job_id = manager.submit_job("training", max_retries=1)
        for retry_count in (0, 1):
            job = claimed(manager)
            assert job.retry_count == retry_count
            manager.update_job_status(job_id, "failed", error_message="out of memory")
            assert (found(manager, job_id).status, found(manager, job_id).error_message) == ("failed", "out of memory")
            assert manager.claim_job("w") is None
            manager.retry_job(job_id)
            manager.retry_job(job_id)
            assert found(manager, job_id).status == "pending"
        assert claimed(manager).retry_count == 0, "all retries were used, so a retry begins anew"

    def test_another_attempt_can_be_asked_for_with_backoff(self, manager: JobManager) -> None:
        job_id = manager.submit_job("training", max_retries=1)
        claimed(manager)
        manager.update_job_status(job_id, "failed", "network", retry=True)
        assert found(manager, job_id).status == "pending"
        assert manager.claim_job("w") is None, "the backoff is 2 s"
        manager.retry_job(job_id)
        assert found(manager, job_id).status == "pending", "it waits already: nothing is doubled"

    def test_a_result_is_kept(self, manager: JobManager) -> None:
        job_id = manager.submit_job("training")
        claimed(manager)
        manager.update_job_status(job_id, "completed", result={"loss": 0.25})
        assert found(manager, job_id).result == {"loss": 0.25}

    def test_a_job_is_cancelled_in_every_state(self, manager: JobManager) -> None:
        waiting, running, held = (manager.submit_job("training") for _ in range(3))
        manager.update_job_status(waiting, "cancelled")
        assert found(manager, waiting).status == "cancelled"
        assert [claimed(manager).job_id for _ in range(2)] == [running, held]
        manager.update_job_status(held, "cancelled")
        assert found(manager, held).status == "cancelled"
        manager.cancel_job(running)
        assert found(manager, running).status == "running"
        manager.update_job_status(waiting, "pending")
        assert found(manager, waiting).status == "pending"

    def test_a_claimed_job_learns_that_it_shall_stop(
        self, manager: JobManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(EmbeddedHome, "lease_seconds", 0.3)
        job_id = manager.submit_job("training")
        job = claimed(manager)
        manager.cancel_job(job_id)
        until(lambda: job.cancelled)

    @pytest.mark.parametrize("status", ["completed", "failed", "running"])
    def test_a_job_that_does_not_run_has_no_outcome(self, manager: JobManager, status: str) -> None:
        job_id = manager.submit_job("training")
        with pytest.raises(WrongState):
            manager.update_job_status(job_id, status)
        with pytest.raises(NotFound):
            manager.update_job_status("nothing", status)
        with pytest.raises(NotFound):
            manager.retry_job("nothing")

    def test_a_completed_job_is_not_started_over(self, manager: JobManager) -> None:
        job_id = manager.submit_job("training")
        claimed(manager)
        manager.update_job_status(job_id, "completed")
        with pytest.raises(WrongState):
            manager.update_job_status(job_id, "pending")
        with pytest.raises(WrongState):
            manager.retry_job(job_id)

    def test_who_lost_a_job_changes_nothing(self, manager: JobManager, tmp_path: Path) -> None:
        job_id = manager.submit_job("training")
        claimed(manager)
        with JobManager(tmp_path / "jobs.db") as other:
            other.update_job_status(job_id, "pending")
            assert claimed(other, "w-2").job_id == job_id
            with pytest.raises(LeaseLost):
                manager.update_job_status(job_id, "completed", result="from the dead")
            other.update_job_status(job_id, "completed", result="from the living")
        assert found(manager, job_id).result == "from the living"

    def test_unknown_words_are_refused(self, manager: JobManager) -> None:
        job_id = manager.submit_job("training")
        for wrong in (
            lambda: manager.update_job_status(job_id, "done"),
            lambda: manager.list_jobs(status="done"),
            lambda: manager.list_jobs(limit=0),
            lambda: manager.log_job_message(job_id, "LOUD", "x"),
            lambda: manager.submit_job("training", priority=11),
            lambda: manager.submit_job("two words"),
            lambda: JobExecutor(manager, max_concurrent=0),
        ):
            with pytest.raises(InvalidInput):
                wrong()
        with pytest.raises(NotFound):
            manager.log_job_message("nothing", "INFO", "x")


class TestLooking:
    def test_jobs_are_listed_newest_first_by_status_type_and_number(self, manager: JobManager) -> None:
        ids = [manager.submit_job(kind, {"n": n}) for n, kind in enumerate(["training", "export", "training"])]
        assert [job.job_id for job in manager.list_jobs()] == ids[::-1]
        assert [job.job_id for job in manager.list_jobs(job_type="training", limit=1)] == [ids[2]]
        assert manager.list_jobs(status="running") == []
        assert manager.get_job("nothing") is None

    def test_more_jobs_than_a_page_are_listed(self, manager: JobManager) -> None:
        for _ in range(205):
            manager.submit_job("training")
        assert len(manager.list_jobs()) == 205
        assert len(manager.list_jobs(limit=203)) == 203

    def test_a_large_configuration_comes_whole(self, manager: JobManager) -> None:
        config = {"text": "x" * 200_000}
        job_id = manager.submit_job("training", config)
        assert found(manager, job_id).config == claimed(manager).config == manager.list_jobs()[0].config == config

    def test_logs_are_kept_in_order_and_apart(self, manager: JobManager, tmp_path: Path) -> None:
        one, two = manager.submit_job("training"), manager.submit_job("training")
        for job_id, level, text in ((one, "info", "a"), (two, "ERROR", "b"), (one, "WARNING", "c\nd")):
            manager.log_job_message(job_id, level, text)
        with JobManager(tmp_path / "jobs.db") as other:
            logs = other.get_job_logs(one)
        assert [(row["level"], row["message"], row["job_id"]) for _, row in logs.iterrows()] == [
            ("INFO", "a", one),
            ("WARNING", "c\nd", one),
        ]
        assert [row["log_id"] for row in logs] == [1, 2]
        assert (len(logs), logs[0]["message"], [each["message"] for each in logs[1:]]) == (2, "a", ["c\nd"])

    def test_counters_are_kept_by_those_who_claim(self, manager: JobManager) -> None:
        for _ in range(3):
            manager.submit_job("training")
        manager.update_job_status(claimed(manager).job_id, "completed")
        time.sleep(1.1)
        manager.claim_job("w")
        counts = stats(embedded(manager).ports, ADMIN).counts
        assert (counts["completed"], counts["pending"] + counts["running"]) == (1, 2)

    def test_the_jobs_can_be_read_in_sql_but_not_written(self, manager: JobManager, tmp_path: Path) -> None:
        import sqlite3

        job_id = manager.submit_job("training", {"a": 1}, priority=7, max_retries=2)
        claimed(manager, "w-9")
        connection = readable.connect(tmp_path / "jobs.db")
        row = connection.execute(
            "SELECT job_id, job_type, status, priority, config, error_message, worker_id, retry_count, max_retries "
            "FROM jobs"
        ).fetchone()
        assert row == (job_id, "training", "running", 7, '{"a":1}', None, "w-9", 0, 2)
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("DELETE FROM main.jobs")
        connection.close()


class TestScheduler:
    def test_its_jobs_are_the_managers(self, manager: JobManager, tmp_path: Path) -> None:
        scheduler = TrainingScheduler(tmp_path / "jobs.db")
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        scheduler.create_schedule("once", "training", {"a": 1}, f"at {soon.isoformat()}", priority=9)
        job = claimed_in_time(manager)
        assert (job.job_type, job.config, job.priority) == ("training", {"a": 1}, 9)
        assert [(each.name, each.next_run) for each in scheduler.list_schedules()] == [("once", None)]
        scheduler.close()


class TestExecutor:
    def test_a_failing_job_is_retried_with_backoff_and_a_permanent_failure_is_not(self, manager: JobManager) -> None:
        put_queue(embedded(manager).ports, ADMIN, "default", {"retry_delay": 0.05})
        tries: list[int] = []

        def flaky(job: Job) -> str:
            tries.append(job.retry_count)
            if len(tries) < 3:
                raise ConnectionError("network")
            return "done"

        def broken(_: Job) -> None:
            raise PermanentError("no such model")

        flaky_id, broken_id = manager.submit_job("flaky"), manager.submit_job("broken")
        worker = JobExecutor(manager, handlers={"flaky": flaky, "broken": broken})
        assert worker.run_worker(max_jobs=4, poll_interval=0.05) == 4
        assert (tries, found(manager, flaky_id).result) == ([0, 1, 2], "done")
        assert (found(manager, broken_id).status, found(manager, broken_id).error_message) == (
            "failed",
            "no such model",
        )

    def test_registered_functions_are_given_a_context(self, manager: JobManager) -> None:
        seen: list[Any] = []

        @executor("training")
        def train(job: JobContext) -> Any:
            job.progress(0.5, "half way")
            job.heartbeat()
            seen.append((job.data, job.attempt, job.name, job.cancelled))
            return {"ok": True}

        job_id = manager.submit_job("training", {"a": 1})
        JobExecutor(manager).run_worker(max_jobs=1)
        assert seen == [({"a": 1}, 1, "training", False)]
        assert found(manager, job_id).result == {"ok": True}

    def test_skip_and_snooze_are_understood(self, manager: JobManager) -> None:
        executor("skips")(lambda job: job.skip("nothing to do"))
        executor("snoozes")(lambda job: job.snooze(60))
        skips, snoozes = manager.submit_job("skips"), manager.submit_job("snoozes")
        JobExecutor(manager).run_worker(max_jobs=2)
        assert (found(manager, skips).status, found(manager, snoozes).status) == ("skipped", "pending")
        assert manager.claim_job("w") is None

    def test_a_handler_that_is_told_to_stop_ends_its_job_as_cancelled(
        self, manager: JobManager, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(EmbeddedHome, "lease_seconds", 0.3)

        @executor("long")
        def run(job: JobContext) -> None:
            manager.cancel_job(job.id)
            until(lambda: job.cancelled)

        job_id = manager.submit_job("long")
        JobExecutor(manager).run_worker(max_jobs=1)
        assert found(manager, job_id).status == "cancelled"

    def test_what_nobody_can_run_and_what_cannot_be_kept_fails(self, manager: JobManager) -> None:
        unknown, bad = manager.submit_job("unknown"), manager.submit_job("bad")
        JobExecutor(manager, handlers={"bad": lambda _: object()}).run_worker(max_jobs=2)
        assert "no function for jobs of type 'unknown'" in (found(manager, unknown).error_message or "")
        assert "the handler's result: must be JSON" in (found(manager, bad).error_message or "")
        assert {found(manager, each).status for each in (unknown, bad)} == {"failed"}

    def test_as_many_run_at_once_as_allowed(self, manager: JobManager) -> None:
        barrier = threading.Barrier(3)
        for _ in range(6):
            manager.submit_job("training")
        worker = JobExecutor(manager, max_concurrent=3, handlers={"training": lambda _: barrier.wait(30) and None})
        assert worker.run_worker(max_jobs=6, poll_interval=0.01) == 6
        assert {job.status for job in manager.list_jobs()} == {"completed"}

    def test_a_worker_of_several_stops_when_told(self, manager: JobManager) -> None:
        worker = JobExecutor(manager, max_concurrent=2, handlers={"training": lambda _: worker.stop()})
        manager.submit_job("training")
        assert worker.run_worker(poll_interval=0.01) == 1
        assert manager.list_jobs()[0].status == "completed"

    def test_execute_job_may_be_overridden(self, manager: JobManager) -> None:
        class Mine(JobExecutor):
            def execute_job(self, job: Job) -> Any:
                return f"{job.job_type} by {self.worker_id}"

        job_id = manager.submit_job("anything")
        Mine(manager, "worker-02").run_worker(max_jobs=1)
        assert found(manager, job_id).result == "anything by worker-02"
