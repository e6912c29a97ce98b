"""Tokens of an OIDC issuer: their signatures checked with PyJWT, which is imported when the first one comes."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tidegate.domain.errors import InvalidInput, Unauthenticated, Unavailable
from tidegate.domain.identity import IdentityRules, check_address
from tidegate.domain.job import Ms

MAX_TOKEN_LENGTH = 8_192
FRESH_MS = 3_600_000
"""The issuer's keys are fetched anew after so long; a key that was withdrawn is taken for as long."""
ASK_AGAIN_MS = 30_000
"""Between two fetches at least: a flood of tokens with made-up keys is no flood at the issuer."""
FIRST_ASK_AGAIN_MS = 1_000
"""The same, as long as there are no keys at all."""
STALE_MS = 86_400_000
"""Keys are used so long while the issuer is out of reach."""
_TYPES = frozenset({None, "JWT", "at+jwt", "application/at+jwt"})
_OWN_CHECKS = ("exp", "nbf", "iat", "aud", "iss", "sub", "jti")
"""What `tidegate.domain.identity` says of a token whose signature is good."""
_OPTIONS: Any = {"enforce_minimum_key_length": True, **{f"verify_{name}": False for name in _OWN_CHECKS}}
Jwk = Mapping[str, Any]


class OidcIssuer:
    """`Issuer` of the configured rules. Safe to share between threads. `fetch` reads an address."""

    def __init__(self, rules: IdentityRules, now: Callable[[], Ms], fetch: Callable[[str], bytes]) -> None:
        self.rules = rules
        self._keys = _Keys(rules, now, fetch)

    def claims(self, token: str) -> Mapping[str, Any]:
        """See `Issuer.claims`."""
        import jwt

        if len(token) > MAX_TOKEN_LENGTH:
            raise Unauthenticated
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in self.rules.algorithms or header.get("typ") not in _TYPES:
                raise Unauthenticated
            key = self._keys.named(header.get("kid"))
            if key is None or key.get("alg") not in (None, header["alg"]):
                raise Unauthenticated
            # The algorithm is one of the configured; a key of another kind than it needs is refused by PyJWK.
            fitting = jwt.PyJWK(dict(key), header["alg"])
            claims: Mapping[str, Any] = jwt.decode(token, fitting, list(self.rules.algorithms), options=_OPTIONS)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise Unauthenticated from error
        return claims


class _Keys:
    """The issuer's public keys by id, remembered."""

    def __init__(self, rules: IdentityRules, now: Callable[[], Ms], fetch: Callable[[str], bytes]) -> None:
        self._rules = rules
        self._now = now
        self._fetch = fetch
        self._lock = threading.Lock()
        self._found: Mapping[str | None, Jwk] = {}
        self._fetched_at: Ms | None = None
        self._asked_at: Ms | None = None

    def named(self, kid: object) -> Jwk | None:
        """The key of that id; without an id the only one. Raises Unavailable when no keys can be had."""
        with self._lock:
            if self._age() >= FRESH_MS or self._match(kid) is None:
                self._refresh()
            if self._age() >= STALE_MS:
                raise Unavailable("the issuer's keys are out of reach")
            return self._match(kid)

    def _match(self, kid: object) -> Jwk | None:
        if kid is None:
            return next(iter(self._found.values())) if len(self._found) == 1 else None
        return self._found.get(kid) if isinstance(kid, str) else None

    def _age(self) -> Ms:
        return STALE_MS if self._fetched_at is None else self._now() - self._fetched_at

    def _refresh(self) -> None:
        """Ask the issuer for its keys, unless that was done just now; what fails leaves those that there are."""
        now = self._now()
        pause = FIRST_ASK_AGAIN_MS if self._fetched_at is None else ASK_AGAIN_MS
        if self._asked_at is not None and now - self._asked_at < pause:
            return
        self._asked_at = now
        try:
            self._found = _signing_keys(json.loads(self._fetch(self._address())))
        except (Unavailable, InvalidInput, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return
        self._fetched_at = now

    def _address(self) -> str:
        if self._rules.jwks_uri is not None:
            return self._rules.jwks_uri
        found = json.loads(self._fetch(self._rules.issuer.rstrip("/") + "/.well-known/openid-configuration"))
        if found["issuer"] != self._rules.issuer:
            raise ValueError("the discovery document is another issuer's")
        return check_address("jwks_uri", found["jwks_uri"])


def _signing_keys(document: Any) -> Mapping[str | None, Jwk]:
    """The public keys of a JWK Set that sign. Raises ValueError where there is none."""
    keys = [each for each in document["keys"] if each.get("use") in (None, "sig") and each["kty"] != "oct"]
    if not keys:
        raise ValueError("there is no key in the issuer's set")
    return {each.get("kid"): each for each in keys}
