"""Requests that wait for something: how long they may, and when they give up."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

T = TypeVar("T")
_RESERVE_SECONDS = 2.0
"""Kept free of waiting at the end of an invocation, for one more look and the answer."""

_context: ContextVar[Any] = ContextVar("context", default=None)


@contextmanager
def within(context: Any) -> Iterator[None]:
    """Let what waits know Lambda's context: in the embedded home it says when nobody listens any more."""
    token = _context.set(context)
    try:
        yield
    finally:
        _context.reset(token)


def until_found(look: Callable[[], Sequence[T]], seconds: float, pause: float) -> Sequence[T]:
    """What `look` finds, looking again and again for up to `seconds`, every `pause` seconds at last."""
    end = time.monotonic() + seconds
    step = min(0.05, pause)
    while True:
        found = look()
        left = min(end - time.monotonic(), _seconds_left())
        if found or left <= 0:
            return found
        time.sleep(min(step, left))
        step = min(step * 1.5, pause)
        if _seconds_left() <= 0:
            return []


def _seconds_left() -> float:
    context = _context.get()
    return float("inf") if context is None else context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS
