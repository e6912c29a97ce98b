"""Bearer tokens: made once in clear, kept as a hash, checked in constant time.

A token reads `tg_<id>_<secret>`: the id finds the record, the secret proves the bearer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import fields, replace
from typing import Any

from tidegate.domain.caller import SCOPES, Caller, Scope, check_user
from tidegate.domain.errors import InvalidInput, NotFound, Unauthenticated, Unavailable
from tidegate.domain.identity import caller_from
from tidegate.domain.job import Ms
from tidegate.domain.queue import DAY, check_name
from tidegate.ports import Issuer, Ports, Token

from .audit import audited

DEFAULT_TENANT = "main"
MAX_NOTE = 200
LEAST_LIFE_SECONDS = 60.0
LONGEST_LIFE_SECONDS = 3660 * DAY
NOTE_USE_EVERY_MS = 3_600_000
"""A token's use is written at most so often: one write unit an hour, not one a request."""
_TOKEN = re.compile(r"tg_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")
_JWT = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){2}")


def new_token(
    now: Ms,
    *,
    tenant: str,
    user: str,
    scopes: Iterable[str],
    expires_in_seconds: float | None = None,
    note: str = "",
    created_by: str = "",
) -> tuple[str, Token]:
    """A fresh token, not stored yet: its clear text, to be shown once, and its record. Raises InvalidInput."""
    check_name("tenant", tenant)
    check_user("user", user)
    wanted = frozenset(str(scope) for scope in scopes)
    if not wanted or not wanted <= SCOPES:
        raise InvalidInput.field("scopes", f"must be some of {', '.join(Scope)}")
    if len(note) > MAX_NOTE:
        raise InvalidInput.field("note", f"must have at most {MAX_NOTE} characters")
    token_id = secrets.token_hex(6)
    secret = secrets.token_urlsafe(32)
    token = Token(
        id=token_id,
        secret_hash=_hashed(secret),
        tenant=tenant,
        user=user,
        scopes=wanted,
        created_at=now,
        created_by=created_by,
        expires_at=None if expires_in_seconds is None else now + _life(expires_in_seconds),
        note=note,
    )
    return f"{prefix_of(token)}_{secret}", token


def prefix_of(token: Token) -> str:
    """What may be shown of a token: enough to recognise it, nothing to use it with."""
    return f"tg_{token.id}"


def create_token(
    ports: Ports,
    caller: Caller,
    user: str,
    scopes: Iterable[str],
    *,
    expires_in_seconds: float | None = None,
    note: str = "",
) -> tuple[str, Token]:
    """Make a token of the caller's tenant; its clear text is answered this once. Raises Forbidden, InvalidInput."""
    caller.require(Scope.ADMIN)
    clear, token = new_token(
        ports.now(),
        tenant=caller.tenant,
        user=user,
        scopes=scopes,
        expires_in_seconds=expires_in_seconds,
        note=note,
        created_by=caller.user,
    )
    audited(
        ports, caller, "token.create", token.id, user=user, scopes=sorted(token.scopes), expires_at=token.expires_at
    )
    ports.tokens.put(token)
    return clear, token


def list_tokens(ports: Ports, caller: Caller) -> Sequence[Token]:
    """The tokens of the caller's tenant, oldest first, revoked and expired ones too. Raises Forbidden."""
    caller.require(Scope.ADMIN)
    return ports.tokens.list(caller.tenant)


def revoke_token(ports: Ports, caller: Caller, token_id: str) -> Token:
    """Make a token of the caller's tenant useless. Raises Forbidden, NotFound."""
    caller.require(Scope.ADMIN)
    token = ports.tokens.get(token_id)
    if token is None or token.tenant != caller.tenant:
        raise NotFound(f"there is no token '{token_id}'")
    if token.revoked_at is not None:
        return token
    audited(ports, caller, "token.revoke", token.id, user=token.user)
    revoked = replace(token, revoked_at=ports.now())
    ports.tokens.put(revoked)
    return revoked


def authenticate(ports: Ports, header: str | None, issuer: Issuer | None = None) -> Caller:
    """Who sent this `Authorization` header: the bearer of a token of ours, or of the issuer's if there is one.

    Raises Unauthenticated, the same for every reason; Unavailable when that cannot be told now.
    """
    scheme, _, text = (header or "").partition(" ")
    bearer = text.strip() if scheme.lower() == "bearer" else ""
    if found := _TOKEN.fullmatch(bearer):
        return _bearer_of(ports, *found.groups())
    if issuer is not None and _JWT.fullmatch(bearer):
        return caller_from(issuer.claims(bearer), issuer.rules, ports.now())
    raise Unauthenticated


def _bearer_of(ports: Ports, token_id: str, secret: str) -> Caller:
    token = ports.tokens.get(token_id)
    hashed = _hashed(secret)
    now = ports.now()
    if token is None or not hmac.compare_digest(token.secret_hash, hashed) or not is_valid(token, now):
        raise Unauthenticated
    _note_use(ports, token, now)
    return Caller(token.tenant, token.user, token.scopes, f"token:{token.id}")


def described(token: Token, now: Ms) -> dict[str, Any]:
    """All that may be shown of a token; times are `Ms`."""
    shown = {each.name: getattr(token, each.name) for each in fields(token) if each.name != "secret_hash"}
    return {**shown, "scopes": sorted(token.scopes), "prefix": prefix_of(token), "state": _state(token, now)}


def is_valid(token: Token, now: Ms) -> bool:
    """Whether the token is neither revoked nor expired."""
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def _state(token: Token, now: Ms) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if is_valid(token, now) else "expired"


def _note_use(ports: Ports, token: Token, now: Ms) -> None:
    """Remember that the token was used; a store that is busy is no reason to refuse its bearer."""
    if token.last_used_at is None or now - token.last_used_at >= NOTE_USE_EVERY_MS:
        with suppress(Unavailable):
            ports.tokens.note_use(token.id, now)


def _life(seconds: float) -> Ms:
    if not LEAST_LIFE_SECONDS <= seconds <= LONGEST_LIFE_SECONDS:
        rule = f"must be from {LEAST_LIFE_SECONDS:.0f} to {LONGEST_LIFE_SECONDS:.0f}"
        raise InvalidInput.field("expires_in_seconds", rule)
    return round(seconds * 1000)


def _hashed(secret: str) -> str:
    """SHA-256 is enough for a secret of 256 random bits: there is no dictionary to try."""
    return hashlib.sha256(secret.encode()).hexdigest()
