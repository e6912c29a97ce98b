"""The examples of document 000 (job management), by HTTP and Python, embedded and deployed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import httpx
from seed_places import Place, Shell, User

from tidegate.models import WorkInfo, WorkState

INVOKE = {"parameters": {"command": "extract", "asset_key": "s3://bucket/document.pdf", "pages": [1, 2, 3]}}


def test_a_job_submitted_by_invoke_is_listed_shown_and_extracted(user: User) -> None:
    answer = user.post("/api/v1/invoke", INVOKE)
    job_id = answer["parameters"]["job_id"]
    assert answer == {"header": {}, "parameters": {"job_id": job_id, "status": "submitted"}, "data": None}
    assert user.client.wait(job_id, timeout=120).result == {"pages": 3}
    assert job_id in {job["id"] for job in user.get("/api/jobs")["jobs"]}
    assert [job["id"] for job in user.get("/api/jobs/COMPLETED")["jobs"]] == [job_id]
    assert user.get("/api/jobs/ACTIVE")["jobs"] == []
    job = user.get(f"/api/jobs/{job_id}")["job"]
    assert (job["name"], job["state"]) == ("extract", "COMPLETED")
    assert job["data"] == {"asset_key": "s3://bucket/document.pdf", "pages": [1, 2, 3]}


def test_without_a_token_there_is_nothing(place: Place) -> None:
    assert httpx.post(f"{place.url}/api/v1/invoke", json=INVOKE).status_code == 401
    assert httpx.get(f"{place.url}/api/jobs").status_code == 401


def test_the_first_token_is_made_by_who_has_the_home_itself(place: Place, user: User, tidegate: Shell) -> None:
    made = tidegate(f"token create me --scope submit --scope read --tenant {user.tenant} {place.itself}").split()
    headers = {"authorization": f"Bearer {next(word for word in made if word.startswith('tg_'))}"}
    assert httpx.post(f"{place.url}/api/v1/invoke", json=INVOKE, headers=headers).status_code == 200
    assert httpx.put(f"{place.url}/queues/extract", json={}, headers=headers).status_code == 403


def test_a_job_described_by_work_info_runs_with_all_that_it_says(user: User) -> None:
    now = datetime.now(UTC)
    work = WorkInfo(
        name="extract",
        priority=10,
        data={"asset_key": "s3://bucket/doc.pdf", "pages": [1, 2, 3]},
        state=WorkState.CREATED,
        retry_limit=2,
        retry_delay=5,
        retry_backoff=True,
        start_after=now,
        expire_in_seconds=3600,
        keep_until=now + timedelta(days=7),
        soft_sla=now + timedelta(hours=1),
        hard_sla=now + timedelta(hours=4),
    )
    job = user.client.wait(user.client.submit(**work.fields()).id, timeout=120)
    assert (job.state, job.priority, job.retry_limit, job.result) == ("COMPLETED", 10, 2, {"pages": 3})
    shown = user.get(f"/jobs/{job.id}")["job"]
    assert _seconds(shown["soft_sla"], now) == 3_600
    assert _seconds(shown["hard_sla"], now) == 4 * 3_600
    assert _seconds(shown["expires_at"], now) == 3_600


def _seconds(shown: str, now: datetime) -> int:
    return round((datetime.fromisoformat(shown) - now).total_seconds())
