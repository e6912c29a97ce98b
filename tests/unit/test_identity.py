"""Claims of an OIDC issuer's tokens: whose are taken, and whom each stands for."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import START_MS
from support.issuer import (
    AUDIENCE,
    ISSUER,
    JWKS,
    claims,
)
from tidegate.domain.caller import Caller
from tidegate.domain.errors import InvalidInput, Unauthenticated
from tidegate.domain.identity import IdentityRules, caller_from, rules_from

SETTINGS: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "tenant_claim": "org", "jwks_uri": JWKS}
RULES = rules_from(SETTINGS)
ADA = Caller("acme", "auth0|ada", frozenset({"submit", "read"}), f"oidc:{ISSUER}")


def test_claims_in_order_name_tenant_user_and_scopes() -> None:
    assert caller_from(claims(START_MS), RULES, START_MS) == ADA


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": ISSUER + "/"},
        {"iss": None},
        {"aud": "another"},
        {"aud": "tidegate another"},
        {"aud": ["another"]},
        {"aud": None},
        {"exp": None},
        {"exp": "2999999999"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": START_MS // 1000 - 60},
        {"nbf": START_MS // 1000 + 61},
        {"nbf": "soon"},
        {"iat": START_MS // 1000 + 61},
        {"org": None},
        {"org": "a#b"},
        {"org": ["acme"]},
        {"org": ""},
        {"sub": None},
        {"sub": 7},
        {"sub": "a b"},
        {"sub": "x" * 129},
    ],
)
def test_claims_out_of_order_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        caller_from(claims(START_MS, **changes), RULES, START_MS)


def test_the_issuers_clock_may_be_off_by_the_leeway_and_no_more() -> None:
    late = claims(START_MS, exp=START_MS // 1000 - 59, nbf=START_MS // 1000 + 60)
    assert caller_from(late, RULES, START_MS) == ADA
    with pytest.raises(Unauthenticated):
        caller_from(late, rules_from({**SETTINGS, "leeway_seconds": 58}), START_MS)


def test_groups_and_roles_can_grant_scopes_and_everybody_can_have_some() -> None:
    rules = rules_from(
        {
            "issuer": ISSUER,
            "audience": ["x", AUDIENCE],
            "tenant": "main",
            "user_claim": "email",
            "scopes_claim": "realm_access.roles",
            "scopes": {"ops": ["operate", "read"], "root": "admin"},
            "default_scopes": ["submit"],
        }
    )
    asked = claims(START_MS, email="ada@example.org", realm_access={"roles": ["ops", "cook", 7]})
    caller = caller_from(asked, rules, START_MS)
    assert (caller.tenant, caller.user) == ("main", "ada@example.org")
    assert caller.scopes == {"operate", "read", "submit"}
    nobody = caller_from(claims(START_MS, email="bob@example.org"), rules, START_MS)
    assert nobody.scopes == {"submit"}


def test_a_claim_of_the_whole_name_comes_before_a_path() -> None:
    rules = rules_from({**SETTINGS, "tenant_claim": "https://example.org/tenant"})
    asked = claims(START_MS, **{"https://example.org/tenant": "zeta"})
    assert caller_from(asked, rules, START_MS).tenant == "zeta"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(claims(0), JSON)))
def test_no_claims_whatever_do_anything_but_be_refused(found: dict[str, Any]) -> None:
    """A forger who could choose claims at random would not meet issuer and audience."""
    with pytest.raises(Unauthenticated):
        caller_from(found, RULES, START_MS)


@given(JSON, JSON, JSON, JSON)
def test_odd_values_of_a_true_issuer_never_break_anything(sub: Any, org: Any, scope: Any, nbf: Any) -> None:
    asked = {**claims(START_MS), "sub": sub, "org": org, "scope": scope, "nbf": nbf}
    try:
        caller = caller_from(asked, RULES, START_MS)
    except Unauthenticated:
        return
    assert (caller.user, caller.tenant) == (sub, org)
    assert caller.scopes <= {"submit", "read", "work", "operate", "admin"}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"issuer": None}, "issuer"),
        ({"issuer": "http://id.example.org"}, "issuer"),
        ({"issuer": "id.example.org"}, "issuer"),
        ({"audience": None}, "audience"),
        ({"audience": []}, "audience"),
        ({"tenant": "main"}, "tenant"),
        ({"tenant_claim": None}, "tenant"),
        ({"tenant_claim": None, "tenant": "a#b"}, "tenant"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": ["RS256", "HS256"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"jwks_uri": "file:///etc/passwd"}, "jwks_uri"),
        ({"scopes": {"ops": ["root"]}}, "scopes"),
        ({"scopes": ["ops"]}, "scopes"),
        ({"default_scopes": ["root"]}, "scopes"),
        ({"leeway_seconds": 301}, "leeway_seconds"),
        ({"leeway_seconds": True}, "leeway_seconds"),
        ({"isuer": "x"}, "isuer"),
    ],
)
def test_settings_that_cannot_be_meant_are_named(changes: dict[str, Any], field: str) -> None:
    settings = {name: value for name, value in {**SETTINGS, **changes}.items() if value is not None}
    with pytest.raises(InvalidInput) as caught:
        rules_from(settings)
    assert caught.value.details["errors"][0]["field"] == field


def test_an_issuer_on_this_machine_needs_no_https() -> None:
    assert rules_from({**SETTINGS, "issuer": "http://127.0.0.1:8080"}).issuer == "http://127.0.0.1:8080"


def test_rules_are_frozen_values() -> None:
    assert rules_from(SETTINGS) == RULES
    assert isinstance(RULES, IdentityRules)
