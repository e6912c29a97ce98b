"""A clock that moves when told to, and ids that sort by it."""

from __future__ import annotations

import itertools
import threading
from datetime import UTC, datetime

START_MS = 2_000_000_000_000
"""In the year 2033: later than the machine's clock, so that nothing that uses both expires early."""


class Clock:
    """Virtual time in milliseconds, and fresh UUIDv7s of it."""

    def __init__(self) -> None:
        self._now = START_MS
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)

    def now(self) -> int:
        """The present, in milliseconds since 1970."""
        return self._now

    def time(self) -> datetime:
        """The present, in UTC."""
        return datetime.fromtimestamp(self._now / 1000, UTC)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        with self._lock:
            self._now += round(seconds * 1000)

    def new_id(self) -> str:
        """A UUIDv7 that sorts after all earlier ones."""
        time, number = f"{self._now:012x}", f"{next(self._numbers):012x}"
        return f"{time[:8]}-{time[8:]}-7000-8000-{number}"
