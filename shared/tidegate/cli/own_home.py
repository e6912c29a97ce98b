"""Commands that work in the home itself, with its files or AWS rights, or ask the server with a token."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tidegate.domain.errors import InvalidInput

if TYPE_CHECKING:
    from tidegate.ports import Ports

Data = Annotated[Path | None, typer.Option("--data", help="Data folder to work in, without a server.")]
Stack = Annotated[
    str | None, typer.Option("--stack", help="Name of a deployed stack to work in, with AWS credentials at hand.")
]


def home_or_server(tenant: str | None, data: Path | None, stack: str | None) -> Ports | None:
    """The home to work in; None where the server is to be asked. Raises InvalidInput."""
    from tidegate import runtime

    if data is not None and stack is not None:
        raise InvalidInput.field("--data and --stack", "name different homes: give one of them")
    if stack is not None:
        return runtime.build(runtime.settings_of_stack(stack)).ports
    if data is not None:
        return runtime.embedded(data).ports
    if tenant is not None:
        raise InvalidInput.field("--tenant", "a server knows one tenant, its token's: give --data or --stack too")
    return None


def operator(tenant: str | None) -> Any:
    """Who works in the home itself: an admin of whichever tenant."""
    from tidegate.domain.caller import Caller
    from tidegate.service.tokens import DEFAULT_TENANT

    return Caller(tenant or DEFAULT_TENANT, "operator", frozenset({"admin"}), "home")
