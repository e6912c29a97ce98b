"""What clients can do with bearer tokens: the requests as values, and the methods of both clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

from tidegate.domain.errors import InvalidInput

from .calls import Call
from .fields import to_json
from .sender import AsyncSender, Sender

_DEFAULT = ("submit", "read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as the server keeps it: never its secret. `state`: valid, revoked or expired."""

    id: str
    prefix: str
    user: str
    scopes: tuple[str, ...]
    state: str
    note: str = ""
    created_by: str = ""
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    """To the hour."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Token:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        times = {name: _time(wire.get(name)) for name in ("expires_at", "revoked_at", "last_used_at")}
        return cls(
            id=str(wire["id"]),
            prefix=str(wire["prefix"]),
            user=str(wire["user"]),
            scopes=tuple(wire["scopes"]),
            state=str(wire["state"]),
            note=str(wire.get("note", "")),
            created_by=str(wire.get("created_by", "")),
            created_at=datetime.fromisoformat(wire["created_at"]),
            raw=wire,
            **times,
        )


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token just made. `secret` is what its bearer sends; nobody will ever show it again."""

    secret: str = field(repr=False)
    token: Token

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> NewToken:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(str(wire["secret"]), Token.from_wire(wire["token"]))


def create(user: str, scopes: Sequence[str], expires_in_seconds: float | None, note: str) -> Call[NewToken]:
    """Make a token. Twice would make two, so it is not repeated blindly."""
    body: dict[str, Any] = {"user": user, "scopes": list(scopes), "note": note}
    if expires_in_seconds is not None:
        body["expires_in_seconds"] = expires_in_seconds
    return Call("POST", "/tokens", NewToken.from_wire, body=to_json(body, "the token"), repeatable=False)


def listing() -> Call[tuple[Token, ...]]:
    """Every token of the tenant."""
    return Call("GET", "/tokens", lambda wire: tuple(Token.from_wire(each) for each in wire["tokens"]))


def revoke(token_id: str) -> Call[Token]:
    """Make a token useless."""
    if not token_id or token_id in (".", ".."):
        raise InvalidInput.field("token_id", f"'{token_id}' cannot be one")
    return Call("DELETE", f"/tokens/{quote(token_id, safe='')}", lambda wire: Token.from_wire(wire["token"]))


class TokenMethods(Sender):
    """The methods of `Client` for tokens; each needs the scope `admin`."""

    def create_token(
        self,
        user: str,
        scopes: Sequence[str] = _DEFAULT,
        *,
        expires_in_seconds: float | None = None,
        note: str = "",
    ) -> NewToken:
        """Make a token for a user of the tenant; its `secret` is answered this once."""
        return self._run(create(user, scopes, expires_in_seconds, note))

    def tokens(self) -> tuple[Token, ...]:
        """Every token of the tenant, oldest first, revoked and expired ones too."""
        return self._run(listing())

    def revoke_token(self, token_id: str) -> Token:
        """Make a token useless, in the cloud within the authorizer's cache time. Raises NotFound."""
        return self._run(revoke(token_id))


class AsyncTokenMethods(AsyncSender):
    """The methods of `TokenMethods`, awaited."""

    async def create_token(
        self,
        user: str,
        scopes: Sequence[str] = _DEFAULT,
        *,
        expires_in_seconds: float | None = None,
        note: str = "",
    ) -> NewToken:
        """See `TokenMethods.create_token`."""
        return await self._run(create(user, scopes, expires_in_seconds, note))

    async def tokens(self) -> tuple[Token, ...]:
        """See `TokenMethods.tokens`."""
        return await self._run(listing())

    async def revoke_token(self, token_id: str) -> Token:
        """See `TokenMethods.revoke_token`."""
        return await self._run(revoke(token_id))


def _time(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
