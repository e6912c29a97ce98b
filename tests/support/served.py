"""The embedded server behind a socket of this machine, on a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from tidegate import runtime
from tidegate.local.http import Gateway
from tidegate.local.serve import config_of
from tidegate.runtime import App


@contextmanager
def served(app: App) -> Iterator[int]:
    """Serve `app` as `tidegate serve` would, without workers and clock; tells the port."""
    running = uvicorn.Server(config_of(Gateway(app.stream)))
    running.config.port = 0
    with runtime.use(app):
        thread = threading.Thread(target=running.run, name="served")
        thread.start()
        try:
            while not running.started:
                thread.join(0.01)
            (port,) = {socket.getsockname()[1] for each in running.servers for socket in each.sockets}
            yield port
        finally:
            running.should_exit = True
            thread.join()
