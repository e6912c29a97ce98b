"""Who asks: what the authorizer found out, and nothing from a body."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .errors import Forbidden


class Scope(StrEnum):
    """What a token allows."""

    SUBMIT = "submit"
    READ = "read"
    WORK = "work"
    OPERATE = "operate"
    ADMIN = "admin"
    """Everything."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant, a user of it, and the scopes of the token used."""

    tenant: str
    user: str
    scopes: frozenset[str]

    def may(self, scope: Scope) -> bool:
        """Whether the token has the scope; `admin` has all."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def require(self, scope: Scope) -> None:
        """Raises Forbidden unless the token has the scope."""
        if not self.may(scope):
            raise Forbidden(f"this needs the scope '{scope}'", scope=str(scope))

    def sees_all_users(self) -> bool:
        """Whether jobs of other users of the tenant are visible."""
        return self.may(Scope.OPERATE)
