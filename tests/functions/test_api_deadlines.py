"""Deadlines over HTTP: asked for as times or seconds, inherited, shown, and counted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from gateway import MORNING, Api

from home import Home
from tidegate.domain.job import HardMiss

EMPTY = {"met": 0, "missed_soft": 0, "missed_hard": 0, "at_risk": 0}


@pytest.mark.parametrize(
    ("given", "soft", "hard"),
    [
        ({"soft_sla": 60, "hard_sla": 90.5}, 60_000, 90_500),
        ({"soft_sla": "2033-05-18T08:01:00Z", "hard_sla": 90}, 60_000, 90_000),
        ({"soft_sla": 60, "start_after": "2033-05-18T09:00:00Z"}, 3_660_000, 7_200_000),
        ({}, 1_800_000, 3_600_000),
    ],
)
def test_deadlines_are_times_or_seconds_from_the_start_or_the_queues(
    api: Api, home: Home, given: dict[str, Any], soft: int, hard: int
) -> None:
    settings = {"soft_sla_seconds": 1_800, "hard_sla_seconds": 3_600, "on_hard_miss": "fail"}
    put = api.by(scopes="operate").call("PUT", "/queues/reports", json.dumps(settings))
    assert (put.status, put.body["queue"]["on_hard_miss"]) == (200, "fail")
    shown = api.submit(queue="reports", **given).body["job"]
    job = home.job(shown["id"])
    assert (job.soft_sla, job.hard_sla) == (MORNING + soft, MORNING + hard)
    assert (job.on_hard_miss, shown["sla"]) == (HardMiss.FAIL, "in_time")


@pytest.mark.parametrize(
    ("given", "field", "rule"),
    [
        ({"soft_sla": 0}, "soft_sla", "a number of seconds, above 0"),
        ({"hard_sla": -5}, "hard_sla", "a number of seconds, above 0"),
        ({"hard_sla": True}, "hard_sla", "or a number of seconds, above 0"),
        ({"soft_sla": "tomorrow"}, "soft_sla", "must be an RFC 3339 time"),
        ({"soft_sla": 60, "hard_sla": 59}, "hard_sla", "must not be before soft_sla"),
    ],
)
def test_what_is_no_deadline_is_refused_by_name(api: Api, given: dict[str, Any], field: str, rule: str) -> None:
    refused = api.submit(**given)
    assert refused.status == 422
    (error,) = refused.body["details"]["errors"]
    assert error["field"] == field
    assert rule in error["rule"]


def test_a_queues_deadlines_and_policy_are_checked(api: Api) -> None:
    for settings in ({"on_hard_miss": "explode"}, {"soft_sla_seconds": 2, "hard_sla_seconds": 1}):
        assert api.by(scopes="operate").call("PUT", "/queues/reports", json.dumps(settings)).status == 422


def test_figures_and_standings_follow_a_jobs_life(api: Api, home: Home) -> None:
    assert api.get("/stats/sla").body["sla"] == {**EMPTY, "queues": []}
    late = api.submit(soft_sla=60, hard_sla=120).body["job_id"]
    met = api.submit(name="quick", soft_sla=600, priority=10).body["job_id"]
    home.serve_one(home.runner(quick=lambda job: 1))
    for seconds, standing, changed in (
        (55, "at_risk", {"at_risk": 1}),
        (6, "soft_missed", {"missed_soft": 1}),
        (60, "hard_missed", {"missed_soft": 1, "missed_hard": 1}),
    ):
        home.pump()
        home.clock.advance(seconds)
        home.tick()
        home.pump()
        assert api.get(f"/jobs/{late}").body["job"]["sla"] == standing
        figures = {**EMPTY, "met": 1, **changed}
        assert api.get("/stats/sla").body["sla"] == {**figures, "queues": [{"queue": "default", **figures}]}
    assert api.get(f"/jobs/{met}").body["job"]["sla"] == "met"
    assert api.get("/stats/sla", "x=1").status == 422
    assert api.by(scopes="submit").get("/stats/sla").status == 403
