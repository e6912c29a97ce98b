"""A receiver of webhooks in memory."""

from __future__ import annotations

from collections.abc import Mapping


class Receiver:
    """Keeps what it is sent, and answers the next of `statuses`, 200 once there are none left."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes, Mapping[str, str]]] = []
        self.statuses: list[int] = []

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """In the place of `Outbound.post`."""
        self.messages.append((url, body, dict(headers)))
        return self.statuses.pop(0) if self.statuses else 200

    def bodies(self) -> list[bytes]:
        """What the messages held."""
        return [body for _, body, _ in self.messages]
