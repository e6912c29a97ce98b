"""The pull loop: receive tickets, serve them one after the other, until told to stop."""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tidegate import runtime
from tidegate.domain.errors import TidegateError
from tidegate.domain.queue import DEFAULT_POOL
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.ports import Delivery, Tickets
from tidegate.runtime import App

_log = logging.getLogger("tidegate.worker")
_MAX_TICKETS = 10
_AHEAD_SECONDS = 0.05
"""Tickets are taken ahead only for as much work as this, so that no job waits behind another in one worker."""
_TROUBLE_SECONDS = 1.0
_EMBEDDED_WAIT_SECONDS = 0.25
"""Asking SQLite again costs nothing, so a worker that is told to stop does so at once."""
_LONG_POLL_SECONDS = 20.0
"""The longest wait of an SQS receive."""
PARENT_VARIABLE = "TIDEGATE_PARENT_PID"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker is to run. `poll_interval` in seconds.

    It works on the folder `data`, on the deployed `stack` (its name; needs AWS credentials), or, with neither,
    on the home that `TIDEGATE_*` variables name.
    """

    data: Path | None = None
    stack: str | None = None
    pool: str = DEFAULT_POOL
    max_jobs: int | None = None
    worker_id: str | None = None
    poll_interval: float = 5.0
    handlers: tuple[str, ...] = ()


def run(options: WorkerOptions) -> int:
    """Work until `max_jobs` are done, SIGTERM or SIGINT comes, or the parent is gone; answers the jobs done.

    The job that runs when a signal comes is finished first.
    """
    app = _home(options)
    runner = runtime.runner(app, options.handlers, worker_id=options.worker_id, pulling=True)
    loop = PullLoop(app, runner, options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.stop())
    return loop.run()


def _home(options: WorkerOptions) -> App:
    if options.data is not None:
        return runtime.build(runtime.settings_from({**os.environ, "TIDEGATE_DATA": str(options.data)}))
    if options.stack is not None:
        return runtime.build(runtime.settings_of_stack(options.stack))
    return runtime.current()


class PullLoop:
    """One worker. `run` blocks; `stop` may be called from a signal handler or another thread."""

    def __init__(self, app: App, runner: Runner, options: WorkerOptions) -> None:
        self._tickets: Tickets = app.ports.tickets
        self._wait = min(options.poll_interval, _EMBEDDED_WAIT_SECONDS if app.settings.data else _LONG_POLL_SECONDS)
        self._runner = runner
        self._options = options
        self._stopping = False
        self._done = 0
        self._usual_seconds = _AHEAD_SECONDS
        self._parent = int(os.environ.get(PARENT_VARIABLE, "0"))

    def stop(self) -> None:
        """Finish the running job, give back the tickets taken ahead, and return from `run`."""
        self._stopping = True

    def run(self) -> int:
        """Serve tickets; answers how many jobs were run."""
        while not self._finished():
            try:
                deliveries = self._tickets.receive(self._options.pool, self._wanted(), self._wait)
                for index, delivery in enumerate(deliveries):
                    if self._finished():
                        self._give_back(deliveries[index:])
                        break
                    self._serve(delivery)
            except TidegateError as error:
                _log.warning("trouble: %s", error, extra={"action": "worker_trouble", "code": error.code})
                time.sleep(_TROUBLE_SECONDS)
        return self._done

    def _serve(self, delivery: Delivery) -> None:
        def acknowledge(verdict: Verdict) -> None:
            if isinstance(verdict, Again):
                self._tickets.again(delivery, verdict.seconds)
            else:
                self._tickets.finish([delivery])

        started = time.monotonic()
        verdict = self._runner.serve(delivery, acknowledge)
        if verdict.ran:
            self._done += 1
            self._usual_seconds += (time.monotonic() - started - self._usual_seconds) / 4

    def _wanted(self) -> int:
        ahead = int(_AHEAD_SECONDS / max(self._usual_seconds, 0.001))
        left = _MAX_TICKETS if self._options.max_jobs is None else self._options.max_jobs - self._done
        return max(1, min(_MAX_TICKETS, ahead, left))

    def _finished(self) -> bool:
        enough = self._options.max_jobs is not None and self._done >= self._options.max_jobs
        orphaned = self._parent != 0 and os.getppid() != self._parent
        return self._stopping or enough or orphaned

    def _give_back(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            self._tickets.again(delivery, 0)
