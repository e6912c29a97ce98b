"""The machine's clock and fresh ids."""

from __future__ import annotations

import secrets
import time

from tidegate.domain.ids import IdMaker
from tidegate.domain.job import Ms

uuid7 = IdMaker(time.time_ns, secrets.randbits)


def now_ms() -> Ms:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000
