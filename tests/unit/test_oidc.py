"""Signatures of an OIDC issuer's tokens: no forged one is taken, and little is asked of the issuer."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from home import Home
from support.clock import Clock
from support.issuer import (
    AUDIENCE,
    DISCOVERY,
    ISSUER,
    JWKS,
    Issuer,
    assembled,
    claims,
    ec_key,
    forged,
    public,
    rsa_key,
    signed,
)
from tidegate import runtime
from tidegate.adapters.https import MAX_BYTES, read
from tidegate.adapters.oidc import ASK_AGAIN_MS, FRESH_MS, STALE_MS, OidcIssuer
from tidegate.domain.caller import Caller
from tidegate.domain.errors import TidegateError, Unauthenticated, Unavailable
from tidegate.domain.identity import rules_from
from tidegate.service.tokens import authenticate
from tidegate.settings import settings_from

SETTINGS: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "tenant_claim": "org", "jwks_uri": JWKS}
ADA = Caller("acme", "auth0|ada", frozenset({"submit", "read"}), f"oidc:{ISSUER}")


def issuer_of(issuer: Issuer, clock: Clock, **settings: Any) -> OidcIssuer:
    return OidcIssuer(rules_from({**SETTINGS, **settings}), clock.now, issuer.fetch)


# --- signatures


def test_a_signed_token_is_taken_beside_our_own(home: Home) -> None:
    oidc = issuer_of(Issuer(), home.clock)
    header = f"Bearer {signed(claims(home.clock.now()))}"
    assert authenticate(home.ports, header, oidc) == ADA
    with pytest.raises(Unauthenticated):
        authenticate(home.ports, header)


def test_no_forged_token_is_taken(home: Home) -> None:
    oidc = issuer_of(Issuer(), home.clock)
    tokens = forged(home.clock.now())
    taken = []
    for name, token in tokens.items():
        try:
            authenticate(home.ports, f"Bearer {token}", oidc)
            taken.append(name)
        except Unauthenticated:
            continue
    assert taken == []
    assert authenticate(home.ports, f"Bearer {signed(claims(home.clock.now()))}", oidc) == ADA


def test_a_key_signs_with_its_own_algorithm_alone(clock: Clock) -> None:
    keys = [public("r", rsa_key()), public("p", rsa_key(), alg="PS256"), public("e", ec_key())]
    oidc = issuer_of(Issuer(*keys), clock, algorithms=["RS256", "PS256", "ES256"])
    good = claims(clock.now())
    assert oidc.claims(signed(good, kid="r")) == good
    assert oidc.claims(signed(good, kid="r", algorithm="PS256")) == good
    assert oidc.claims(signed(good, kid="p", algorithm="PS256")) == good
    assert oidc.claims(signed(good, kid="e", key=ec_key(), algorithm="ES256")) == good
    for wrong in (signed(good, kid="p"), signed(good, kid="e"), signed(good, kid="r", key=ec_key(), algorithm="ES256")):
        with pytest.raises(Unauthenticated):
            oidc.claims(wrong)


def test_keys_for_encryption_and_shared_secrets_are_passed_over(clock: Clock) -> None:
    secret = {"kty": "oct", "kid": "s", "k": "AAAA"}
    keys = [public("k1", rsa_key()), public("enc", rsa_key("b"), use="enc"), secret]
    oidc = issuer_of(Issuer(*keys), clock)
    assert oidc.claims(signed(claims(clock.now()), kid=None)), "one key is left, so none need be named"
    with pytest.raises(Unauthenticated):
        oidc.claims(signed(claims(clock.now()), kid="enc", key=rsa_key("b")))


def test_without_a_name_no_key_is_guessed(clock: Clock) -> None:
    oidc = issuer_of(Issuer(public("k1", rsa_key()), public("k2", rsa_key("b"))), clock)
    with pytest.raises(Unauthenticated):
        oidc.claims(signed(claims(clock.now()), kid=None))


# --- the issuer's keys


def test_keys_are_found_by_discovery_and_remembered(clock: Clock) -> None:
    issuer = Issuer()
    settings = {name: value for name, value in SETTINGS.items() if name != "jwks_uri"}
    oidc = OidcIssuer(rules_from(settings), clock.now, issuer.fetch)
    for _ in range(5):
        oidc.claims(signed(claims(clock.now())))
    assert issuer.asked == [DISCOVERY, JWKS]


@pytest.mark.parametrize("change", [{"issuer": "https://evil.example"}, {"keys": [{"kty": "oct", "k": "AAAA"}]}])
def test_documents_that_are_not_the_issuers_are_not_believed(clock: Clock, change: dict[str, Any]) -> None:
    issuer = Issuer()
    vars(issuer).update(change)
    settings = {name: value for name, value in SETTINGS.items() if name != "jwks_uri"}
    with pytest.raises(Unavailable):
        OidcIssuer(rules_from(settings), clock.now, issuer.fetch).claims(signed(claims(clock.now())))


def test_a_new_key_is_found_at_once(clock: Clock) -> None:
    issuer = Issuer()
    oidc = issuer_of(issuer, clock)
    oidc.claims(signed(claims(clock.now())))
    clock.advance(ASK_AGAIN_MS / 1000)
    issuer.keys = [public("k2", rsa_key("b"))]
    assert oidc.claims(signed(claims(clock.now()), kid="k2", key=rsa_key("b")))
    with pytest.raises(Unauthenticated):
        oidc.claims(signed(claims(clock.now()), kid="k1"))


def test_a_flood_of_unknown_keys_asks_the_issuer_once_in_half_a_minute(clock: Clock) -> None:
    issuer = Issuer()
    oidc = issuer_of(issuer, clock)
    for number in range(600):
        with pytest.raises(Unauthenticated):
            oidc.claims(assembled({"alg": "RS256", "kid": f"made-up-{number}"}, claims(clock.now()), b"x" * 256))
        clock.advance(0.1)
    assert len(issuer.asked) == 2


def test_a_withdrawn_key_is_refused_once_the_set_is_fetched_anew(clock: Clock) -> None:
    issuer = Issuer()
    oidc = issuer_of(issuer, clock)
    oidc.claims(signed(claims(clock.now())))
    issuer.keys = [public("k2", rsa_key("b"))]
    clock.advance(FRESH_MS / 1000 - 1)
    assert oidc.claims(signed(claims(clock.now())))
    clock.advance(1)
    with pytest.raises(Unauthenticated):
        oidc.claims(signed(claims(clock.now())))


def test_an_issuer_out_of_reach_is_outlasted_for_a_day_and_is_no_refusal(clock: Clock) -> None:
    issuer = Issuer()
    issuer.down = True
    oidc = issuer_of(issuer, clock)
    with pytest.raises(Unavailable):
        oidc.claims(signed(claims(clock.now())))
    issuer.down = False
    clock.advance(1)
    assert oidc.claims(signed(claims(clock.now())))
    issuer.down = True
    clock.advance(STALE_MS / 1000 - 1)
    assert oidc.claims(signed(claims(clock.now())))
    clock.advance(ASK_AGAIN_MS / 1000)
    with pytest.raises(Unavailable):
        oidc.claims(signed(claims(clock.now())))


# --- over HTTP, and as settings


@pytest.fixture
def server() -> Iterator[tuple[str, dict[str, tuple[int, bytes]]]]:
    """A server on this machine, and what it answers by path."""
    answers: dict[str, tuple[int, bytes]] = {}

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = answers.get(self.path, (404, b""))
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/keys")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Silent."""

    listening = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}", answers
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_home_takes_the_tokens_of_the_issuer_it_is_told_of(
    server: tuple[str, dict[str, tuple[int, bytes]]], tmp_path: Path
) -> None:
    address, answers = server
    discovery = {"issuer": address, "jwks_uri": f"{address}/keys?v=1"}
    answers["/.well-known/openid-configuration"] = (200, json.dumps(discovery).encode())
    answers["/keys?v=1"] = (200, json.dumps({"keys": [public("k1", rsa_key())]}).encode())
    told = json.dumps({"issuer": address, "audience": AUDIENCE, "tenant": "main"})
    app = runtime.build(settings_from({"TIDEGATE_DATA": str(tmp_path), "TIDEGATE_OIDC": told}))
    token = signed(claims(app.ports.now(), iss=address))
    caller = authenticate(app.ports, f"Bearer {token}", app.issuer)
    assert (caller.tenant, caller.user, caller.via) == ("main", "auth0|ada", f"oidc:{address}")
    app.ports.close()


@pytest.mark.parametrize("answer", [(302, b""), (404, b"{}"), (500, b""), (200, b"x" * (MAX_BYTES + 1))])
def test_what_is_no_small_document_is_out_of_reach(
    server: tuple[str, dict[str, tuple[int, bytes]]], answer: tuple[int, bytes]
) -> None:
    address, answers = server
    answers["/"] = answer
    with pytest.raises(Unavailable):
        read(address)


def test_nobody_listening_is_out_of_reach() -> None:
    with pytest.raises(Unavailable):
        read("http://127.0.0.1:1/")


@pytest.mark.parametrize("text", ["{", "[]", "7", '{"issuer": "https://x"}', '{"issuer": 1, "audience": "a"}'])
def test_settings_that_cannot_be_read_name_their_variable(text: str) -> None:
    with pytest.raises(TidegateError, match="TIDEGATE_OIDC"):
        settings_from({"TIDEGATE_DATA": "x", "TIDEGATE_OIDC": text})


def test_what_checks_signatures_is_imported_when_a_token_of_the_issuer_comes(tmp_path: Path) -> None:
    code = (
        "import sys, tidegate_functions.authorizer.handler; from tidegate import runtime;"
        "from tidegate.settings import settings_from;"
        "app = runtime.build(settings_from({'TIDEGATE_DATA': sys.argv[1], 'TIDEGATE_OIDC': sys.argv[2]}));"
        "print(app.issuer is not None, [name for name in ('jwt', 'cryptography') if name in sys.modules])"
    )
    for told, expected in (("", "False []"), (json.dumps(SETTINGS), "True []")):
        command = [sys.executable, "-c", code, str(tmp_path), told]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        assert run.stdout.strip() == expected
