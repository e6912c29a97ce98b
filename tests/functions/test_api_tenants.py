"""Limits of tenants over the whole way: HTTP, client and command line; who may set them, and what is refused."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from commands import Run, command_line
from gateway import Api

from home import Home
from support.inprocess import InProcess, client_of
from tidegate.cli import session
from tidegate.client import AsyncClient, Client
from tidegate.domain.errors import Forbidden, InvalidInput, TooManyRequests
from tidegate.service.tokens import new_token

ADMIN = Api(user="olga", scopes="admin")
NO_BUDGETS = {"daily_budget": None, "monthly_budget": None, "budget_warn_at": None}


@pytest.fixture
def client(home: Home) -> Iterator[Client]:
    clear, token = new_token(home.clock.now(), tenant="main", user="olga", scopes=["admin"])
    home.ports.tokens.put(token)
    with client_of(home.app, clear) as made:
        yield made


@pytest.mark.usefixtures("api")
def test_an_admin_sets_limits_and_takes_them_away(api: Api) -> None:
    assert api.get("/tenant").body["tenant"]["submit_rate"] is None
    body = {"submit_rate": 5, "submit_burst": 2, "max_running": 3, "max_schedules": 4, "max_batch": 5}
    changed = ADMIN.call("PATCH", "/tenant", json.dumps(body | {"max_dag_nodes": 6, "max_payload_bytes": 700}))
    assert (changed.status, changed.body["tenant"]) == (
        200,
        {"name": "main", **body, "max_dag_nodes": 6, "max_payload_bytes": 700, "fixed": False, **NO_BUDGETS},
    )
    assert ADMIN.call("PATCH", "/tenant", '{"max_running": null}').body["tenant"]["max_schedules"] == 4
    found = api.get("/tenant").body["tenant"]
    assert (found["max_running"], found["use"]) == (
        None, {"running": None, "schedules": 0, "spent_in_day": None, "spent_in_month": None},
    )  # fmt: skip


@pytest.mark.usefixtures("api")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"submit_rate": "5"}, "submit_rate"),
        ({"max_running": 0}, "max_running"),
        ({"max_batch": 1.5}, "max_batch"),
        ({"fixed": True}, "fixed"),
        ({"daily_budget": 0}, "daily_budget"),
        ({"monthly_budget": "10"}, "monthly_budget"),
        ({"budget_warn_at": 1.5}, "budget_warn_at"),
        ({"name": "zeta"}, "name"),
    ],
)
def test_what_cannot_be_a_limit_is_named_and_changes_nothing(api: Api, body: object, field: str) -> None:
    refused = ADMIN.call("PATCH", "/tenant", json.dumps(body))
    assert (refused.status, refused.body["details"]["errors"][0]["field"]) == (422, field)
    assert api.get("/tenant").body["tenant"]["max_batch"] is None


def test_too_quick_a_submitter_is_told_when_to_come_back(api: Api) -> None:
    ADMIN.call("PATCH", "/tenant", '{"submit_rate": 0.25, "submit_burst": 1}')
    assert api.submit().status == 201
    refused = api.submit()
    assert (refused.status, refused.headers["retry-after"]) == (429, "4")
    assert refused.body["message"] == "tenant 'main' submits more than 0.25 jobs a second, and that is its limit"
    batch = api.post("/jobs/batch", {"jobs": [{"name": "work"}, {"name": "work"}]}).body
    assert (batch["accepted"], [each["code"] for each in batch["rejected"]]) == ([], ["TOO_MANY_REQUESTS"] * 2)
    assert api.by(tenant="zeta").submit().status == 201


def test_the_client_says_the_same(client: Client, home: Home) -> None:
    assert client.change_tenant(submit_rate=0.5, submit_burst=1)["submit_rate"] == 0.5
    client.submit("work", {})
    with pytest.raises(TooManyRequests):
        client.submit("work", {})
    with pytest.raises(InvalidInput, match="max_batch"):
        client.change_tenant(max_batch=1000)

    async def asked() -> object:
        transport = httpx.MockTransport(InProcess(home.app).handle_request)
        async with AsyncClient("http://home.test", client.endpoint.token, transport=transport) as waited:
            await waited.change_tenant(submit_rate=None, submit_burst=None)
            return (await waited.tenant())["submit_rate"]

    assert asyncio.run(asked()) is None


@pytest.fixture
def run(client: Client, home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(session.Session, "client", lambda self, tries=4: client_of(home.app, client.endpoint.token))
    return command_line(capsys, "tenant")


def test_limits_set_in_the_home_stay_whatever_a_tenants_admin_asks(
    home: Home, client: Client, run: Run, tmp_path: Path
) -> None:
    data = ("--data", str(tmp_path / "home"))
    code, out, _ = run("set", "max_running=2", "submit_rate=50", *data)
    assert (code, "fixed: true" in out) == (0, True)
    with pytest.raises(Forbidden, match="set in the home itself"):
        client.change_tenant(max_running=None)
    run("set", "max_running=null", *data)
    shown = json.loads(run("show", *data, "--json")[1])
    assert (shown["max_running"], shown["submit_rate"], shown["fixed"]) == (None, 50, True)
    assert run("set", "max_running=0", *data) == (2, "", "Error: max_running: must be from 1 to 500\n")
    assert run("set", "colour=red", *data, "--tenant", "zeta") == (2, "", "Error: colour: is not a known field\n")


def test_the_command_line_asks_the_server(run: Run) -> None:
    assert "max_schedules: 3" in run("set", "max_schedules=3")[1]
    assert "max_schedules: 3" in run("show")[1]
    code, _, err = run("show", "--tenant", "zeta")
    assert (code, "--tenant: a server knows one tenant" in err) == (2, True)
