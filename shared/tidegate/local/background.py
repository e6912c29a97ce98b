"""What EventBridge and DynamoDB Streams do in the cloud: call the clock each second, feed the changes."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from tidegate import runtime
from tidegate.domain.errors import Unavailable, kind_and_place
from tidegate.ports import Feed, Ports
from tidegate.runtime import App

from .functions import invoke

_log = logging.getLogger("tidegate.local")
TICK_SECONDS = 1.0
_FEED_SECONDS = 0.1
_FEED_BATCH = 1_000
_one_pump = threading.Lock()
"""The change feed's function finds its home in a place that all threads share."""


class Background:
    """Runs a step over and over on a thread of its own; a step that fails is logged and tried again."""

    def __init__(self, name: str, step: Callable[[], bool], pause: float | Callable[[], object]) -> None:
        """`pause` is how many seconds lie between steps that found nothing more to do, or what waits so long."""
        self._step = step
        self._stopping = threading.Event()
        self._pause = pause if callable(pause) else lambda: self._stopping.wait(pause)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the step under way and end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            busy = False
            try:
                busy = self._step()
            except Exception as error:
                extra = {"action": "background_failed"}
                _log.error("%s failed: %s", self._thread.name, kind_and_place(error), extra=extra)
            if not busy:
                self._pause()


def ticker() -> Background:
    """Calls `functions/clock` each second with EventBridge's event."""
    return Background("tidegate-clock", Ticker().tick, TICK_SECONDS)


def changes_pump(ports: Ports, feed: Feed) -> Background:
    """Hands committed changes to `functions/changes` in batches; those that were handled are dropped."""
    pump = Pump(ports, feed)
    return Background("tidegate-changes", pump.step, pump.pause)


class Pump:
    """Hands over changes ten times a second, and sooner when the end of a job may let others of its run go.

    While jobs of runs end all the time it takes a third of one processor at most, for what it hands over together
    costs less.
    """

    def __init__(self, ports: Ports, feed: Feed) -> None:
        self._ports, self._feed = ports, feed
        self._took = 0.0

    def step(self) -> bool:
        """Hand over one batch; answers whether there may be more."""
        started = time.monotonic()
        try:
            return pump_changes(self._ports, self._feed)
        finally:
            self._took = time.monotonic() - started

    def pause(self) -> None:
        """Let more changes gather, then wait until one may let others go."""
        gathering = min(2 * self._took, _FEED_SECONDS)
        time.sleep(gathering)
        self._feed.wait(_FEED_SECONDS - gathering)


def pump_changes(ports: Ports, feed: Feed) -> bool:
    """Hand over one batch; answers whether there may be more. What was handled is dropped in the same commit."""
    changes = feed.read(_FEED_BATCH)
    if not changes:
        return False
    with ports.together():
        answer = invoke("changes", {"Records": changes})
        if answer["batchItemFailures"]:
            raise Unavailable("the changes could not be recorded")  # and nothing of them stays recorded
        feed.drop(changes)
    return len(changes) == _FEED_BATCH


def pump_all(app: App) -> bool:
    """Hand over all changes of a home that no server serves in this process; answers whether there were any.

    Read and dropped in one transaction: a server on the same folder may be about to do the same.
    """
    feed, found = app.feed, False
    while feed is not None and feed.read(1):
        found = True
        with _one_pump, runtime.use(app), app.ports.together():
            pump_changes(app.ports, feed)
    return found


class Ticker:
    """Remembers when it last ticked, so that the work of a minute is done however late its tick comes."""

    def __init__(self) -> None:
        self._last: int | None = None

    def tick(self) -> bool:
        """Call the clock once."""
        now = time.time_ns() // 1_000_000
        invoke("clock", clock_event(TICK_SECONDS, self._last))
        self._last = now
        return False


def clock_event(period_seconds: float, last_tick_ms: int | None) -> dict[str, Any]:
    """The event that EventBridge sends each minute; `detail` says when the next one comes and the last one came."""
    detail: dict[str, Any] = {"period_seconds": period_seconds}
    if last_tick_ms is not None:
        detail["last_tick_ms"] = last_tick_ms
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "local",
        "resources": ["arn:aws:events:local:000000000000:rule/tidegate-clock"],
        "detail": detail,
    }
