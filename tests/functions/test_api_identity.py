"""`GET /whoami`."""

from __future__ import annotations

import pytest
from gateway import Api

from tidegate import __version__


@pytest.mark.parametrize("scopes", ["read", "submit read", "admin", "work"])
def test_any_token_may_ask_what_it_may_do(api: Api, scopes: str) -> None:
    answer = api.by(user="grace", tenant="acme", scopes=scopes).get("/whoami")
    assert answer.status == 200
    told = {name: answer.body[name] for name in ("tenant", "user", "scopes", "stage", "version")}
    assert told == {
        "tenant": "acme", "user": "grace", "scopes": sorted(scopes.split()), "stage": "local", "version": __version__
    }  # fmt: skip


def test_nobody_is_refused(api: Api) -> None:
    assert api.call("GET", "/whoami", authorizer={}).status == 401
    assert api.get("/whoami", "user=root").status == 422
