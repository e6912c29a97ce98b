"""The threads that answer requests."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from tidegate.local.functions import Context
from tidegate.local.hands import Hands
from tidegate.local.waiting import Waiting


def test_who_was_busy_last_is_asked_first() -> None:
    """Another thread is made only while all are busy; afterwards one of them has all the work."""
    hands, together = Hands(8, "hand"), threading.Barrier(3, timeout=10)
    first = [hands.submit(lambda: (together.wait(), threading.get_ident())[1]) for _ in range(3)]
    assert len({each.result(10) for each in first}) == 3
    last = [hands.submit(threading.get_ident).result(10) for _ in range(20)]
    assert len(set(last)) == 1


def test_what_exceeds_the_threads_waits_for_one_of_them() -> None:
    hands, go = Hands(2, "hand"), threading.Event()

    def told(number: int) -> int:
        go.wait(10)
        return number

    asked = [hands.submit(told, number) for number in range(9)]
    go.set()
    assert [each.result(10) for each in asked] == list(range(9))


def test_an_error_is_told_and_what_nobody_wants_is_not_done() -> None:
    hands, go, done = Hands(1, "hand"), threading.Event(), list[str]()
    busy = hands.submit(go.wait, 10)
    unwanted, wrong = hands.submit(done.append, "unwanted"), hands.submit(int, "nine")
    assert unwanted.cancel()
    go.set()
    assert busy.result(10)
    with pytest.raises(ValueError, match="nine"):
        wrong.result(10)
    assert (hands.submit(done.append, "wanted").result(10), done) == (None, ["wanted"])


def test_a_request_that_waits_has_time_until_it_is_answered() -> None:
    """Its context is kept meanwhile, to be ended where nobody waits for the answer any more."""
    left: list[bool] = []
    contexts: list[Context] = []

    def answer(scope: Mapping[str, Any], body: bytes, context: Context) -> Mapping[str, Any]:
        contexts.append(context)
        left.append(context.get_remaining_time_in_millis() > 0)
        return {"path": scope["path"], "body": body}

    async def receive() -> Mapping[str, Any]:
        return await asyncio.Future[Mapping[str, Any]]()

    waiting = Waiting(answer, Hands(1, "hand"))
    found = asyncio.run(waiting.answered({"path": "/workers/claim"}, b"asked", receive))
    assert found == {"path": "/workers/claim", "body": b"asked"}
    assert left == [True]
    assert contexts[0].get_remaining_time_in_millis() == 0
