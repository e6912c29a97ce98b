"""Messages to the outside: one POST to an address that was looked at before it is called.

The host is resolved once, every address it has must be a public one, and the connection goes to an address that
was looked at: a name that resolves otherwise a moment later (DNS rebinding) changes nothing. Redirects are not
followed, and of the answer no more than the status is read.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence

from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.webhook import Target, is_allowed, parse_target

CONNECT_SECONDS = 5.0
TOTAL_SECONDS = 15.0

Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host, in the order to be tried. Raises Unavailable when it has none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable(f"the host of the webhook cannot be resolved: {error}") from error
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class Outbound:
    """Sends webhooks. `development` lets in http and this machine; `tls` is for tests."""

    def __init__(
        self,
        *,
        development: bool = False,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
        total_seconds: float = TOTAL_SECONDS,
    ) -> None:
        self._development = development
        self._resolve = resolve
        self._tls = tls
        self._total = total_seconds

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send `body`; answers the status.

        Raises InvalidInput for an address that must not be called, Unavailable when no answer came in time.
        """
        target = parse_target("webhook.url", url, development=self._development)
        addresses = self._resolve(target.host, target.port)
        if not addresses or not all(is_allowed(each, development=self._development) for each in addresses):
            raise InvalidInput.field("webhook.url", "must not lead to a private, local or reserved address")
        sock = self._opened(_connect(addresses, target.port), target)
        late = threading.Event()
        watch = threading.Timer(self._total, _cut, [sock, late])
        watch.daemon = True
        watch.start()
        try:
            status = _exchange(sock, target, body, headers)
            if late.is_set():
                raise TimeoutError
            return status
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"the receiver gave no answer: {type(error).__name__}") from error
        finally:
            watch.cancel()
            sock.close()

    def _opened(self, sock: socket.socket, target: Target) -> socket.socket:
        """The connection to talk over; TLS shakes hands later, under the watch of the clock."""
        if target.scheme == "http":
            return sock
        context = self._tls or ssl.create_default_context()
        return context.wrap_socket(sock, server_hostname=target.host, do_handshake_on_connect=False)


class _Connected(http.client.HTTPConnection):
    """A connection that was made before."""

    def __init__(self, host: str, port: int, sock: socket.socket) -> None:
        super().__init__(host, port)
        self.sock = sock

    def connect(self) -> None:
        """Never another one."""
        raise http.client.NotConnected("the connection was lost")


def _exchange(sock: socket.socket, target: Target, body: bytes, headers: Mapping[str, str]) -> int:
    if isinstance(sock, ssl.SSLSocket):
        sock.do_handshake()
    connection = _Connected(target.host, target.port, sock)
    try:
        connection.request("POST", target.path, body, {**headers, "host": _host(target), "connection": "close"})
        return connection.getresponse().status
    finally:
        connection.close()


def _connect(addresses: Sequence[str], port: int) -> socket.socket:
    """A connection to the first address that answers."""
    failure: OSError | None = None
    for address in addresses[:3]:
        try:
            return socket.create_connection((address, port), CONNECT_SECONDS)
        except OSError as error:
            failure = error
    raise Unavailable(f"the receiver cannot be reached: {type(failure).__name__}") from failure


def _cut(sock: socket.socket, late: threading.Event) -> None:
    """End an exchange that takes too long, however slowly its bytes trickle in."""
    late.set()
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def _host(target: Target) -> str:
    name = f"[{target.host}]" if ":" in target.host else target.host
    usual = {"https": 443, "http": 80}[target.scheme]
    return name if target.port == usual else f"{name}:{target.port}"
