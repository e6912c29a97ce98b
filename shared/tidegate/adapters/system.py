"""The machine's clock and fresh ids."""

from __future__ import annotations

import os
import threading
import time

from tidegate.domain.job import Ms

_lock = threading.Lock()
_last = [0, 0]
_COUNTER_BITS = 42
_COUNTER_START_BITS = 41


def now_ms() -> Ms:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def uuid7() -> str:
    """A UUID version 7 (RFC 9562 §5.7): sorts by creation time, and within one process by creation order.

    A 42-bit counter follows the 48-bit time (RFC 9562 §6.2, method 1); it starts at a random value each
    millisecond and the time moves on if it ever overflows.
    """
    with _lock:
        now = now_ms()
        if now > _last[0]:
            _last[0], _last[1] = now, int.from_bytes(os.urandom(6)) >> (48 - _COUNTER_START_BITS)
        else:
            _last[1] += 1
            if _last[1] >> _COUNTER_BITS:
                _last[0], _last[1] = _last[0] + 1, 0
        stamp, counter = _last
    return format_uuid7(stamp, counter, int.from_bytes(os.urandom(4)))


def format_uuid7(stamp: Ms, counter: int, tail: int) -> str:
    """The text of a UUID version 7 from its time, its 42-bit counter and 32 random bits."""
    high, low = counter >> 30, counter & 0x3FFF_FFFF
    value = (stamp << 80) | (0x7 << 76) | (high << 64) | (0b10 << 62) | (low << 32) | tail
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
