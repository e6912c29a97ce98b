"""A worker says that it is there: from a thread of its own, or, in a Lambda, whenever a job starts."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from tidegate.domain.errors import TidegateError
from tidegate.domain.job import Job, Ms
from tidegate.ports import Held, Worker
from tidegate.service.workers import MAX_NAMES, held_by

_log = logging.getLogger("tidegate.worker")
TELL_SECONDS = 20.0
TELL_SECONDS_LAMBDA = 60.0
"""A write a minute and environment, and none while it is frozen."""
_PATIENCE_SECONDS = 5.0

Tell = Callable[[Worker], object]
Running = Callable[[], Iterable[Job | None]]


def _now_ms() -> Ms:
    return time.time_ns() // 1_000_000


def _nothing() -> None:
    return None


class Presence:
    """Tells of one worker: `tell` stores what it is given, `running` answers the jobs that run now.

    `every` is in seconds; `close` gives back what the telling thread holds open. Trouble with telling is logged
    and never stands in the way of work.
    """

    def __init__(
        self,
        worker: Worker,
        tell: Tell,
        running: Running,
        *,
        every: float = TELL_SECONDS,
        now: Callable[[], Ms] = _now_ms,
        close: Callable[[], object] = _nothing,
    ) -> None:
        self._worker = worker
        self._tell = tell
        self._running = running
        self._every = every
        self._now = now
        self._close = close
        self._told: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tidegate-presence", daemon=True)

    def start(self) -> None:
        """Tell now, and again every so often from a thread."""
        self.tell()
        self._thread.start()

    def stop(self) -> None:
        """Say good-bye, and tell no more."""
        self._stopping.set()
        self._thread.join(_PATIENCE_SECONDS)
        self.tell(stopped=True)

    def starts(self, job: Job) -> None:
        """Tell of a job that starts, unless something was told within `every` seconds."""
        if self._told is None or time.monotonic() - self._told >= self._every:
            self.tell(held_by([job]))

    def tell(self, running: tuple[Held, ...] | None = None, *, stopped: bool = False) -> None:
        """Tell now; without `running`, of what runs now."""
        self._told = time.monotonic()
        try:
            if running is None:
                running = () if stopped else held_by(self._running())
            self._tell(replace(self._worker, seen_at=self._now(), running=running, stopped=stopped))
        except TidegateError as error:
            _log.warning("not told: %s", error, extra={"action": "presence_failed", "code": error.code})

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self.tell()
        self._close()


def describe(
    worker_id: str,
    *,
    kind: str,
    pool: str,
    version: str,
    names: Iterable[str],
    queues: Iterable[str] = (),
    concurrency: int = 1,
) -> Worker:
    """What this process says of itself as a worker that starts now; see `Worker` for the words."""
    now, told = _now_ms(), tuple(sorted(names))
    return Worker(
        id=worker_id,
        kind=kind,
        pool=pool,
        queues=tuple(sorted(queues)),
        names=told if len(told) <= MAX_NAMES else (),
        host=socket.gethostname(),
        version=version,
        concurrency=concurrency,
        started_at=now,
        seen_at=now,
    )
