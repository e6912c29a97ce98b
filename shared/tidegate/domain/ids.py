"""Ids that sort by the time they were made."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from .job import Ms

_FRACTION_BITS = 12
_UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def is_uuid7(text: str) -> bool:
    """Whether `text` is a UUIDv7 in its canonical, lower-case form."""
    return _UUID7.fullmatch(text) is not None


def time_in(uuid7: str) -> Ms:
    """The time in a UUIDv7: when it was made, unless someone chose another time."""
    return int(uuid7[:13].replace("-", ""), 16)


class IdMaker:
    """Makes UUIDs of version 7 (RFC 9562 §5.7 and §6.2, method 3): each greater than all that it made before.

    Jobs of equal rank start by id, so those of one batch start in the order given. Safe to share
    between threads. `now_ns` answers nanoseconds since 1970, `random_bits` that many random bits.
    """

    def __init__(self, now_ns: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        self._now_ns = now_ns
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        """The next id."""
        milliseconds, fraction = divmod(self._next_tick(), 1 << _FRACTION_BITS)
        stamped = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | fraction << 64
        text = f"{stamped | 0b10 << 62 | self._random_bits(62):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _next_tick(self) -> int:
        """Time since 1970 in 1/4096 ms, moved on where the clock has not."""
        with self._lock:
            now = (self._now_ns() << _FRACTION_BITS) // 1_000_000
            self._last = max(now, self._last + 1)
            return self._last
