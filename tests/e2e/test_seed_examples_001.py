"""The queries and commands of document 001 (maintenance), typed and asked for, embedded and deployed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloud import eventually
from seed_places import Newcomer, Place, Shell, User

INVOICE = {"doc_type": "invoice", "doc_id": "doc_id_0001"}


@pytest.fixture(scope="module")
def jobs(user: User) -> dict[str, str]:
    """The ids of jobs in five states; all that happens to them by itself has happened."""
    client = user.client
    client.put_queue("extract", retry_limit=1)
    client.put_queue("high-priority", retry_limit=2)
    client.put_queue("held")
    client.pause_queue("held")
    other = {**INVOICE, "doc_id": "doc_id_0002"}
    found = {
        "completed": client.submit("extract", {"pages": [1]}, metadata=INVOICE, queue="extract").id,
        "failed": client.submit("training", {"fails": True}, retry_limit=1, retry_delay=0).id,
        "retry": client.submit("training", {"fails": True}, queue="high-priority", retry_delay=3_600).id,
        "cancelled": client.submit("extract", {"pages": []}, metadata=other, queue="held").id,
        "created": client.submit("evaluation", queue="held").id,
    }
    client.cancel(found["cancelled"])
    for state in ("completed", "failed"):
        client.wait(found[state], timeout=120)
    eventually(lambda: client.get(found["retry"]).state == "RETRY")
    eventually(lambda: client.stats().total == len(found))
    return found


@pytest.fixture
def listed(tidegate: Shell) -> Callable[[str], set[str]]:
    """The ids that a listing command tells."""
    return lambda line: {job["id"] for job in json.loads(tidegate(f"{line} --json"))["jobs"]}


def test_all_jobs_are_listed(user: User, jobs: dict[str, str], listed: Callable[[str], set[str]]) -> None:
    assert listed("list") == set(jobs.values())
    assert user.get("/jobs")["total_count"] == len(jobs)
    assert listed("list --since 1h") == set(jobs.values())
    assert listed("list --until 1h") == set()


def test_jobs_are_found_by_metadata(jobs: dict[str, str], listed: Callable[[str], set[str]]) -> None:
    found = listed("list --metadata doc_type=invoice --metadata doc_id=doc_id_0001")
    assert found == {jobs["completed"]}
    assert listed("list --meta doc_type=invoice") == {jobs["completed"], jobs["cancelled"]}


def test_jobs_are_found_by_state(user: User, jobs: dict[str, str], listed: Callable[[str], set[str]]) -> None:
    assert listed("list --state active") == set()
    assert listed("list --state failed") == {jobs["failed"]}
    assert listed("list --state retry") == {jobs["retry"]}
    assert {job["id"] for job in user.get("/jobs", state="retry")["jobs"]} == {jobs["retry"]}


def test_counts_by_state(tidegate: Shell, jobs: dict[str, str]) -> None:
    def counted() -> bool:
        states = json.loads(tidegate("stats --json"))["states"]
        return {state.lower(): count for state, count in states.items() if count} == dict.fromkeys(jobs, 1)

    eventually(counted)


def test_queues_are_made_listed_and_changed(user: User, tidegate: Shell, jobs: dict[str, str]) -> None:
    assert tidegate("queue set extract retry_limit=1") == "✅ Queue extract set\n"
    listing = tidegate("queue list").splitlines()
    rows = {row.split()[0]: row.split()[-1] for row in listing[1:]}
    assert (rows["extract"], rows["high-priority"]) == ("1", "2")
    tidegate("queue set extract retry_limit=3")
    assert user.get("/queues/extract")["queue"]["retry_limit"] == 3


def test_stuck_jobs_retries_and_throughput(user: User, tidegate: Shell, jobs: dict[str, str]) -> None:
    assert tidegate("stuck --older-than 1h") == "None\n"
    (name,) = user.get("/stats/retries")["retries"]
    assert (name["name"], name["avg_retries"], name["max_retries"], name["total_jobs"]) == ("training", 1.0, 1, 1)
    assert tidegate("retries").splitlines()[1].split()[0] == "training"
    hour = datetime.now(UTC).strftime("%Y-%m-%dT%H")
    eventually(lambda: user.get("/stats/throughput")["throughput"][-1]["completed_jobs"] == 1)
    found = user.get("/stats/throughput")["throughput"]
    assert len(found) == 24
    assert found[-1]["hour"] >= hour


def test_a_dag_its_next_job_and_its_progress(user: User, tidegate: Shell, tmp_path: Path) -> None:
    """Three jobs, the first of which runs; the others wait in a queue that is paused until they were looked at."""
    user.client.put_queue("later")
    user.client.pause_queue("later")
    nodes = [
        {"id": "a", "name": "evaluation", "priority": 1},
        {"id": "b", "name": "evaluation", "queue": "later", "priority": 9, "depends_on": ["a"]},
        {"id": "c", "name": "evaluation", "queue": "later", "priority": 3},
    ]
    file = tmp_path / "my-dag.json"
    file.write_text(json.dumps({"name": "my-dag", "nodes": nodes}))
    dag_id = tidegate(f"dag submit {file}").split()[2].rstrip(":")
    progress = eventually(lambda: _at(user, dag_id, completed=1))
    assert progress | {"total_jobs": 3, "completed": 1, "active": 0, "failed": 0, "progress_pct": 33.3} == progress
    node_of = {job["node"]: job["id"] for job in user.get("/jobs", dag_id=dag_id)["jobs"]}
    assert set(node_of) == {"a", "b", "c"}
    eventually(lambda: tidegate(f"dag next {dag_id}").split()[0] == node_of["b"])
    assert set(_ids(tidegate(f"list --dag {dag_id} --json"))) == set(node_of.values())
    tidegate("queue resume later")
    assert user.client.wait_dag(dag_id, timeout=120).state == "COMPLETED"
    assert _at(user, dag_id, completed=3)["progress_pct"] == 100.0
    assert tidegate("dag list").splitlines()[1].split() == [dag_id, "my-dag", "COMPLETED", "100.0", "%"]


def _at(user: User, dag_id: str, completed: int) -> Any:
    progress = user.get(f"/dags/{dag_id}/progress")["progress"]
    return progress if progress["completed"] == completed else None


def _ids(text: str) -> list[str]:
    return [job["id"] for job in json.loads(text)["jobs"]]


def test_a_home_is_backed_up_before_maintenance(place: Place, tidegate: Shell, tmp_path: Path) -> None:
    """Into a folder that can be served; in the cloud a backup of each of the two tables."""
    if "--data" in place.itself:
        assert tidegate(f"backup {tmp_path / 'before'} {place.itself}").startswith("✅ Backed up to ")
        assert (tmp_path / "before" / "tidegate.db").stat().st_size > 0
    else:
        told = tidegate(f"backup before-maintenance {place.itself}").splitlines()
        assert [line.startswith("✅ Backed up to arn:aws:dynamodb:") for line in told] == [True, True]


def test_old_jobs_are_purged_and_archived_and_all_are_if_it_is_meant(newcomer: Newcomer) -> None:
    """In a tenant of its own, since `--all` takes all. Nothing here is seven days old."""
    user, tidegate = newcomer("cleaning")
    for number in range(2):
        user.client.wait(user.client.submit("evaluation", {"n": number}).id, timeout=120)
    for number in range(3):
        user.client.wait(user.client.submit("training", {"fails": True, "n": number}, retry_limit=0).id, timeout=120)
    assert tidegate("purge --state completed --older-than 7d") == "Dry run: 0 jobs would be purged; --yes does it\n"
    assert tidegate("purge --state failed --older-than 30d --yes") == "✅ 0 jobs purged\n"
    assert tidegate("purge --state completed").startswith("Dry run: 2 jobs would be purged")
    assert tidegate("purge --state completed --yes") == "✅ 2 jobs purged\n"
    archived = tidegate("archive --state completed,failed,cancelled,expired --older-than 0s --yes")
    assert archived.startswith("✅ 3 jobs archived")
    assert user.get("/jobs")["jobs"] == []
    user.client.wait(user.client.submit("evaluation").id, timeout=120)
    assert tidegate("purge --yes", code=2).strip()
    assert tidegate("purge --all --yes") == "✅ 1 job purged\n"
