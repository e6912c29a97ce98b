"""A worker's own figures over HTTP, for Prometheus: `GET /metrics`, without a token."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tidegate.domain.errors import Unavailable
from tidegate.domain.exposition import CONTENT_TYPE

_log = logging.getLogger("tidegate.worker")
_PATH = "/metrics"
_PATIENCE_SECONDS = 5.0
_STOP_SECONDS = 0.1
"""How soon it is seen that the worker ends."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], figures: Callable[[], str]) -> None:
        self.figures = figures
        super().__init__(address, _Answers)


class _Answers(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PATIENCE_SECONDS

    def do_GET(self) -> None:
        found = self.path.partition("?")[0] == _PATH
        body = self.server.figures() if found else f"There is only {_PATH} here.\n"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", CONTENT_TYPE if found else "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Who scrapes is nobody's news."""


@contextmanager
def served(host: str, port: int, figures: Callable[[], str]) -> Iterator[int]:
    """Tell `figures` to who asks for them, for a while; answers the port. Raises Unavailable if it is taken."""
    try:
        server = _Server((host, port), figures)
    except OSError as error:
        raise Unavailable(f"cannot listen on {host}:{port}: {error.strerror}") from error
    bound = int(server.server_address[1])
    _log.info("figures at http://%s:%d%s", host, bound, _PATH, extra={"action": "figures_served"})
    thread = threading.Thread(target=server.serve_forever, args=(_STOP_SECONDS,), name="tidegate-figures", daemon=True)
    thread.start()
    try:
        yield bound
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
