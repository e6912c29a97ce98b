"""The routes of `/tokens`, asked over the whole way: authorizer, API, client and command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from commands import Run, command_line
from gateway import Api

from home import Home
from support.inprocess import client_of
from tidegate import runtime
from tidegate.cli import session
from tidegate.client import Client
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound, Unauthenticated, Unavailable
from tidegate.service.tokens import new_token

ROOT = Api(user="root", scopes="admin")


def admin_token(home: Home, tenant: str = "main") -> str:
    clear, token = new_token(home.clock.now(), tenant=tenant, user="root", scopes=["admin"])
    home.ports.tokens.put(token)
    return clear


@pytest.fixture
def admin(home: Home) -> Iterator[Client]:
    with client_of(home.app, admin_token(home)) as client:
        yield client


def test_a_token_is_shown_once_used_and_revoked(home: Home, admin: Client) -> None:
    made = admin.create_token("etl@example.org", ["submit"], expires_in_seconds=3600, note="nightly")
    assert made.secret.startswith(f"{made.token.prefix}_")
    assert (made.token.state, made.token.created_by, made.token.note) == ("valid", "root", "nightly")
    assert made.token.expires_at == made.token.created_at + timedelta(hours=1)
    with client_of(home.app, made.secret) as etl:
        assert etl.submit("work").id
        with pytest.raises(Forbidden):
            etl.tokens()
    seen = {token.user: token for token in admin.tokens()}
    assert seen["etl@example.org"].last_used_at == datetime.fromtimestamp(home.clock.now() / 1000, UTC)
    assert made.secret not in json.dumps([token.raw for token in seen.values()])
    assert admin.revoke_token(made.token.id).state == "revoked"
    with client_of(home.app, made.secret) as etl, pytest.raises(Unauthenticated):
        etl.submit("work")


def test_a_token_that_has_had_its_time_is_listed_as_expired(home: Home, admin: Client) -> None:
    admin.create_token("ada", expires_in_seconds=60)
    home.clock.advance(60)
    assert {token.user: token.state for token in admin.tokens()} == {"root": "valid", "ada": "expired"}


def test_revoking_again_changes_nothing(home: Home, admin: Client) -> None:
    made = admin.create_token("ada")
    first = admin.revoke_token(made.token.id)
    home.clock.advance(60)
    assert admin.revoke_token(made.token.id) == first


def test_tokens_of_another_tenant_are_neither_seen_nor_revoked(home: Home, admin: Client) -> None:
    made = admin.create_token("ada")
    with client_of(home.app, admin_token(home, "zeta")) as other:
        assert [token.user for token in other.tokens()] == ["root"]
        with pytest.raises(NotFound):
            other.revoke_token(made.token.id)
    assert [token.state for token in admin.tokens()] == ["valid", "valid"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user"),
        ({"user": "a b"}, "user"),
        ({"user": "x" * 129}, "user"),
        ({"user": "ada", "scopes": []}, "scopes"),
        ({"user": "ada", "scopes": ["root"]}, "scopes.0"),
        ({"user": "ada", "expires_in_seconds": 59}, "expires_in_seconds"),
        ({"user": "ada", "note": "n" * 201}, "note"),
        ({"user": "ada", "tenant": "zeta"}, "tenant"),
        ({"user": "ada", "secret_hash": "0"}, "secret_hash"),
    ],
)
def test_a_wrong_wish_names_its_field_and_makes_none(api: Api, home: Home, body: Any, field: str) -> None:
    answer = api.by(scopes="admin").post("/tokens", body)
    assert (answer.status, answer.body["details"]["errors"][0]["field"]) == (422, field)
    assert list(home.ports.tokens.list("main")) == []


@pytest.mark.parametrize("scopes", ["submit", "read", "work", "operate", "submit read work operate"])
def test_only_admins_deal_with_tokens(api: Api, home: Home, scopes: str) -> None:
    other = api.by(scopes=scopes)
    answers = [other.post("/tokens", {"user": "ada"}), other.get("/tokens"), other.call("DELETE", "/tokens/x")]
    assert [(answer.status, answer.body["details"]) for answer in answers] == [(403, {"scope": "admin"})] * 3
    assert list(home.ports.tokens.list("main")) == []


@pytest.fixture
def run(home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, with an admin's token for the home."""
    token = admin_token(home)
    monkeypatch.setattr(session.Session, "client", lambda self, tries=4: client_of(home.app, token))
    return command_line(capsys)


def test_the_command_line_asks_the_server(home: Home, run: Run) -> None:
    code, out, _ = run("token", "create", "ada", "--scope", "read", "--expires-in-days", "30", "--note", "laptop")
    assert code == 0
    with client_of(home.app, out.strip()) as ada:
        assert list(ada.list()) == []
    code, out, _ = run("token", "list")
    (prefix, state, scopes), *_ = [line.split()[:2] + line.split()[3:4] for line in out.splitlines() if " ada " in line]
    assert (code, state, scopes) == (0, "valid", "read")
    assert run("token", "revoke", prefix) == (0, f"✅ Revoked token {prefix}\n", "")
    states = {each["user"]: each["state"] for each in json.loads(run("token", "list", "--json")[1])}
    assert states == {"root": "valid", "ada": "revoked"}
    assert run("token", "revoke", "tg_000000000000")[0] == 3


def test_the_command_line_works_in_a_folder_without_a_server(run: Run, tmp_path: Any) -> None:
    folder = str(tmp_path / "other")
    code, out, _ = run("token", "create", "ada", "--data", folder, "--tenant", "acme", "--json")
    made = json.loads(out)
    assert (code, made["tenant"], made["scopes"]) == (0, "acme", ["read", "submit"])
    app = runtime.embedded(tmp_path / "other")
    with client_of(app, made["secret"]) as ada:
        assert ada.submit("work").id
    app.ports.close()
    assert run("token", "list", "--data", folder)[1].count("\n") == 1
    assert made["prefix"] in run("token", "list", "--data", folder, "--tenant", "acme")[1]
    assert run("token", "revoke", made["id"], "--data", folder)[0] == 3
    assert run("token", "revoke", made["id"], "--data", folder, "--tenant", "acme")[0] == 0


@pytest.mark.parametrize("options", [("--tenant", "acme"), ("--data", "x", "--stack", "y")])
def test_a_home_that_nobody_can_mean_is_refused(run: Run, options: tuple[str, ...]) -> None:
    assert run("token", "list", *options)[0] == 2


def test_a_token_id_that_could_change_the_path_is_refused(admin: Client) -> None:
    with pytest.raises(InvalidInput):
        admin.revoke_token("..")


def test_a_server_whose_tokens_are_out_of_reach_says_so(home: Home, admin: Client) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise Unavailable

    broken = replace(home.app, ports=replace(home.ports, tokens=Broken()))
    with client_of(broken, admin.endpoint.token) as client, pytest.raises(Unavailable):
        client.health()
