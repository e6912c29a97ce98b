"""Requests that may wait for long, on threads of their own: those that claim jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any

from .functions import Context

PATHS = frozenset({"/workers/claim"})
MAX_WAITING = 64
"""Beyond these, requests are answered at once."""

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Answer = Callable[[Mapping[str, Any], bytes, Context], Mapping[str, Any]]


class Waiting:
    """Answers requests that wait; `at_once` is where those are answered that are not to."""

    def __init__(self, answer: Answer, at_once: Executor) -> None:
        self._answer = answer
        self._at_once = at_once
        self._threads = ThreadPoolExecutor(MAX_WAITING, thread_name_prefix="tidegate-waiting")
        self._waiting: set[Context] = set()
        self._stopped = False

    def stop(self) -> None:
        """Let every request that waits for something be answered now, and those to come at once."""
        self._stopped = True
        for context in list(self._waiting):
            context.end()

    async def answered(self, scope: Mapping[str, Any], body: bytes, receive: Receive) -> Mapping[str, Any]:
        """The answer to a request, which waits no longer than its client does."""
        context, loop = Context("api"), asyncio.get_running_loop()
        if self._stopped or len(self._waiting) >= MAX_WAITING:
            context.end()
            return await loop.run_in_executor(self._at_once, self._answer, scope, body, context)
        gone = loop.create_task(_end_when_gone(receive, context))
        self._waiting.add(context)
        try:
            return await loop.run_in_executor(self._threads, self._answer, scope, body, context)
        finally:
            context.end()
            self._waiting.discard(context)
            gone.cancel()


async def _end_when_gone(receive: Receive, context: Context) -> None:
    """A client that hangs up waits no longer: nothing shall be claimed for it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    context.end()
