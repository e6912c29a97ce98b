"""Bearer tokens: made once in clear, kept as a hash, checked in constant time.

A token reads `tg_<id>_<secret>`: the id finds the record, the secret proves the bearer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput, NotFound, Unauthenticated
from tidegate.domain.job import Ms
from tidegate.domain.queue import check_name
from tidegate.ports import Ports, Token

DEFAULT_TENANT = "main"
_TOKEN = re.compile(r"tg_([a-z0-9]{12})_([A-Za-z0-9_-]{43})")


def new_token(
    now: Ms,
    *,
    tenant: str,
    user: str,
    scopes: Iterable[str],
    expires_in_seconds: float | None = None,
    note: str = "",
) -> tuple[str, Token]:
    """A fresh token, not stored yet: its clear text, to be shown once, and its record. Raises InvalidInput."""
    check_name("tenant", tenant)
    check_name("user", user)
    wanted = frozenset(str(scope) for scope in scopes)
    if not wanted or not wanted <= {scope.value for scope in Scope}:
        raise InvalidInput.field("scopes", f"must be some of {', '.join(Scope)}")
    token_id = secrets.token_hex(6)
    secret = secrets.token_urlsafe(32)
    token = Token(
        id=token_id,
        secret_hash=_hashed(secret),
        tenant=tenant,
        user=user,
        scopes=wanted,
        created_at=now,
        expires_at=None if expires_in_seconds is None else now + round(expires_in_seconds * 1000),
        note=note,
    )
    return f"tg_{token_id}_{secret}", token


def authenticate(ports: Ports, header: str | None) -> Caller:
    """Who sent this `Authorization` header. Raises Unauthenticated, the same for every reason."""
    scheme, _, text = (header or "").partition(" ")
    found = _TOKEN.fullmatch(text.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        raise Unauthenticated
    token = ports.tokens.get(found[1])
    hashed = _hashed(found[2])
    if token is None or not hmac.compare_digest(token.secret_hash, hashed) or not _valid(token, ports.now()):
        raise Unauthenticated
    return Caller(token.tenant, token.user, token.scopes)


def revoke_token(ports: Ports, caller: Caller, token_id: str) -> Token:
    """Make a token of the caller's tenant useless. Raises NotFound."""
    caller.require(Scope.ADMIN)
    token = ports.tokens.get(token_id)
    if token is None or token.tenant != caller.tenant:
        raise NotFound(f"there is no token '{token_id}'")
    revoked = replace(token, revoked_at=token.revoked_at or ports.now())
    ports.tokens.put(revoked)
    return revoked


def _valid(token: Token, now: Ms) -> bool:
    return token.revoked_at is None and (token.expires_at is None or token.expires_at > now)


def _hashed(secret: str) -> str:
    """SHA-256 is enough for a secret of 256 random bits: there is no dictionary to try."""
    return hashlib.sha256(secret.encode()).hexdigest()
