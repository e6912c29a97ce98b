"""`GET /events` of the embedded server: what becomes of jobs and runs, as server-sent events, resumable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput, TidegateError, TooManyRequests, Unavailable
from tidegate.domain.events import AnyEvent, BudgetEvent, RunEvent, body_of
from tidegate.ports import Announced, EventStream

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]

PATH = "/events"
MAX_STREAMS = 100
_LOOK_SECONDS = 0.25
_ASK_SECONDS = 2.0
"""So often it is asked whether a listener may still listen: its token may have been revoked, or have expired."""
_ALIVE_SECONDS = 15.0
"""Silence is broken so often, for proxies that cut silent connections."""
_PAGE = 500
_RETRY_MS = 2_000
GAP = "events.gap"
"""Told to a listener that was away for too long: some events it has not seen are gone."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_FILTERS = frozenset({"job", "queue", "dag", "after"})


@dataclass(frozen=True, slots=True)
class Wish:
    """Who listens, to what, and from where on (None: from now)."""

    caller: Caller
    job: str | None = None
    queue: str | None = None
    dag: str | None = None
    after: int | None = None
    may_listen: Callable[[], bool] = lambda: True
    """Asked from time to time; once it says no, that is the end."""

    def wants(self, event: AnyEvent) -> bool:
        """Whether the listener may see the event and asked for it. An event of a run is of no job and no queue."""
        job, queue, dag = _places(event)
        return (
            (event.owner == self.caller.user or self.caller.sees_all_users())
            and self.job in (None, job)
            and self.queue in (None, queue)
            and self.dag in (None, dag)
        )


def _places(event: AnyEvent) -> tuple[str, str, str]:
    """The job, the queue and the run that an event belongs to; empty where it belongs to none."""
    if isinstance(event, RunEvent):
        return "", "", event.dag_id
    if isinstance(event, BudgetEvent):
        return "", "", ""
    return event.job_id, event.queue, event.details.get("dag_id") or ""


def wish_of(
    caller: Caller, query: str, last_event_id: str | None, may_listen: Callable[[], bool] = lambda: True
) -> Wish:
    """What a request asks for. Raises Forbidden, InvalidInput."""
    caller.require(Scope.READ)
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := sorted(given.keys() - _FILTERS):
        raise InvalidInput.field(unknown[0], "is not a known query parameter")
    after = last_event_id if last_event_id else given.get("after")
    at = None if after is None else _position(after)
    return Wish(caller, given.get("job"), given.get("queue"), given.get("dag"), at, may_listen)


class Streams:
    """All listeners of a server. `stopping` tells when they have to go."""

    def __init__(self, stream: EventStream, threads: Executor, stopping: Callable[[], bool]) -> None:
        self._stream = stream
        self._threads = threads
        self._stopping = stopping
        self._open = 0

    async def serve(self, wish: Wish, receive: Receive, send: Send) -> None:
        """Send events until the listener goes, may listen no more, or the server stops.

        Raises TooManyRequests before anything is sent.
        """
        if self._open >= MAX_STREAMS:
            raise TooManyRequests(f"{MAX_STREAMS} listeners are connected already")
        self._open += 1
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await self._run(wish, send, gone)
        finally:
            self._open -= 1
            gone.cancel()

    async def _run(self, wish: Wish, send: Send, gone: asyncio.Future[None]) -> None:
        oldest, newest = await self._in_thread(self._stream.bounds)
        position = newest if wish.after is None else min(wish.after, newest)
        await _write(send, f"retry: {_RETRY_MS}\nid: {position}\n\n")
        if wish.after is not None and position + 1 < oldest:
            await _write(send, f"event: {GAP}\ndata: {json.dumps({'after': position, 'oldest': oldest})}\n\n")
        silent, clock = 0.0, asyncio.get_running_loop().time
        asked = clock()
        while not (gone.done() or self._stopping()):
            if clock() - asked >= _ASK_SECONDS:
                asked = clock()
                if not await self._in_thread(_may_listen, wish):
                    break
            found, position = await self._in_thread(lambda at: self._read(wish, at), position)
            if found:
                await _write(send, "".join(map(_block, found)))
            silent = 0.0 if found else silent + _LOOK_SECONDS
            if silent >= _ALIVE_SECONDS:
                silent = 0.0
                await _write(send, f": alive\nid: {position}\n\n")
            if not found:
                await asyncio.wait([gone], timeout=_LOOK_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _read(self, wish: Wish, after: int) -> tuple[list[Announced], int]:
        """The next events that the listener wants; a store that is busy has none for now."""
        try:
            found, position = self._stream.read(wish.caller.tenant, after, _PAGE)
        except TidegateError:
            return [], after
        return [each for each in found if wish.wants(each.event)], position

    async def _in_thread(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)


def _may_listen(wish: Wish) -> bool:
    """A store that is busy is no reason to send a listener away."""
    try:
        return wish.may_listen()
    except Unavailable:
        return True


def _block(announced: Announced) -> str:
    """One event; its JSON has no line breaks of its own."""
    event = announced.event
    data = json.dumps(body_of(event), separators=(",", ":"))
    return f"id: {announced.position}\nevent: {event.type}\ndata: {data}\n\n"


async def _write(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _position(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput.field("after", "must be the id of an event")
    return int(text)
