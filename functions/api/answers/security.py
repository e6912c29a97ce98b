"""What the routes of tokens and of the audit log answer, as models for the API's description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from tidegate.domain.caller import Scope

from .base import Answer, Table, Time, Told


class TokenView(Answer):
    """A bearer token, without its secret."""

    id: str
    tenant: str
    user: str
    note: str
    created_by: str = Field(description="The user who made it; empty where it was made in the home itself.")
    prefix: str = Field(description="What its secret begins with.")
    scopes: list[Scope]
    state: Literal["valid", "revoked", "expired"]
    created_at: Time
    expires_at: Time | None
    revoked_at: Time | None
    last_used_at: Time | None = Field(description="To the hour.")


class TokenCreated(Told):
    """The new token."""

    token_id: str
    secret: str = Field(description="What its bearer sends; shown this once.")
    token: TokenView


class TokenList(Told):
    """Every token of the tenant, oldest first."""

    tokens: list[TokenView]


class TokenRevoked(Told):
    """The token as it is now."""

    token_id: str
    token: TokenView


class AuditEntry(Answer):
    """One act."""

    number: int = Field(description="Counts the tenant's entries from 1, without a gap.")
    time: Time
    at: int = Field(description="The same in milliseconds since 1970, as hashed.")
    tenant: str
    user: str
    via: str = Field(description="What proved who it was: `token:ID`, `oidc:ISSUER`, `iam:PRINCIPAL`, `home`.")
    action: str
    target: str = Field(description="The id or name of the thing; empty for an act on several.")
    details: dict[str, Any]
    previous: str = Field(description="The hash of the entry before.")
    hash: str = Field(
        description="SHA-256 of the compact JSON [1, tenant, number, at, user, via, action, target, details, "
        "previous], keys sorted, all but ASCII escaped."
    )


class AuditHead(Answer):
    """The newest entry; number 0 where there is none."""

    number: int
    hash: str


class AuditLog(Told):
    """Part of the log."""

    entries: list[AuditEntry]
    head: AuditHead


class TenantUse(Answer):
    """How much of the limits is used now; null where there is no such limit."""

    running: int | None
    schedules: int | None
    spent_in_day: float | None = Field(description="Dollars, today in UTC.")
    spent_in_month: float | None


class TenantView(Answer):
    """The limits of a tenant; null is no limit but that of every tenant."""

    name: str
    submit_rate: float | None
    submit_burst: int | None
    max_running: int | None
    max_schedules: int | None
    max_batch: int | None
    max_dag_nodes: int | None
    max_payload_bytes: int | None
    daily_budget: float | None = Field(description="Dollars that jobs may cost in a day of UTC.")
    monthly_budget: float | None
    budget_warn_at: float | None = Field(description="The part of a budget at which is warned; null: 0.8.")
    fixed: bool = Field(description="Set in the home itself: no token of the tenant changes them.")


class TenantWithUse(TenantView):
    """The limits and their use."""

    use: TenantUse


class TenantFound(Told):
    """The caller's tenant."""

    tenant: TenantWithUse


class TenantChanged(Told):
    """The limits as they are now."""

    tenant: TenantView


ANSWERS: Table = {
    "create_token": {201: TokenCreated},
    "list_tokens": {200: TokenList},
    "revoke_token": {200: TokenRevoked},
    "read_audit": {200: AuditLog},
    "get_tenant": {200: TenantFound},
    "patch_tenant": {200: TenantChanged},
}
