"""What users test their handlers with, and its guide, which is a test itself."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tidegate import JobContext, PermanentError
from tidegate.domain.errors import InvalidInput, NotFound
from tidegate.domain.job import State
from tidegate.execution.registry import executor
from tidegate.testing import Home

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "testing.md"


def snippets() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_guides_example_passes(tmp_path: Path) -> None:
    (tmp_path / "test_handlers.py").write_text(snippets()[0])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tidegate.testing.plugin", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout


def test_the_guides_example_without_pytest_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(snippets()[1], str(GUIDE), "exec"), {})


def test_the_fixture_is_a_home_of_its_own(tidegate_home: Home) -> None:
    assert tidegate_home.jobs() == []
    assert tidegate_home.run_until_idle() == 0


def test_registered_executors_are_served(tidegate_home: Home) -> None:
    @executor("registered")
    def run(job: JobContext) -> int:
        return int(job.data) + 1

    assert tidegate_home.run_until_done(tidegate_home.submit("registered", 1).id).result == 2


def test_a_handler_of_the_home_hides_a_registered_one(tidegate_home: Home) -> None:
    executor("work")(lambda _: "registered")
    tidegate_home.handle("work", lambda _: "of the home")
    assert tidegate_home.run_until_done(tidegate_home.submit("work").id).result == "of the home"


def test_a_day_of_retries_passes_in_moments_and_at_the_right_times(tidegate_home: Home) -> None:
    times: list[int] = []

    def work(job: JobContext) -> None:
        times.append(tidegate_home.clock.now())
        raise ConnectionError

    tidegate_home.handle("work", work)
    job = tidegate_home.submit("work", retry_limit=10, retry_delay=60, retry_delay_max=3600)
    started = time.monotonic()
    ended = tidegate_home.run_until_done(job.id)
    assert (ended.state, len(times)) == (State.FAILED, 11)
    waits = [(after - before) / 1000 for before, after in pairwise(times)]
    assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600, 3600]
    assert time.monotonic() - started < sum(waits) / 10


def test_what_a_job_submits_runs_too_and_a_snooze_waits(tidegate_home: Home) -> None:
    seen: list[str] = []

    def first(job: JobContext) -> object:
        if not seen:
            seen.append("snoozed")
            return job.snooze(30)
        tidegate_home.submit("second")
        return None

    tidegate_home.handle("first", first)
    tidegate_home.handle("second", lambda _: seen.append("second"))
    tidegate_home.submit("first")
    tidegate_home.advance(29)
    assert seen == ["snoozed"]
    tidegate_home.advance(1)
    assert seen == ["snoozed", "second"]


def test_a_job_expires_on_its_own_time(tidegate_home: Home) -> None:
    tidegate_home.queue("reports")
    job = tidegate_home.submit("work", queue="reports", start_after=tidegate_home.clock.time(), expire_in_seconds=5)
    tidegate_home.clock.advance(6)
    tidegate_home.advance(60)
    assert tidegate_home.job(job.id).state == State.EXPIRED


def test_fields_are_those_of_the_client(tidegate_home: Home) -> None:
    by_agent = tidegate_home.submit(data={"agent": "work"}, priority="high", tags=["a"], metadata={"k": "v"})
    assert (by_agent.name, by_agent.priority, by_agent.tags) == ("work", 8, ("a",))
    assert [job.id for job in tidegate_home.jobs(State.CREATED, tag="a")] == [by_agent.id]
    assert tidegate_home.cancel(by_agent.id).state == State.CANCELLED
    assert tidegate_home.retry(by_agent.id).state == State.CREATED
    for wrong in ({}, {"name": "work", "queue": "nowhere"}, {"name": "work", "priority": 11}):
        with pytest.raises(InvalidInput):
            tidegate_home.submit(**wrong)
    with pytest.raises(NotFound):
        tidegate_home.job("nothing")


def test_a_failure_says_why(tidegate_home: Home) -> None:
    def work(job: JobContext) -> None:
        raise PermanentError("no such page")

    tidegate_home.handle("work", work)
    job = tidegate_home.run_until_done(tidegate_home.submit("work").id)
    assert (job.state, job.error_message) == (State.FAILED, "no such page")


def test_jobs_without_end_are_noticed(tidegate_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tidegate.testing.home._MOST_JOBS", 20)
    tidegate_home.handle("work", lambda _: tidegate_home.submit("work").id)
    tidegate_home.submit("work")
    with pytest.raises(AssertionError, match="still not idle"):
        tidegate_home.run_until_idle()


def test_webhooks_are_sent_when_the_home_runs(tidegate_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []

    def post(_: object, url: str, *__: object) -> int:
        sent.append(url)
        return 200

    monkeypatch.setattr("tidegate.adapters.outbound.Outbound.post", post)
    tidegate_home.handle("work", lambda _: None)
    tidegate_home.submit("work", webhook={"url": "http://localhost:8000/hook"})
    assert tidegate_home.run_until_idle() == 2
    assert sent == ["http://localhost:8000/hook"]
