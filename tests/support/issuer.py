"""An OIDC issuer for tests: keys, documents, and tokens true and forged."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tidegate.adapters.oidc import MAX_TOKEN_LENGTH
from tidegate.domain.errors import Unavailable

ISSUER = "https://id.example.org/realm"
JWKS = "https://id.example.org/keys"
DISCOVERY = f"{ISSUER}/.well-known/openid-configuration"
AUDIENCE = "tidegate"


@cache
def rsa_key(name: str = "a") -> rsa.RSAPrivateKey:
    """A private key, the same for the same name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def public(kid: str, key: Any, **fields: Any) -> dict[str, Any]:
    """A key of the issuer's set."""
    algorithm: Any = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**algorithm.to_jwk(key.public_key(), as_dict=True), "kid": kid, "use": "sig", **fields}


class Issuer:
    """Documents at addresses, and how often each was asked for."""

    def __init__(self, *keys: Mapping[str, Any]) -> None:
        self.keys = list(keys) or [public("k1", rsa_key(), alg="RS256")]
        self.asked: list[str] = []
        self.down = False
        self.issuer = ISSUER

    def fetch(self, address: str) -> bytes:
        self.asked.append(address)
        if self.down:
            raise Unavailable
        found = {DISCOVERY: {"issuer": self.issuer, "jwks_uri": JWKS}, JWKS: {"keys": self.keys}}
        return json.dumps(found[address]).encode()


def claims(now_ms: int, **changes: Any) -> dict[str, Any]:
    """Claims that are in order at a time; None leaves one out."""
    now = now_ms // 1000
    found = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "auth0|ada",
        "iat": now,
        "nbf": now,
        "exp": now + 300,
        "org": "acme",
        "scope": "openid tidegate:submit tidegate:read",
    }
    return {name: value for name, value in (found | changes).items() if value is not None}


def signed(payload: Mapping[str, Any], *, kid: str | None = "k1", key: Any = None, algorithm: str = "RS256") -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(dict(payload), key or rsa_key(), algorithm=algorithm, headers=headers)


def assembled(header: Mapping[str, Any], payload: Mapping[str, Any], signature: bytes = b"") -> str:
    """A token put together by hand, as a forger would."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _pem_of(kid: str) -> bytes:
    key = rsa_key(kid).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def forged(now_ms: int) -> dict[str, str]:
    """Tokens that the issuer has not signed, or not for us."""
    good = claims(now_ms)
    true = signed(good)
    head, body, signature = true.split(".")
    public_as_secret = assembled({"alg": "HS256", "kid": "k1"}, good)
    mac = hmac.new(_pem_of("a"), public_as_secret.rpartition(".")[0].encode(), hashlib.sha256).digest()
    return {
        "alg none": assembled({"alg": "none", "typ": "JWT"}, good),
        "alg None": assembled({"alg": "None", "kid": "k1"}, good),
        "alg none with the true signature": ".".join(
            (assembled({"alg": "none", "kid": "k1"}, good).rpartition(".")[0], signature)
        ),
        "the public key as an HMAC secret": assembled({"alg": "HS256", "kid": "k1"}, good, mac),
        "another's key under a known id": signed(good, key=rsa_key("b")),
        "an unknown id": signed(good, kid="k9", key=rsa_key("b")),
        "a key in its own header": assembled({"alg": "RS256", "jwk": public("k1", rsa_key("b"))}, good, b"x" * 256),
        "an algorithm that is not configured": signed(good, algorithm="RS512"),
        "another type of token": assembled({"alg": "RS256", "kid": "k1", "typ": "logout+jwt"}, good, b"x" * 256),
        "changed claims": f"{head}.{assembled({}, {**good, 'org': 'zeta'}).split('.')[1]}.{signature}",
        "no signature": f"{head}.{body}.",
        "a cut signature": true[:-8],
        "claims that are a list": _signed_list(),
        "an odd id of a key": assembled({"alg": "RS256", "kid": ["k1"]}, good, b"x" * 256),
        "critical extensions": assembled({"alg": "RS256", "kid": "k1", "crit": ["b64"], "b64": False}, good, b"x"),
        "expired": signed({**good, "exp": now_ms // 1000 - 61}),
        "not yet valid": signed({**good, "nbf": now_ms // 1000 + 61}),
        "for another": signed({**good, "aud": "another"}),
        "of another issuer": signed({**good, "iss": "https://id.example.com"}),
        "too long": signed({**good, "pad": "x" * MAX_TOKEN_LENGTH}),
        "nested deep": ".".join(
            (head, assembled({}, {"a": json.loads("[" * 900 + "]" * 900)}).split(".")[1], signature)
        ),
        "no JSON": "aaaa.bbbb.cccc",
        "two parts": f"{head}.{body}",
        "four parts": f"{true}.x",
    }


def _signed_list() -> str:
    return jwt.api_jws.encode(b"[]", rsa_key(), algorithm="RS256", headers={"kid": "k1"})
