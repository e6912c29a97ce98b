"""`tidegate token`: made, listed and revoked in the home itself, with its files or its AWS credentials; `whoami`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .output import clean, emit, say
from .session import AsJson, Session, with_session

if TYPE_CHECKING:
    from tidegate.ports import Ports, Token

token_app = typer.Typer(help="Bearer tokens of a home: of a data folder, or of a deployed stack.", no_args_is_help=True)

Data = Annotated[Path | None, typer.Option("--data", help="Data folder; else TIDEGATE_DATA, else ./.tidegate.")]
Stack = Annotated[str | None, typer.Option("--stack", help="Name of a deployed stack, with AWS credentials at hand.")]
Tenant = Annotated[str, typer.Option(help="Tenant the token belongs to.")]


@token_app.command()
def create(
    user: Annotated[str, typer.Argument(help="User the token is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="submit, read, work, operate or admin; may be repeated.")
    ] = None,
    tenant: Tenant = "main",
    expires_in_days: Annotated[float | None, typer.Option(help="Days until it expires; never if not given.")] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it: this once, for only its hash is kept."""
    from tidegate.service.tokens import new_token

    ports = _ports(data, stack)
    clear, token = new_token(
        ports.now(),
        tenant=tenant,
        user=user,
        scopes=scope or ["submit", "read"],
        expires_in_seconds=None if expires_in_days is None else expires_in_days * 86_400,
        note=note,
    )
    ports.tokens.put(token)
    emit({"token": clear, **_shown(token)}) if as_json else say(clear)


@token_app.command("list")
def list_tokens(tenant: Tenant = "main", data: Data = None, stack: Stack = None, as_json: AsJson = False) -> None:
    """List the tokens of a tenant; secrets are not kept, so none is shown."""
    tokens = _ports(data, stack).tokens.list(tenant)
    if as_json:
        emit([_shown(token) for token in tokens])
        return
    for token in tokens:
        state = "revoked" if token.revoked_at else "valid"
        say(f"{token.id}  {state:8} {token.user:16} {' '.join(sorted(token.scopes)):24} {token.note}")


@token_app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(help="Id of the token, as listed.")],
    tenant: Tenant = "main",
    data: Data = None,
    stack: Stack = None,
    as_json: AsJson = False,
) -> None:
    """Make a token useless; in the cloud within the minute that the authorizer's answers are remembered."""
    from tidegate.domain.caller import Caller
    from tidegate.service.tokens import revoke_token

    operator = Caller(tenant, "operator", frozenset({"admin"}))
    token = revoke_token(_ports(data, stack), operator, token_id)
    emit(_shown(token)) if as_json else say(f"✅ Revoked token {token.id}")


@with_session
def whoami(session: Session) -> None:
    """Tell whose token is in use, what it may do, and on which server."""
    with session.client() as client:
        found = client.whoami()
        url = client.endpoint.url
    if session.as_json:
        emit(found.raw)
    else:
        say(f"{clean(found.user)} of {clean(found.tenant)}: {' '.join(map(clean, found.scopes))}")
        say(f"{url}, stage {clean(found.stage)}, version {clean(found.version)}")


def _ports(data: Path | None, stack: str | None) -> Ports:
    from tidegate import runtime
    from tidegate.client.endpoint import data_folder

    if stack is not None:
        return runtime.build(runtime.settings_of_stack(stack)).ports
    return runtime.embedded(data_folder(data)).ports


def _shown(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "tenant": token.tenant,
        "user": token.user,
        "scopes": sorted(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
        "note": token.note,
    }
