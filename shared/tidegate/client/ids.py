"""Job ids made on this side, so that a repeated request is recognised as the same."""

from __future__ import annotations

import secrets
import threading
import time
import uuid

_SUBMILLISECOND_BITS = 12
_lock = threading.Lock()
_last_tick = 0


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, method 3), greater than any that this process made before.

    Jobs of equal rank start by id, so those of one batch start in the order given.
    """
    tick = _next_tick()
    milliseconds, fraction = tick >> _SUBMILLISECOND_BITS, tick & (1 << _SUBMILLISECOND_BITS) - 1
    number = (milliseconds & (1 << 48) - 1) << 80 | 0x7 << 76 | fraction << 64 | 0b10 << 62
    return str(uuid.UUID(int=number | secrets.randbits(62)))


def _next_tick() -> int:
    """Time since 1970 in 1/4096 ms, moved on where the clock has not."""
    global _last_tick
    with _lock:
        now = (time.time_ns() << _SUBMILLISECOND_BITS) // 1_000_000
        _last_tick = max(now, _last_tick + 1)
        return _last_tick
