"""Schedules under a real server, in real time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from cloud import eventually
from embedded import Server

from tidegate.client import Client, Job


def runs_of(client: Client, name: str) -> list[Job]:
    """The schedule's completed jobs, the oldest first."""
    return sorted(client.list(state="COMPLETED", tag=f"schedule:{name}"), key=lambda job: str(job.start_after))


def lateness(job: Job) -> float:
    """Seconds from a job's time to its start."""
    assert job.started_at is not None
    assert job.start_after is not None
    return (job.started_at - job.start_after).total_seconds()


def test_a_schedule_of_seconds_does_not_wait_for_the_minute(
    serve: Callable[..., Server], capsys: pytest.CaptureFixture[str]
) -> None:
    with serve().client() as client:
        client.create_schedule("often", "every 1s", job_type="echo", config={"text": "hello"})
        eventually(lambda: len(runs_of(client, "often")) >= 6, 40)
        client.disable_schedule("often")
        jobs = runs_of(client, "often")
        late = [lateness(job) for job in jobs]
        with capsys.disabled():
            print(f"\n  every 1s: {len(jobs)} runs, late by at most {max(late):.3f} s")  # noqa: T201
        assert max(late) < 20
        assert min(late) >= 0
        times = [job.start_after for job in jobs if job.start_after is not None]
        gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(times)}
        assert gaps == {1.0}, "no time left out, none doubled"
        assert jobs[0].result["data"] == {"text": "hello"}
        assert {run.fate for run in client.schedule_history("often")} == {"fired"}


def test_kill_9_in_the_middle_loses_no_run_and_makes_none_twice(serve: Callable[..., Server]) -> None:
    server = serve()
    with server.client() as client:
        client.create_schedule("often", "every 1s", job_type="echo", misfire="run_all")
        eventually(lambda: len(runs_of(client, "often")) >= 2, 30)
    server.kill()
    with serve().client() as client:
        eventually(lambda: len(runs_of(client, "often")) >= 8, 60)
        client.disable_schedule("often")
        times = [job.start_after for job in runs_of(client, "often") if job.start_after is not None]
        gaps = {(later - earlier).total_seconds() for earlier, later in pairwise(times)}
        assert gaps == {1.0}
