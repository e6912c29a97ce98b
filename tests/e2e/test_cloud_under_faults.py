"""The deployed functions while a share of their calls to AWS fails: nothing accepted is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloud import Cloud, eventually, token

from tidegate import runtime
from tidegate.domain.job import TERMINAL, Job
from tidegate.ports import JobQuery

JOBS = 40
SHARE = 0.04
STRIKE_SECONDS = 30
CLOCK = json.loads((Path(__file__).parents[2] / "events" / "clock.json").read_text())
TENANT = "faulty"
pytestmark = pytest.mark.skipif(
    os.environ.get("TIDEGATE_FAULTS_EVERY") != "1", reason="takes minutes, leases must lapse: make faults"
)


@pytest.fixture
def faulty(cloud: Cloud) -> Iterator[Cloud]:
    """A stage that is whole again afterwards."""
    yield cloud
    cloud.fail(0.0)


def test_nothing_is_lost_while_calls_to_aws_fail(faulty: Cloud, app: runtime.App) -> None:
    headers = {"authorization": f"Bearer {token(app, tenant=TENANT)}"}
    with httpx.Client(base_url=faulty.url, headers=headers, timeout=30) as http:
        assert http.get("/health").status_code == 200  # the authorizer's answer is kept for a minute
        faulty.fail(SHARE)
        accepted = [_accepted(http, number) for number in range(JOBS)]

        end = time.monotonic() + STRIKE_SECONDS

        def ended() -> bool:
            if time.monotonic() > end:
                faulty.fail(0.0)
            faulty.invoke("clock", CLOCK)
            return all(job.state in TERMINAL for job in _jobs(app))

        eventually(ended, 420, pause=2)
    struck = faulty.fail(0.0)
    assert {each.rpartition(" ")[2] for each in struck} == {"refused", "unreported"}, struck
    jobs = {job.id: job for job in _jobs(app)}
    assert jobs.keys() == set(accepted), "each request made one job"
    assert Counter(job.state.value for job in jobs.values()) == {"COMPLETED": JOBS}, struck
    assert all(job.result["data"] == {"number": accepted.index(job.id)} for job in jobs.values())


def _accepted(http: httpx.Client, number: int) -> str:
    """Sent again with the same key until it is answered, as the Python client does."""

    def send() -> Any:
        body = {"name": "echo", "data": {"number": number}, "retry_limit": 1, "retry_delay": 1}
        answer = http.post("/jobs", json=body, headers={"Idempotency-Key": f"job {number}"})
        return answer if answer.status_code < 500 else None

    answer = eventually(send, 30)
    assert answer.status_code < 300, answer.text
    return str(answer.json()["job_id"])


def _jobs(app: runtime.App) -> list[Job]:
    return list(app.ports.jobs.page(JobQuery(tenant=TENANT, limit=2 * JOBS)).jobs)
