"""Who asks: what the authorizer found out, and nothing from a body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from .correlation import Correlation
from .errors import Forbidden, InvalidInput

USER_RULE = "must be 1 to 128 letters, digits or ._@|:+=/-, starting with a letter or digit"
_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@|:+=/-]{0,127}")


class Scope(StrEnum):
    """What a token allows."""

    SUBMIT = "submit"
    READ = "read"
    WORK = "work"
    OPERATE = "operate"
    ADMIN = "admin"
    """Everything."""


SCOPES = frozenset(scope.value for scope in Scope)


@dataclass(frozen=True, slots=True)
class Caller:
    """A tenant, a user of it, and the scopes of the token used."""

    tenant: str
    user: str
    scopes: frozenset[str]
    via: str = ""
    """What proved it: `token:` and the token's id, `oidc:` and the issuer, `iam:` and the role; for the audit log."""
    correlation: Correlation | None = field(default=None, compare=False)
    """What the request is called, which says nothing of who asks."""

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

    def as_context(self) -> dict[str, str]:
        """The caller as the authorizer hands it on: texts alone, as API Gateway demands."""
        scopes = " ".join(sorted(self.scopes))
        return {"tenant": self.tenant, "user": self.user, "scopes": scopes, "via": self.via}

    @classmethod
    def from_context(cls, context: Mapping[str, str]) -> Caller:
        """The caller that an authorizer handed on. Raises LookupError or AttributeError for anything else."""
        scopes = frozenset(context["scopes"].split())
        return cls(context["tenant"], context["user"], scopes, context.get("via") or "")


def check_user(field: str, value: str) -> str:
    """`value`, if it can name a user; raises InvalidInput naming `field` otherwise."""
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise InvalidInput.field(field, USER_RULE)
    return value
