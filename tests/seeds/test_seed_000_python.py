"""Seed 000: the submission model, as it stands but for its imports."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from snippets import run

from home import ADMIN, Home
from tidegate.client.fields import job_body
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import State
from tidegate.models import WorkInfo, WorkState
from tidegate.service.submit import submit_one

SNIPPET = """
    from datetime import datetime, timedelta, timezone
    from tidegate.models import WorkInfo
    from tidegate.models import WorkState

    now = datetime.now(timezone.utc)

    job = WorkInfo(
        name="extract",                    # Executor endpoint
        priority=10,                       # Higher = more important
        data={                             # Job payload
            "asset_key": "s3://bucket/doc.pdf",
            "pages": [1, 2, 3],
        },
        state=WorkState.CREATED,
        retry_limit=2,                     # Max retry attempts
        retry_delay=5,                     # Seconds between retries
        retry_backoff=True,                # Exponential backoff
        start_after=now,                   # Earliest start time
        expire_in_seconds=3600,            # TTL (1 hour)
        keep_until=now + timedelta(days=7),
        soft_sla=now + timedelta(hours=1), # Target completion
        hard_sla=now + timedelta(hours=4), # Deadline
    )
"""


def test_every_field_of_the_model_is_stored(home: Home) -> None:
    names = run(SNIPPET)
    work: WorkInfo = names["job"]
    job = home.job(submit_one(home.ports, ADMIN, work.spec()).job.id)
    now = round(names["now"].timestamp() * 1000)
    assert (job.name, job.priority, job.state) == ("extract", 10, State.CREATED)
    assert job.data == {"asset_key": "s3://bucket/doc.pdf", "pages": [1, 2, 3]}
    assert (job.retry_limit, job.retry_delay, job.retry_backoff) == (2, 5, True)
    assert (job.start_after, job.keep_until) == (now, now + 7 * 86_400_000)
    assert (job.soft_sla, job.hard_sla) == (now + 3_600_000, now + 4 * 3_600_000)
    assert job.expires_at == home.clock.now() + 3_600_000


def test_the_fields_are_those_of_the_client() -> None:
    work: WorkInfo = run(SNIPPET)["job"]
    body = job_body(replace(work, id="mine", tags=("a",), metadata={"k": "v"}).fields())
    assert (body["job_id"], body["tags"], body["metadata"]) == ("mine", ["a"], {"k": "v"})
    assert body["start_after"].endswith("Z")
    assert "state" not in body
    assert WorkInfo(name="extract").fields() == {"name": "extract", "priority": 5, "queue": "default"}


def test_the_states_are_the_eight_of_the_document() -> None:
    words = "CREATED RETRY ACTIVE COMPLETED SKIPPED EXPIRED CANCELLED FAILED"
    assert [state.value for state in WorkState] == words.split()


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": WorkState.ACTIVE},
        {"priority": 11},
        {"start_after": datetime(2030, 1, 1)},  # noqa: DTZ001 - refused for lack of a zone
        {"name": ""},
        {"retry_limit": -1},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        WorkInfo(**{"name": "extract", **wrong})
