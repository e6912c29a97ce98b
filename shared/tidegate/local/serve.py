"""`tidegate serve`: everything on one machine, on one folder."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from tidegate import runtime
from tidegate.domain.caller import Scope
from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.execution.registry import load_executors
from tidegate.ports import EventStream, Ports
from tidegate.service.tokens import DEFAULT_TENANT, new_token

from .background import Background, changes_pump, ticker
from .deliveries import Deliveries
from .functions import preload
from .http import Gateway
from .patience import PatientProtocol
from .workers import Workers

_log = logging.getLogger("tidegate.local")
TOKEN_FILE = "token"  # noqa: S105 - a file's name
ADMIN = "admin"
_DRAIN_SECONDS = 30.0
_LOOK_SECONDS = 0.1
"""How soon requests that wait learn that the server stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How to serve. `workers` processes run the executors of `handlers`; 0 leaves that to `tidegate worker`."""

    host: str = "127.0.0.1"
    port: int = 8321
    data: Path = Path(".tidegate")
    workers: int = 2
    handlers: tuple[str, ...] = ()


def serve(options: ServeOptions) -> None:
    """Serve until SIGTERM or SIGINT, then drain: no new requests, running jobs are finished.

    Raises InvalidInput when a handlers source cannot be loaded, Unavailable when the folder or the port
    cannot be used.
    """
    data = options.data.resolve()
    os.environ["TIDEGATE_DATA"] = str(data)
    os.environ["TIDEGATE_SLOTS"] = str(options.workers)
    handlers = load_executors(options.handlers)
    runtime.start_tracing()
    app = runtime.current()
    listener = _listen(options.host, options.port)
    ensure_admin_token(app.ports, data / TOKEN_FILE)
    if app.feed is None:
        raise InvalidInput("serving needs the embedded home: TIDEGATE_DATA names another")
    preload("api", "authorizer", "clock", "changes")
    background: list[Background | Deliveries] = [ticker(), changes_pump(app.ports, app.feed)]
    if not options.workers:
        background.append(Deliveries(app))
    workers = Workers(options.workers, data, options.handlers)
    if options.workers and not handlers:
        print("No handlers were given: jobs wait for a worker that has some (--handlers FILE.py)", flush=True)  # noqa: T201
    for each in background:
        each.start()
    workers.start()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _drain_instead_of_dying)
    try:
        asyncio.run(_serve_http(listener, options.host, app.stream, data / TOKEN_FILE))
    finally:
        workers.drain(_DRAIN_SECONDS)
        for each in background:
            each.stop()


def ensure_admin_token(ports: Ports, file: Path) -> None:
    """On first start make an admin token; its clear text goes to `file` alone, readable by its owner only.

    The file comes first: a crash in between leaves a file that the next start replaces, never a lost token.
    """
    if ports.tokens.list(DEFAULT_TENANT):
        return
    note = "made on first start"
    clear, token = new_token(ports.now(), tenant=DEFAULT_TENANT, user=ADMIN, scopes=[Scope.ADMIN], note=note)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(clear + "\n")
    ports.tokens.put(token)


def _listen(host: str, port: int) -> socket.socket:
    """Open the port before anything else starts, so that a second server fails early and clearly."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, because asyncio turns Nagle's delay off only for sockets whose protocol says TCP: 40 ms an answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}") from error
    listener.set_inheritable(False)
    return listener


def _drain_instead_of_dying(_signal: int, _frame: object) -> None:
    """uvicorn stops at the first signal and then raises it again: by then this process drains its workers."""
    _log.info("stopping", extra={"action": "stopping"})


def config_of(gateway: Gateway) -> uvicorn.Config:
    """How HTTP is served: one connection, slow or flooding, keeps no other from being answered."""
    return uvicorn.Config(
        gateway,
        http=PatientProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        lifespan="off",
        ws="none",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=65_536,
        limit_concurrency=1_000,
    )


async def _serve_http(listener: socket.socket, host: str, stream: EventStream | None, token_file: Path) -> None:
    gateway = Gateway(stream, lambda: server.should_exit)
    server = uvicorn.Server(config_of(gateway))
    loop = asyncio.get_running_loop()
    serving = loop.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    shown = f"[{host}]" if ":" in host else host
    url = f"http://{shown}:{listener.getsockname()[1]}"
    print(f"Tidegate is ready at {url}", flush=True)  # noqa: T201
    print(f"The console is at {url}/console, a token to sign in with in {token_file}", flush=True)  # noqa: T201
    with suppress(asyncio.CancelledError):
        while not server.should_exit and not serving.done():
            await asyncio.sleep(_LOOK_SECONDS)
        gateway.stop_waiting()
        await serving
