"""Who may do what, and who did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tidegate.domain.audit import AuditEntry, Head
    from tidegate.domain.identity import IdentityRules
    from tidegate.domain.job import Ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as stored: its secret's hash, never the secret."""

    id: str
    secret_hash: str
    tenant: str
    user: str
    scopes: frozenset[str]
    created_at: Ms
    created_by: str = ""
    """The user who made it; empty where it was made in the home itself."""
    expires_at: Ms | None = None
    revoked_at: Ms | None = None
    last_used_at: Ms | None = None
    """To the hour: see `Tokens.note_use`."""
    note: str = ""


class Tokens(Protocol):
    """Bearer tokens."""

    def get(self, token_id: str) -> Token | None:
        """The token as last stored."""

    def put(self, token: Token) -> None:
        """Store, replacing the one with the same id."""

    def note_use(self, token_id: str, now: Ms) -> None:
        """Set `last_used_at`, and nothing else. Guard: there is such a token."""

    def list(self, tenant: str) -> Sequence[Token]:
        """All tokens of the tenant, oldest first, revoked and expired ones too."""


class AuditLog(Protocol):
    """Who did what: entries are appended, and never changed or taken away."""

    def head(self, tenant: str) -> Head:
        """The newest entry of the tenant's log; number 0 where there is none."""

    def append_if_next(self, entry: AuditEntry) -> bool:
        """Append an entry. Guard: `head` is the entry before it, which its `previous` names.

        Of two that would follow the same entry exactly one is appended. Answers whether it was.
        """

    def read(self, tenant: str, after: int, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries with numbers above `after`, oldest first."""

    def read_back(self, tenant: str, before: int, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries with numbers below `before`, newest first."""


class Issuer(Protocol):
    """The OIDC issuer whose tokens are accepted beside Tidegate's own."""

    @property
    def rules(self) -> IdentityRules:
        """What is asked of its tokens, and whom each stands for."""

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a JWT that one of the issuer's keys signed, otherwise unchecked.

        Raises Unauthenticated for any other text, Unavailable when the keys cannot be had.
        """
