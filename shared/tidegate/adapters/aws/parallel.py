"""Several requests at once, on a few threads that are made when first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 16
_FEW = 2
"""Up to so many requests are sent one after the other: two round trips cost less than two threads."""

T = TypeVar("T")
R = TypeVar("R")


class Parallel:
    """Runs a function over many arguments. Functions given to it must not use it themselves."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: ThreadPoolExecutor | None = None

    def map(self, function: Callable[[T], R], arguments: Sequence[T]) -> list[R]:
        """The results in order. Raises the first error, once every call has ended."""
        if len(arguments) <= _FEW:
            return [function(argument) for argument in arguments]
        futures = [self._executor().submit(function, argument) for argument in arguments]
        errors = [error for future in futures if (error := future.exception()) is not None]
        if errors:
            raise errors[0]
        return [future.result() for future in futures]

    def _executor(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="tidegate-aws")
            return self._threads
