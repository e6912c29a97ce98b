"""Identities of an OIDC issuer: which of its tokens are accepted, and whom each stands for; signatures apart."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from .caller import SCOPES, Caller, check_user
from .errors import InvalidInput, Unauthenticated
from .job import Json, Ms
from .queue import check_name

ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})
"""Signatures with a public key alone: with a shared secret, whoever can check a token can forge one."""
MAX_LEEWAY_SECONDS = 300.0
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _own_scopes() -> Mapping[str, frozenset[str]]:
    return {f"tidegate:{scope}": frozenset({scope}) for scope in SCOPES}


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityRules:
    """Whose tokens are accepted, and how their claims name tenant, user and scopes.

    A claim is named as it is, or by a path with dots where there is none of that name (`realm_access.roles`).
    """

    issuer: str
    """`iss`, letter for letter."""
    audience: frozenset[str]
    """One of them must be among the token's."""
    tenant: str | None = None
    """Everybody's tenant; or else `tenant_claim`."""
    tenant_claim: str | None = None
    algorithms: tuple[str, ...] = ("RS256",)
    jwks_uri: str | None = None
    """Where the issuer's keys are; found by OpenID Connect Discovery if it is not given."""
    audience_claim: str = "aud"
    user_claim: str = "sub"
    scopes_claim: str = "scope"
    scopes: Mapping[str, frozenset[str]] = field(default_factory=_own_scopes)
    """What each value of the claim allows; values that are not here allow nothing."""
    default_scopes: frozenset[str] = frozenset()
    """What everybody may whom the issuer vouches for."""
    leeway_seconds: float = 60.0
    """How far the issuer's clock may be off."""

    def __post_init__(self) -> None:
        check_address("issuer", self.issuer)
        if self.jwks_uri is not None:
            check_address("jwks_uri", self.jwks_uri)
        if (self.tenant is None) == (self.tenant_claim is None):
            raise InvalidInput.field("tenant", "give either tenant or tenant_claim")
        if self.tenant is not None:
            check_name("tenant", self.tenant)
        if not self.audience or not all(self.audience):
            raise InvalidInput.field("audience", "must name at least one")
        if not self.algorithms or not set(self.algorithms) <= ALGORITHMS:
            raise InvalidInput.field("algorithms", f"must be some of {', '.join(sorted(ALGORITHMS))}")
        for granted in (self.default_scopes, *self.scopes.values()):
            if not granted <= SCOPES:
                raise InvalidInput.field("scopes", f"may grant {', '.join(sorted(SCOPES))}")
        if not 0 <= self.leeway_seconds <= MAX_LEEWAY_SECONDS:
            raise InvalidInput.field("leeway_seconds", f"must be from 0 to {MAX_LEEWAY_SECONDS:g}")


def rules_from(settings: Json) -> IdentityRules:
    """The rules that a JSON object states. Raises InvalidInput naming the field at fault."""
    if not isinstance(settings, dict):
        raise InvalidInput.field("oidc", "must be a JSON object")
    readers: Mapping[str, Any] = {
        "audience": _texts,
        "algorithms": lambda name, value: tuple(sorted(_texts(name, value))),
        "scopes": _granted,
        "default_scopes": _texts,
        "leeway_seconds": _seconds,
    }
    for name in settings:
        if name not in {each.name for each in fields(IdentityRules)}:
            raise InvalidInput.field(name, "is not a known setting")
    for name in ("issuer", "audience"):
        if name not in settings:
            raise InvalidInput.field(name, "is required")
    return IdentityRules(**{name: readers.get(name, _text)(name, value) for name, value in settings.items()})


def check_address(name: str, address: str) -> str:
    """`address`, if what is read there can be believed: https, or this very machine. Raises InvalidInput."""
    parts = urlsplit(address)
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)):
        raise InvalidInput.field(name, "must be an https:// address")
    return address


def caller_from(claims: Mapping[str, Any], rules: IdentityRules, now: Ms) -> Caller:
    """Whom a token with these claims stands for, its signature being the issuer's. Raises Unauthenticated."""
    if claims.get("iss") != rules.issuer or not _listed(claims.get(rules.audience_claim)) & rules.audience:
        raise Unauthenticated
    if not _in_its_time(claims, now / 1000, rules.leeway_seconds):
        raise Unauthenticated
    tenant = rules.tenant if rules.tenant is not None else _claim(claims, rules.tenant_claim or "")
    user = _claim(claims, rules.user_claim)
    if not isinstance(tenant, str) or not isinstance(user, str):
        raise Unauthenticated
    try:
        check_name("tenant", tenant)
        check_user("user", user)
    except InvalidInput:
        raise Unauthenticated from None
    held = _words(_claim(claims, rules.scopes_claim))
    granted = rules.default_scopes.union(*(rules.scopes[word] for word in held if word in rules.scopes))
    return Caller(tenant, user, granted, f"oidc:{rules.issuer}")


def _in_its_time(claims: Mapping[str, Any], now: float, leeway: float) -> bool:
    """RFC 7519: before `exp`, which must be there; not before `nbf`; and not made in the future."""
    if not _is_time(claims.get("exp")) or now >= claims["exp"] + leeway:
        return False
    starts = [claims[name] for name in ("nbf", "iat") if name in claims]
    return all(_is_time(start) and now >= start - leeway for start in starts)


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _words(value: object) -> frozenset[str]:
    """The words of a claim that is one text of them, as OAuth's `scope`, or a list, as groups and roles are."""
    return _listed(value.split()) if isinstance(value, str) else _listed(value)


def _listed(value: object) -> frozenset[str]:
    """The texts of a claim that is one, or a list of them."""
    values = value if isinstance(value, list) else [value]
    return frozenset(each for each in values if isinstance(each, str))


def _text(name: str, value: Json) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidInput.field(name, "must be a text")
    return value


def _texts(name: str, value: Json) -> frozenset[str]:
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(each, str) and each for each in values):
        raise InvalidInput.field(name, "must be a text, or a list of them")
    return frozenset(values)


def _granted(name: str, value: Json) -> Mapping[str, frozenset[str]]:
    if not isinstance(value, dict):
        raise InvalidInput.field(name, "must be an object: what each value of the claim allows")
    return {word: _texts(f"{name}.{word}", allowed) for word, allowed in value.items()}


def _seconds(name: str, value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput.field(name, "must be a number")
    return float(value)
