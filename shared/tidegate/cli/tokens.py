"""`tidegate token`: over the server as its admin, or in the home itself, with its files or AWS rights; `whoami`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .output import clean, emit, say, table
from .own_home import Data, Stack, home_or_server, operator
from .session import Session, with_session

if TYPE_CHECKING:
    from tidegate.client import Token
    from tidegate.ports import Ports
    from tidegate.ports import Token as StoredToken

token_app = typer.Typer(
    help="Bearer tokens: of the server's tenant with an admin's token; or of a data folder or a deployed stack.",
    no_args_is_help=True,
)

Tenant = Annotated[
    str | None, typer.Option(help="Tenant the token belongs to: with --data or --stack; 'main' if not given.")
]
_DAY = 86_400


@token_app.command()
@with_session
def create(
    session: Session,
    user: Annotated[str, typer.Argument(help="User the token is for.")],
    scope: Annotated[
        list[str] | None, typer.Option(help="submit, read, work, operate or admin; may be repeated.")
    ] = None,
    tenant: Tenant = None,
    expires_in_days: Annotated[float | None, typer.Option(help="Days until it expires; never if not given.")] = None,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    data: Data = None,
    stack: Stack = None,
) -> None:
    """Make a token and print it: this once, for only its hash is kept."""
    scopes = scope or ["submit", "read"]
    seconds = None if expires_in_days is None else expires_in_days * _DAY
    ports = home_or_server(tenant, data, stack)
    if ports is None:
        with session.client() as client:
            made = client.create_token(user, scopes, expires_in_seconds=seconds, note=note)
        clear, shown = made.secret, made.token
    else:
        from tidegate.service.tokens import create_token

        clear, token = create_token(ports, operator(tenant), user, scopes, expires_in_seconds=seconds, note=note)
        shown = _shown(ports, token)
    emit({"secret": clear, **shown.raw}) if session.as_json else say(clear)


@token_app.command("list")
@with_session
def list_tokens(session: Session, tenant: Tenant = None, data: Data = None, stack: Stack = None) -> None:
    """List the tokens of a tenant; secrets are not kept, so none is shown."""
    ports = home_or_server(tenant, data, stack)
    if ports is None:
        with session.client() as client:
            tokens = client.tokens()
    else:
        from tidegate.service.tokens import list_tokens

        tokens = tuple(_shown(ports, token) for token in list_tokens(ports, operator(tenant)))
    if session.as_json:
        emit([token.raw for token in tokens])
    else:
        table(("Token", "State", "User", "Scopes", "Last used", "Expires", "Note"), map(_row, tokens))


@token_app.command()
@with_session
def revoke(
    session: Session,
    token_id: Annotated[str, typer.Argument(help="Id of the token, as listed; with or without its 'tg_'.")],
    tenant: Tenant = None,
    data: Data = None,
    stack: Stack = None,
) -> None:
    """Make a token useless; in the cloud within the time that the authorizer's answers are remembered."""
    ports, token_id = home_or_server(tenant, data, stack), token_id.removeprefix("tg_")
    if ports is None:
        with session.client() as client:
            token = client.revoke_token(token_id)
    else:
        from tidegate.service.tokens import revoke_token

        token = _shown(ports, revoke_token(ports, operator(tenant), token_id))
    emit(token.raw) if session.as_json else say(f"✅ Revoked token {clean(token.prefix)}")


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


def _shown(ports: Ports, token: StoredToken) -> Token:
    """A stored token as a server would show it."""
    from tidegate_functions.api.wire import format_time

    from tidegate.client import Token
    from tidegate.service.tokens import described

    view = described(token, ports.now())
    return Token.from_wire(
        {name: format_time(value) if name.endswith("_at") else value for name, value in view.items()}
    )


def _row(token: Token) -> tuple[str, ...]:
    from .output import moment

    last, expires = moment(token.last_used_at), moment(token.expires_at)
    return token.prefix, token.state, token.user, " ".join(token.scopes), last, expires, token.note
