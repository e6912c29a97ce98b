"""`tidegate tenant`: what a tenant may use; over the server as its admin, or in the home itself for any tenant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from . import inputs
from .output import clean, emit, json_text, say
from .own_home import Data, Stack, home_or_server, operator
from .session import Session, with_session

tenant_app = typer.Typer(help="Look at and set the limits of a tenant.", no_args_is_help=True)
Tenant = Annotated[str | None, typer.Option(help="Which tenant: with --data or --stack; 'main' if not given.")]


@tenant_app.command()
@with_session
def show(session: Session, tenant: Tenant = None, data: Data = None, stack: Stack = None) -> None:
    """Show the limits of a tenant, and how much of them is used."""
    ports = home_or_server(tenant, data, stack)
    if ports is None:
        with session.client() as client:
            found = client.tenant()
    else:
        from dataclasses import asdict

        from tidegate.service.tenants import get_tenant, limits_of

        limits, use = get_tenant(ports, operator(tenant))
        found = {"name": limits.name, **limits_of(limits), "use": asdict(use)}
    _show(session, found)


@tenant_app.command("set")
@with_session
def set_limits(
    session: Session,
    limits: Annotated[list[str], typer.Argument(metavar="KEY=VALUE…", help="Limits; null takes one away.")],
    tenant: Tenant = None,
    data: Data = None,
    stack: Stack = None,
) -> None:
    """Set limits of a tenant. Those set with --data or --stack can be changed in the same way alone.

    For example: tidegate tenant set submit_rate=50 max_running=20 max_schedules=100 --tenant acme --stack Tidegate-prod
    """
    wanted = inputs.json_pairs("limits", limits)
    ports = home_or_server(tenant, data, stack)
    if ports is None:
        with session.client() as client:
            found = client.change_tenant(**wanted)
    else:
        from tidegate.service.tenants import change_tenant, limits_of

        changed = change_tenant(ports, operator(tenant), _checked(wanted))
        found = {"name": changed.name, **limits_of(changed)}
    _show(session, found)


def _checked(wanted: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the server would have refused, refused here: unknown names and wrong types. Raises InvalidInput."""
    from pydantic import ValidationError
    from tidegate_functions.api.errors import invalid_input
    from tidegate_functions.api.tenants import TenantLimits

    try:
        limits: Mapping[str, Any] = TenantLimits.model_validate(wanted).given()
    except ValidationError as error:
        raise invalid_input((each["loc"], dict(each)) for each in error.errors()) from None
    return limits


def _show(session: Session, found: Mapping[str, Any]) -> None:
    if session.as_json:
        emit(dict(found))
        return
    for key, value in found.items():
        say(f"{clean(key)}: {clean(value if isinstance(value, str) else json_text(value, indent=None))}")
