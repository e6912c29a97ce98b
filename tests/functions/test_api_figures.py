"""`GET /stats/depth` and `/stats/timeline`: what the change feed makes of a job's whole life."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gateway import MORNING, Api

from home import Home
from tidegate import JobContext, PermanentError
from tidegate.local.background import pump_changes


@pytest.fixture
def feed(home: Home) -> Callable[[], None]:
    """Everything that happened is counted."""

    def count() -> None:
        assert home.app.feed is not None
        while pump_changes(home.ports, home.app.feed):
            pass

    return count


def depth(api: Api, feed: Callable[[], None]) -> Any:
    feed()
    return api.get("/stats/depth").body["depth"]


def fail(_: JobContext) -> None:
    raise PermanentError("no")


def test_a_job_counts_while_it_waits_for_a_worker(api: Api, home: Home, feed: Callable[[], None]) -> None:
    api.submit(job_id="one", priority="critical")
    api.submit(job_id="two", priority=3)
    found = depth(api, feed)
    assert found["bands"] == {"critical": 1, "high": 0, "normal": 0, "low": 1}
    assert (found["total"], found["priorities"]) == (2, {"3": 1, "10": 1})
    api.post("/jobs/one/priority", {"priority": 8})
    assert depth(api, feed)["priorities"] == {"3": 1, "8": 1}
    home.serve_one(home.runner(work=lambda _: None))
    assert depth(api, feed)["priorities"] == {"3": 1}
    api.post("/jobs/two/cancel")
    found = depth(api, feed)
    assert (found["total"], found["oldest_job"], found["oldest_seconds"]) == (0, None, None)


def test_a_job_with_a_time_of_its_own_counts_from_then_on(api: Api, home: Home, feed: Callable[[], None]) -> None:
    api.submit(job_id="later", start_after="2033-05-18T08:01:00Z")
    assert depth(api, feed)["total"] == 0
    home.clock.advance(200)
    home.tick()
    found = depth(api, feed)
    assert (found["total"], found["oldest_job"]["id"], found["oldest_seconds"]) == (1, "later", 140.0)


def test_a_job_counts_between_two_attempts(api: Api, home: Home, feed: Callable[[], None]) -> None:
    api.submit(job_id="shaky", priority=7)

    def shake(_: JobContext) -> None:
        raise ValueError("again")

    home.serve_one(home.runner(work=shake))
    assert depth(api, feed)["priorities"] == {"7": 1}


def test_a_node_counts_once_nothing_holds_it(api: Api, home: Home, feed: Callable[[], None]) -> None:
    nodes = [{"id": "a", "name": "work"}, {"id": "b", "name": "work", "depends_on": ["a"], "priority": 10}]
    assert api.post("/dags", {"name": "d", "nodes": nodes}).status == 201
    assert depth(api, feed)["priorities"] == {"5": 1}
    home.serve_one(home.runner(work=lambda _: None))
    feed()
    assert depth(api, feed)["priorities"] == {"10": 1}


def test_an_erased_job_counts_no_more(api: Api, home: Home, feed: Callable[[], None]) -> None:
    api.submit(job_id="gone")
    api.post("/jobs/gone/cancel")
    api.call("DELETE", "/jobs/gone")
    assert depth(api, feed)["total"] == 0
    assert home.ports.figures.read("main", "totals").get("waiting5", 0) == 0


def test_the_timeline_tells_ends_of_both_kinds_and_durations(api: Api, home: Home, feed: Callable[[], None]) -> None:
    for name in ("work", "work", "bad"):
        api.submit(name=name)

    def work(_: JobContext) -> None:
        home.clock.advance(2)

    home.drain(home.runner(work=work, bad=fail))
    feed()
    found = api.get("/stats/timeline", "hours=2").body["timeline"]
    assert (found["step_seconds"], len(found["points"])) == (300, 24)
    assert found["points"][-1] == {"at": "2033-05-18T08:00:00.000Z", "completed": 2, "failed": 1}
    assert (found["completed"], found["failed"], found["success_rate"]) == (2, 1, 66.7)
    assert found["p50_run_seconds"] == pytest.approx(2, rel=0.3)
    (hour,) = api.get("/stats/throughput", "hours=1").body["throughput"]
    assert (hour["completed_jobs"], hour["failed_jobs"], hour["avg_run_seconds"]) == (2, 1, 2.0)
    assert hour["p99_run_seconds"] == pytest.approx(2, rel=0.5)
    assert home.clock.now() > MORNING


@pytest.mark.parametrize("query", ["hours=0", "hours=721", "hours=x", "days=1"])
def test_windows_are_checked(api: Api, query: str) -> None:
    assert api.get("/stats/timeline", query).status == 422
    assert api.by(scopes="submit").get("/stats/timeline").status == 403
    assert api.by(scopes="submit").get("/stats/depth").status == 403
