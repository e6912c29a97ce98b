"""Reading a small document over HTTPS, with nothing but the standard library: little to import at a cold start."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

from tidegate.domain.errors import Unavailable

MAX_BYTES = 1_000_000
TIMEOUT_SECONDS = 2.0
"""Two of these fit the 5 seconds that the authorizer has."""


def read(address: str) -> bytes:
    """The document at an http:// or https:// address. Redirects are not followed. Raises Unavailable."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    try:
        connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", path, headers={"Accept": "application/json"})
            answer = connection.getresponse()
            content = answer.read(MAX_BYTES + 1)
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(f"{parts.hostname} is out of reach: {type(error).__name__}") from error
    if answer.status != http.client.OK or len(content) > MAX_BYTES:
        raise Unavailable(f"{parts.hostname} answered {answer.status} with {len(content)} bytes")
    return content
