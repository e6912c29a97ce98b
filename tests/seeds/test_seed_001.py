"""Seed 001, Marie's maintenance SQL, as calls of the API; where the embedded home has the table, against that SQL."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from seedhome import OPERATOR, USER, fail, fail_until, run

from home import Home
from tidegate import runtime
from tidegate.domain.errors import Conflict
from tidegate.domain.job import State
from tidegate.settings import Settings

DAY = 86_400
DAYS = (0, 5, 20, 35)
COLUMNS = "id dag_id name priority data state retry_count retry_limit soft_sla hard_sla dependencies"
_USED = "max(0, retry_limit - (attempts_allowed - attempt))"


def rows(home: Home, sql: str) -> list[tuple[Any, ...]] | None:
    """What SQL says of the embedded home's table; None in the cloud."""
    folder = home.app.settings.data
    if folder is None:
        return None
    with sqlite3.connect(folder / "tidegate.db") as connection:
        return connection.execute(sql).fetchall()


def post(path: str, **body: Any) -> Any:
    answer = OPERATOR.post(path, body)
    assert answer.status == 200, answer.text
    return answer.body


def ids(body: Any) -> set[str]:
    return {job["id"] for job in body["jobs"]}


@pytest.fixture
def aged(home: Home) -> Home:
    """Four jobs on each of four days, forty days long, that ended in four ways; not kept by default for less."""
    OPERATOR.call("PUT", "/queues/default", json.dumps({"keep_seconds": 400 * DAY, "retry_limit": 0}))
    for day, until in pairwise((*DAYS, 40)):
        USER.submit(name="ok", job_id=f"ok-{day}")
        USER.submit(name="bad", job_id=f"bad-{day}")
        USER.submit(name="skip", job_id=f"skip-{day}")
        USER.submit(name="never", job_id=f"never-{day}")
        USER.post(f"/jobs/never-{day}/cancel")
        home.drain(home.runner(ok=lambda job: 1, bad=fail, skip=lambda job: job.skip("not needed")))
        home.clock.advance((until - day) * DAY)
    home.pump()
    return home


def test_1_1_nothing_is_done_unless_it_is_confirmed(aged: Home) -> None:
    before = ids(OPERATOR.get("/jobs", "limit=200").body)
    for action in ("purge", "archive", "retry"):
        body = post(f"/maintenance/{action}", all=True)
        assert body["dry_run"] is True
        assert body["message"].startswith("Dry run: ")
        assert body["done"] == 0
    assert ids(OPERATOR.get("/jobs", "limit=200").body) == before


def test_1_2_all_jobs_are_listed(aged: Home) -> None:
    body = OPERATOR.get("/jobs", "limit=200").body
    assert len(body["jobs"]) == body["total_count"] == 16


def test_1_3_jobs_are_found_by_metadata(home: Home) -> None:
    invoice = {"doc_type": "invoice", "doc_id": "doc_id_0001"}
    USER.submit(job_id="a", metadata=invoice)
    USER.submit(job_id="b", metadata={**invoice, "doc_id": "doc_id_0002"})
    query = "metadata.doc_type=invoice&metadata.doc_id=doc_id_0001"
    assert ids(USER.get("/jobs", query).body) == {"a"}


@pytest.mark.parametrize(("state", "name"), [("active", "runs"), ("failed", "dies"), ("retry", "tries")])
def test_1_4_jobs_are_found_by_state(home: Home, state: str, name: str) -> None:
    USER.submit(name="tries", job_id="tries")
    USER.submit(name="dies", job_id="dies", retry_limit=0)
    home.drain(home.runner(dies=fail, tries=fail))
    USER.submit(name="runs", job_id="runs")
    found: list[set[str]] = []

    def look(job: Any) -> None:
        found.append(ids(USER.get("/jobs", f"state={state}").body))

    home.drain(home.runner(runs=look))
    assert found == [{name}]


def test_1_6_counts_by_state(aged: Home) -> None:
    states = OPERATOR.get("/stats").body["stats"]["states"]
    assert {state: n for state, n in states.items() if n} == dict.fromkeys(
        ("COMPLETED", "FAILED", "SKIPPED", "CANCELLED"), 4
    )
    counted = rows(aged, "SELECT state, COUNT(*) AS count FROM jobs GROUP BY state ORDER BY count DESC")
    assert counted is None or dict(counted) == {state: n for state, n in states.items() if n}


def test_1_7_all_is_purged(aged: Home) -> None:
    assert post("/maintenance/purge", all=True, confirm=True)["done"] == 16
    assert OPERATOR.get("/jobs").body["jobs"] == []
    aged.pump()
    assert OPERATOR.get("/stats").body["stats"]["total"] == 0


def test_1_7_all_must_be_meant(home: Home) -> None:
    assert OPERATOR.post("/maintenance/purge", {"confirm": True}).status == 422
    assert USER.post("/maintenance/purge", {"all": True}).status == 403


def test_1_8_completed_jobs_older_than_seven_days_are_purged(aged: Home) -> None:
    body = post("/maintenance/purge", states=["completed"], older_than=7 * DAY, confirm=True)
    assert (body["done"], body["continuation"]) == (3, None)
    assert ids(OPERATOR.get("/jobs", "state=completed").body) == {"ok-35"}
    assert len(ids(OPERATOR.get("/jobs", "limit=200").body)) == 13


def test_1_9_failed_jobs_older_than_thirty_days_are_purged(aged: Home) -> None:
    assert post("/maintenance/purge", states=["FAILED"], older_than=30 * DAY, confirm=True)["done"] == 2
    assert ids(OPERATOR.get("/jobs", "state=failed").body) == {"bad-20", "bad-35"}


def test_1_10_and_1_23_old_jobs_are_archived_then_deleted_skipped_ones_too(aged: Home) -> None:
    body = post("/maintenance/archive", older_than=7 * DAY, confirm=True)
    assert body["done"] == 12
    lines = [json.loads(line) for key in body["archives"] for line in aged.ports.blobs.get(key).decode().splitlines()]
    assert Counter(line["state"] for line in lines) == dict.fromkeys(("COMPLETED", "FAILED", "SKIPPED", "CANCELLED"), 3)
    left = ids(OPERATOR.get("/jobs", "limit=200").body)
    assert left == {"ok-35", "bad-35", "skip-35", "never-35"}
    assert {line["id"] for line in lines} & left == set()


def test_1_10_an_archive_goes_on_where_it_stopped(aged: Home) -> None:
    done, body = 0, post("/maintenance/archive", all=True, limit=6, confirm=True)
    while True:
        assert body["matched"] <= 6
        done += body["done"]
        if body["continuation"] is None:
            break
        body = post("/maintenance/archive", all=True, limit=6, confirm=True, continuation=body["continuation"])
    assert done == 16


def test_1_11_to_1_13_queues_are_made_listed_and_changed(home: Home) -> None:
    for name, limit in (("extract", 1), ("high-priority", 2)):
        assert OPERATOR.call("PUT", f"/queues/{name}", json.dumps({"retry_limit": limit})).status == 200
    found = {queue["name"]: queue["retry_limit"] for queue in OPERATOR.get("/queues").body["queues"]}
    assert found == {"default": 3, "extract": 1, "high-priority": 2}
    assert OPERATOR.call("PATCH", "/queues/extract", '{"retry_limit": 3}').body["queue"]["retry_limit"] == 3
    assert USER.submit(queue="extract").body["job"]["retry_limit"] == 3


def test_1_17_stuck_jobs_are_those_active_for_over_an_hour(home: Home) -> None:
    found: list[set[str]] = []

    def long(job: Any) -> None:
        home.pump()
        for seconds in (3_600, 1):
            home.clock.advance(seconds)
            found.append(ids(OPERATOR.get("/stats/stuck", "older_than=3600").body))
        hour_ago = home.clock.now() - 3_600_000
        listed = rows(home, f"SELECT id FROM jobs WHERE state = 'ACTIVE' AND started_at < {hour_ago}")
        assert listed is None or {each[0] for each in listed} == found[-1]

    USER.submit(name="long", job_id="long", timeout=100_000)
    USER.submit(name="short", start_after="2040-01-01T00:00:00Z")
    home.serve_one(home.runner(long=long))
    assert found == [set(), {"long"}]
    assert OPERATOR.get("/stats/stuck").body["jobs"] == []


def test_1_18_retry_analysis_is_what_the_sql_says(home: Home) -> None:
    for number in range(3):
        USER.submit(name="twice", retry_limit=5, retry_delay=0, job_id=f"twice-{number}")
    USER.submit(name="often", retry_limit=9, retry_delay=0)
    USER.submit(name="fine")
    USER.submit(name="dead", retry_limit=2, retry_delay=0)
    handlers = {"twice": fail_until(3), "often": fail_until(8), "fine": lambda job: 1, "dead": fail}
    home.settle(home.runner(**handlers), seconds=20)
    found = OPERATOR.get("/stats/retries").body["retries"]
    assert found == [
        {"name": "often", "avg_retries": 7.0, "max_retries": 7, "total_jobs": 1},
        {"name": "dead", "avg_retries": 2.0, "max_retries": 2, "total_jobs": 1},
        {"name": "twice", "avg_retries": 2.0, "max_retries": 2, "total_jobs": 3},
    ]
    sql = (
        f"SELECT name, AVG({_USED}), MAX({_USED}), COUNT(*) FROM jobs WHERE {_USED} > 0 AND attempt > 0 "
        "GROUP BY name ORDER BY 2 DESC, 1"
    )
    listed = rows(home, sql)
    assert listed is None or listed == [tuple(each.values()) for each in found]
    post("/maintenance/purge", name="twice", confirm=True)
    home.pump()
    assert [each["name"] for each in OPERATOR.get("/stats/retries").body["retries"]] == ["often", "dead"]


def test_1_19_throughput_by_hour_is_what_the_sql_says(home: Home) -> None:
    OPERATOR.call("PUT", "/queues/default", json.dumps({"keep_seconds": 400 * DAY, "retry_limit": 0}))
    for hour in range(30):
        for number in range(hour % 4):
            USER.submit(name="ok" if number else "bad")
        run(home, ok=lambda job: 1, bad=fail)
        home.clock.advance(3_600)
    found = OPERATOR.get("/stats/throughput").body["throughput"]
    assert len(found) == 24
    assert [each["hour"] for each in found] == sorted(each["hour"] for each in found)
    assert found[-1]["completed_jobs"] == 0
    since = home.clock.now() // 3_600_000 * 3_600_000 - 23 * 3_600_000
    listed = rows(
        home,
        "SELECT strftime('%Y-%m-%dT%H:00:00.000Z', completed_at / 1000, 'unixepoch') AS hour, COUNT(*) FROM jobs "
        f"WHERE state = 'COMPLETED' AND completed_at >= {since} GROUP BY hour ORDER BY hour",
    )
    shown = [(each["hour"], each["completed_jobs"]) for each in found if each["completed_jobs"]]
    assert listed is None or listed == shown
    assert sum(count for _, count in shown) == sum(max(0, hour % 4 - 1) for hour in range(7, 30))


def test_1_20_the_columns_are_fields_of_a_job(home: Home) -> None:
    job = USER.submit().body["job"]
    assert set(COLUMNS.split()) | {"created_at", "started_at", "completed_at"} <= set(job)


def test_1_21_cleanup_goes_by_itself(home: Home) -> None:
    """Retention needs no schedule: the clock deletes what its queue keeps no longer."""
    OPERATOR.call("PUT", "/queues/default", '{"keep_seconds": 60}')
    USER.submit(job_id="mine")
    run(home, work=lambda job: 1)
    home.clock.advance(61)
    assert home.tick().retired == 1
    home.pump()
    assert OPERATOR.get("/stats").body["stats"]["total"] == 0


def test_1_22_sizes_are_seen(aged: Home) -> None:
    (queue,) = OPERATOR.get("/stats/queues").body["queues"]
    assert (queue["queue"], queue["depth"], queue["running"], queue["ended"]) == ("default", 0, 0, 16)
    assert OPERATOR.get("/stats").body["stats"]["total"] == 16


def test_1_24_filters_are_served_by_an_index_or_a_bounded_read(aged: Home) -> None:
    for query in ("state=failed", "state=active", "queue=default", "name=ok", "tag=none"):
        assert OPERATOR.get("/jobs", query).status == 200


def test_1_25_a_home_is_backed_up_while_it_runs(aged: Home, tmp_path: Path) -> None:
    if aged.app.settings.data is None:
        settings = Settings(jobs_table="tidegate-jobs", registry_table="tidegate-registry", pools={})
        made = runtime.back_up(settings, "before-maintenance")
        assert len(made) == 2
        assert all(":table/tidegate-" in arn and "/backup/" in arn for arn in made)
        return
    target = tmp_path / "copy"
    (told,) = runtime.back_up(aged.app.settings, str(target))
    assert told.startswith(f"{target} (")
    post("/maintenance/purge", all=True, confirm=True)
    copy = runtime.embedded(target, now=aged.clock.now)
    assert len(copy.ports.upkeep.walk(None, 100)[0]) == 16
    copy.ports.close()
    with pytest.raises(Conflict):
        runtime.back_up(aged.app.settings, str(target))


def test_failed_jobs_are_started_over_by_filter(aged: Home) -> None:
    body = post("/maintenance/retry", name="bad", older_than=30 * DAY, confirm=True)
    assert (body["action"], body["matched"], body["done"]) == ("retry", 2, 2)
    assert {job.state for job in (aged.job(f"bad-{day}") for day in (0, 5))} == {State.CREATED}
