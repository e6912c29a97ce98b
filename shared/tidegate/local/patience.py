"""How long a connection may take to say what it wants: one that says nothing would hold its place for good."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADER_SECONDS = 20.0
"""From the connection, or a request's first byte, to the end of its headers."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that closes connections whose headers do not arrive in time."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for headers."""
        super().connection_made(transport)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        """Take what came; go on waiting where that was not the end of the headers."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_headers()
        else:
            self._waited_enough()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._waited_enough()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self.transport.close)

    def _waited_enough(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
