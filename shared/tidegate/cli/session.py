"""The options that every command which talks to a server has, and the client they lead to."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Concatenate, ParamSpec

import typer

if TYPE_CHECKING:
    from tidegate.client import Client

P = ParamSpec("P")

Url = Annotated[str | None, typer.Option("--url", help="Address of the server.", metavar="URL")]
Token = Annotated[str | None, typer.Option("--token", help="Bearer token.", metavar="TOKEN")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")]


@dataclass(frozen=True, slots=True)
class Server:
    """Address and token as far as they were given on the command line."""

    url: str | None = None
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One run of a command against a server."""

    server: Server
    as_json: bool

    def client(self, tries: int = 4) -> Client:
        """A client that sends each request up to `tries` times: few for a person at the keyboard."""
        from tidegate.client import Client, Retries

        return Client(self.server.url, self.server.token, retries=Retries(tries=tries))

    def patient_client(self) -> Client:
        """A client that outlasts a restart of the server (about half a minute)."""
        return self.client(tries=10)


def with_session(command: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """Give a command the options --url, --token and --json, and hand it the `Session` they make.

    The options may also stand before the command's name: `tidegate --url … list`.
    """

    def run(ctx: typer.Context, *, url: str | None, token: str | None, as_json: bool, **options: object) -> None:
        before = ctx.find_object(Server) or Server()
        session = Session(Server(url or before.url, token or before.token), as_json)
        command(session, **options)  # type: ignore[arg-type, call-arg]  # typer passes exactly the signature made below

    signature = _signature(command)
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {each.name: each.annotation for each in signature.parameters.values()}
    run.__dict__["__signature__"] = signature
    return run


def _signature(command: Callable[..., None]) -> inspect.Signature:
    """The command's own parameters without the session, and the common ones."""
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)
    common = [
        inspect.Parameter("as_json", keyword, default=False, annotation=AsJson),
        inspect.Parameter("url", keyword, default=None, annotation=Url),
        inspect.Parameter("token", keyword, default=None, annotation=Token),
    ]
    return inspect.Signature([first, *(each.replace(kind=keyword) for each in own), *common])
