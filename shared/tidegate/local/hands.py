"""Threads that answer requests: the one that was busy last is asked first.

Its connection to the database has in memory what it has just written, and its caches are warm. Threads that take
turns, as those of `ThreadPoolExecutor` do, each read anew what another has changed: half as much time again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from queue import SimpleQueue
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Work = Callable[[], Callable[[], None]]


class Hands(Executor):
    """Up to `most` threads, made when they are needed. They end with the process."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        self._made = 0
        self._idle: list[SimpleQueue[Work]] = []
        """Where those that have nothing to do are given something; the one that was busy last is the last."""
        self._waiting: deque[Work] = deque()

    def submit(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """See `Executor.submit`."""
        future: Future[T] = Future()
        work = partial(_done, future, partial(call, *args, **kwargs))
        with self._lock:
            if self._idle:
                self._idle.pop().put(work)
            elif self._made < self._most:
                self._made += 1
                threading.Thread(target=self._run, args=(work,), name=f"{self._name}_{self._made}", daemon=True).start()
            else:
                self._waiting.append(work)
        return future

    def _run(self, work: Work) -> None:
        inbox = SimpleQueue[Work]()
        while True:
            tell = work()
            with self._lock:
                following = self._waiting.popleft() if self._waiting else None
                if following is None:
                    self._idle.append(inbox)
            tell()  # whoever hears of it and comes with more at once finds this one idle
            work = following or inbox.get()


def _done(future: Future[T], call: Callable[[], T]) -> Callable[[], None]:
    """Do what is asked, unless nobody wants it any more; answers what tells the outcome."""
    if not future.set_running_or_notify_cancel():
        return _nothing
    try:
        return partial(future.set_result, call())
    except BaseException as error:
        return partial(future.set_exception, error)


def _nothing() -> None:
    return None
