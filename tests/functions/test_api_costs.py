"""`GET /costs`, its client and its command line; and `cost` of a job."""

from __future__ import annotations

import json
from datetime import date

import pytest
from bridge import client_of
from commands import Run
from gateway import Api

from home import Home
from tidegate.cli.costs import amount
from tidegate.domain.caller import Caller
from tidegate.local.sse import Wish


@pytest.fixture
def spent(api: Api, home: Home) -> float:
    """What two jobs of the morning of 2033-05-18 have cost; one of another tenant cost something too."""
    ids = [api.submit().body["job_id"] for _ in range(2)]
    api.by(tenant="acme").submit()
    home.drain(home.runner(work=lambda _: home.clock.advance(2)))
    home.pump()
    return float(sum(api.get(f"/jobs/{job_id}").body["job"]["cost"] for job_id in ids))


def test_costs_are_told_by_day_and_queue(api: Api, spent: float) -> None:
    answer = api.get("/costs", "from=2033-05-17")
    assert (answer.status, answer.body["message"]) == (200, "Costs retrieved")
    found = answer.body["costs"]
    assert (found["from"], found["to"], found["region"]) == ("2033-05-17", "2033-05-18", "us-east-1")
    assert found["budgets"] == []
    assert 0 < spent == pytest.approx(found["dollars"])
    assert found["queues"] == {"default": found["dollars"]}
    assert found["days"] == [
        {"day": "2033-05-17", "dollars": 0.0, "queues": {}},
        {"day": "2033-05-18", "dollars": found["dollars"], "queues": found["queues"]},
    ]
    whole_month = api.get("/costs").body["costs"]
    assert (whole_month["from"], len(whole_month["days"]), whole_month["dollars"]) == ("2033-05-01", 18, spent)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2033-5-1", "from"), ("from=20330501", "from"), ("to=2033-02-30", "to"), ("from=٢٠٣٣-05-01", "from"),
        ("from=2033-05-02&to=2033-05-01", "from"), ("from=2033-01-01", "from"), ("since=2033-05-01", "since"),
        ("from=", "from"),
    ],
)  # fmt: skip
def test_days_that_make_no_sense_are_refused_by_name(api: Api, query: str, field: str) -> None:
    answer = api.get("/costs", query)
    assert (answer.status, answer.body["details"]["errors"][0]["field"]) == (422, field)


def test_client_and_command_line_say_the_same(api: Api, run: Run, spent: float) -> None:
    found = client_of(api).costs(date(2033, 5, 18))
    assert found == client_of(api).costs("2033-05-18", "2033-05-18")
    assert found == api.get("/costs", "from=2033-05-18").body["costs"]
    code, out, _ = run("costs", "--from", "2033-05-17")
    assert code == 0
    assert out.splitlines()[1].split() == ["2033-05-17", "$0.000000"]
    assert out.splitlines()[2].split()[:2] == ["2033-05-18", amount(spent)]
    assert f"together {amount(spent)}, at list prices" in out
    assert run("costs", "--from", "yesterday")[0] == 2
    assert run("costs", "--json")[1].startswith('{\n  "from": "2033-05-01"')


def test_amounts_tell_something() -> None:
    assert [amount(each) for each in (0.0, 0.0000123, 0.5, 1.0, 12_345.678)] == [
        "$0.000000", "$0.000012", "$0.500000", "$1.00", "$12,345.68",
    ]  # fmt: skip


@pytest.mark.parametrize("day", ["0001-01-01", "1969-12-31", "9999-12-31"])
def test_of_days_far_away_nothing_is_known(api: Api, day: str) -> None:
    answer = api.get("/costs", f"from={day}&to={day}")
    assert (answer.status, answer.body["costs"]["days"]) == (200, [{"day": day, "dollars": 0.0, "queues": {}}])


def test_a_spent_budget_is_answered_and_shown(api: Api, run: Run, spent: float) -> None:
    admin = api.by(user="olga", scopes="admin read")
    limits = {"daily_budget": spent / 2, "monthly_budget": 100, "budget_warn_at": 0.9}
    assert admin.call("PATCH", "/tenant", json.dumps(limits)).status == 200
    refused = api.submit()
    assert (refused.status, refused.headers["retry-after"], refused.body["code"]) == (429, "57594", "TOO_MANY_REQUESTS")
    assert (refused.body["details"]["reason"], refused.body["details"]["period"]) == ("budget", "day")
    assert api.post("/dags", {"name": "run", "nodes": [{"id": "a", "name": "work"}]}).status == 429
    assert api.post("/jobs/batch", {"jobs": [{"name": "work"}]}).body["rejected"][0]["details"]["reason"] == "budget"
    day, month = api.get("/costs").body["costs"]["budgets"]
    assert day == {
        "period": "day", "from": "2033-05-18", "until": "2033-05-19T00:00:00.000Z", "dollars": spent,
        "budget": pytest.approx(spent / 2, abs=1e-9), "warn_at": 0.9, "reached": True,
    }  # fmt: skip
    assert (month["period"], month["budget"], month["reached"]) == ("month", 100.0, False)
    assert api.get("/tenant").body["tenant"]["use"]["spent_in_month"] == pytest.approx(spent)
    assert "in this day: reached, nothing more is accepted" in run("costs")[1]
    figures = api.get("/metrics").text
    assert f'tidegate_spent_dollars{{period="day"}} {spent}' in figures
    assert 'tidegate_budget_dollars{period="month"} 100\n' in figures


def test_listeners_who_see_all_users_hear_of_the_budget(api: Api, home: Home) -> None:
    api.by(scopes="admin").call("PATCH", "/tenant", '{"daily_budget": 0.000001}')
    api.submit()
    home.pump()
    assert home.app.stream is not None
    found, _ = home.app.stream.read("main", 0, 100)
    budgets = [each for each in found if each.event.type.startswith("budget.")]
    assert [each.event.type for each in budgets] == ["budget.warned", "budget.reached"]
    callers = {scope: Caller("main", "zoe", frozenset({scope})) for scope in ("read", "operate")}
    heard = {scope: Wish(caller).wants(budgets[0].event) for scope, caller in callers.items()}
    assert heard == {"read": False, "operate": True}
    assert not Wish(callers["operate"], queue="default").wants(budgets[0].event)
