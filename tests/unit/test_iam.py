"""Requests that IAM vouches for: whose are taken, and how a client signs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from botocore.auth import SigV4Auth  # type: ignore[import-untyped]
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped]
from botocore.credentials import Credentials  # type: ignore[import-untyped]

from tidegate.client import Client, Retries
from tidegate.client.endpoint import find_endpoint
from tidegate.domain.caller import Caller
from tidegate.domain.errors import Forbidden, InvalidInput, NotFound, Unavailable
from tidegate.domain.iam import caller_behind, iam_callers_from
from tidegate.settings import settings_from

ROLE = "arn:aws:iam::123456789012:role/data/etl"
ETL = {"principal": ROLE, "tenant": "acme", "user": "etl", "scopes": ["submit", "read"]}
BOB = {"principal": "arn:aws:iam::123456789012:user/bob", "tenant": "main", "user": "bob", "scopes": ["admin"]}
KNOWN = iam_callers_from([ETL, BOB])
API = "https://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"


def test_a_session_of_a_role_and_a_user_stand_for_whom_the_stage_says() -> None:
    etl = Caller("acme", "etl", frozenset({"submit", "read"}), f"iam:{ROLE}")
    assert caller_behind("arn:aws:sts::123456789012:assumed-role/etl/i-0123", KNOWN) == etl
    assert caller_behind(BOB["principal"], KNOWN).user == "bob"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:sts::123456789012:assumed-role/etl2/i-0123",
        "arn:aws:sts::123456789012:assumed-role/data/etl",
        "arn:aws:sts::210987654321:assumed-role/etl/i-0123",
        "arn:aws-cn:sts::123456789012:assumed-role/etl/i-0123",
        "arn:aws:sts::123456789012:assumed-role/bob/etl",
        "arn:aws:sts::123456789012:federated-user/etl",
        "arn:aws:iam::123456789012:root",
        "arn:aws:iam::123456789012:user/etl",
        "arn:aws:iam::123456789012:role/etl",
        "",
        None,
        7,
    ],
)
def test_nobody_else_in_the_account_is_anybody(arn: Any) -> None:
    with pytest.raises(Forbidden):
        caller_behind(arn, KNOWN)


@pytest.mark.parametrize(
    "wrong",
    [
        {**ETL, "principal": "arn:aws:iam::123456789012:role/*"},
        {**ETL, "principal": "arn:aws:iam::123456789012:root"},
        {**ETL, "principal": "arn:aws:sts::123456789012:assumed-role/etl/x"},
        {**ETL, "principal": 7},
        {**ETL, "tenant": "a#b"},
        {**ETL, "user": "a b"},
        {**ETL, "scopes": []},
        {**ETL, "scopes": ["root"]},
        {**ETL, "scopes": "admin"},
        {**ETL, "more": "x"},
        {"principal": ROLE},
        "etl",
    ],
)
def test_a_caller_that_cannot_be_meant_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidInput):
        iam_callers_from([wrong])


def test_callers_are_a_list_that_fits_the_environment_of_a_function() -> None:
    wrong: Any
    for wrong in ({}, [ETL] * 21):
        with pytest.raises(InvalidInput):
            iam_callers_from(wrong)
    assert len(iam_callers_from([ETL] * 20)) == 20


def test_the_embedded_home_knows_no_such_callers(tmp_path: Path) -> None:
    assert settings_from({"TIDEGATE_DATA": str(tmp_path), "TIDEGATE_IAM": "x"}).iam_callers == ()


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> Credentials:
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "TIDEGATE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TIDEGATE_AUTH", "iam")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    return Credentials("AKIDEXAMPLE", "secret", "session")


def test_a_client_signs_what_it_sends_and_sends_no_token(credentials: Credentials) -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(404, json={"success": False, "code": "NOT_FOUND", "message": "", "details": {}})

    with Client(API, transport=httpx.MockTransport(answer), retries=Retries(tries=1)) as client:
        for ask in (lambda: client.submit("work", {"ü": 1}), lambda: list(client.list(name="a b", tag="x/y"))):
            with pytest.raises(NotFound):
                ask()
    assert [request.url.path for request in requests] == ["/iam/jobs", "/iam/jobs"]
    for request in requests:
        assert request.headers["authorization"] == expected(request, credentials)
        assert request.headers["x-amz-security-token"] == "session"
        assert "eu-central-1/execute-api" in request.headers["authorization"]


def expected(request: httpx.Request, credentials: Credentials) -> str:
    """The signature that AWS would compute of what arrived."""
    again = AWSRequest(method=request.method, url=str(request.url), data=request.content)
    again.context["timestamp"] = request.headers["x-amz-date"]
    again.headers["X-Amz-Date"] = request.headers["x-amz-date"]
    again.headers["X-Amz-Security-Token"] = "session"
    signer = SigV4Auth(credentials, "execute-api", "eu-central-1")
    canonical = signer.canonical_request(again)
    signature = signer.signature(signer.string_to_sign(again, canonical), again)
    scope = f"{credentials.access_key}/{signer.credential_scope(again)}"
    signed = signer.signed_headers(signer.headers_to_sign(again))
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}"


def test_a_token_that_is_given_comes_before_signing(credentials: Credentials) -> None:
    assert find_endpoint(API).signs
    assert not find_endpoint(API, "tg_x").signs


def test_without_credentials_or_region_a_client_says_so(
    credentials: Credentials, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable, match="region"):
        Client("https://jobs.example.org")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Unavailable, match="credentials"):
        Client(API)


def test_another_way_to_prove_oneself_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEGATE_AUTH", "basic")
    with pytest.raises(InvalidInput, match="TIDEGATE_AUTH"):
        find_endpoint(API)
