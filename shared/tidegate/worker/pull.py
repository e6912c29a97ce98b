"""The pull loop: receive tickets, serve them one after the other, until told to stop."""

from __future__ import annotations

import logging
import time
from collections import deque

from tidegate.domain.errors import TidegateError
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.execution.tally import Tally
from tidegate.ports import Delivery, Tickets
from tidegate.runtime import App

from .budget import Budget
from .options import Parent, WorkerOptions

_log = logging.getLogger("tidegate.worker")
_MAX_TICKETS = 10
_AHEAD_SECONDS = 0.05
"""Tickets are taken ahead only for as much work as this; where a job lasts all the same they are given back."""
_TROUBLE_SECONDS = 1.0
_TURN_SECONDS = 0.05
"""How soon to look again whether the jobs that other threads took ahead came to nothing."""
_EMBEDDED_WAIT_SECONDS = 0.25
"""Asking SQLite again costs nothing, so a worker that is told to stop does so at once."""
_LONG_POLL_SECONDS = 20.0
"""The longest wait of an SQS receive."""


class PullLoop:
    """One thread of a worker. `run` blocks; `stop` may be called from a signal handler or another thread."""

    def __init__(
        self,
        app: App,
        runner: Runner,
        options: WorkerOptions,
        budget: Budget | None = None,
        tally: Tally | None = None,
    ) -> None:
        self._tickets: Tickets = app.ports.tickets
        embedded = app.settings.data is not None
        self._wait = min(options.poll_interval, _EMBEDDED_WAIT_SECONDS if embedded else _LONG_POLL_SECONDS)
        self._claims_ahead = embedded
        self._runner = runner
        self._options = options
        self._budget = budget or Budget(options.max_jobs)
        self._tally = tally or Tally()
        self._stopping = False
        self._done = 0
        self._usual_seconds = _AHEAD_SECONDS
        self._parent = Parent()
        self._ahead: deque[Delivery] = deque()
        """Tickets that were received with the one that is served. The thread that watches attempts takes them too."""
        self._following: Delivery | None = None
        """What is served next: it may be claimed already."""
        runner.when_one_lasts(self._give_ahead_back)

    def stop(self) -> None:
        """Finish the running job, give back the tickets taken ahead, and return from `run`."""
        self._stopping = True

    def run(self) -> int:
        """Serve tickets; answers how many jobs were run."""
        while not self._finished():
            granted = self._budget.reserve(self._wanted())
            if not granted:
                time.sleep(_TURN_SECONDS)
                continue
            before = self._done
            try:
                self._round(granted)
            except TidegateError as error:
                _log.warning("trouble: %s", error, extra={"action": "worker_trouble", "code": error.code})
                time.sleep(_TROUBLE_SECONDS)
            finally:
                self._budget.release(granted - (self._done - before))
        return self._done

    def _round(self, limit: int) -> None:
        """Receive up to `limit` tickets and serve them."""
        deliveries = self._tickets.receive(self._options.pool, limit, self._wait)
        self._tally.claimed(len(deliveries))
        self._ahead.extend(deliveries)
        try:
            while (delivery := self._next()) is not None:
                if self._finished() and not self._runner.has_claimed(delivery):
                    self._tickets.again(delivery, 0)
                    self._give_ahead_back()
                    break
                self._serve(delivery)
        finally:
            self._ahead.clear()
            self._following = None

    def _next(self) -> Delivery | None:
        following, self._following = self._following, None
        return following or self._taken()

    def _taken(self) -> Delivery | None:
        """The first of those received ahead, taken from them."""
        try:
            return self._ahead.popleft()
        except IndexError:
            return None

    def _serve(self, delivery: Delivery) -> None:
        """Serve one. Where the home can, the claim for the one that follows is in the commit of its outcome."""

        def acknowledge(verdict: Verdict) -> None:
            if isinstance(verdict, Again):
                self._tickets.again(delivery, verdict.seconds)
            else:
                self._tickets.finish([delivery])
            if self._claims_ahead and self._following is None and verdict.ran and not self._finished():
                self._following = self._taken()
                if self._following is not None:
                    self._runner.claim_ahead(self._following)

        started = time.monotonic()
        verdict = self._runner.serve(delivery, acknowledge)
        if verdict.ran:
            self._done += 1
            self._budget.spend()
            self._usual_seconds += (time.monotonic() - started - self._usual_seconds) / 4

    def _wanted(self) -> int:
        ahead = int(_AHEAD_SECONDS / max(self._usual_seconds, 0.001))
        return max(1, min(_MAX_TICKETS, ahead))

    def _finished(self) -> bool:
        return self._stopping or self._budget.is_spent or self._parent.is_gone

    def _give_ahead_back(self) -> None:
        """Let others have what was received ahead: this job is not over at once, or none is to be begun."""
        while (delivery := self._taken()) is not None:
            self._tickets.again(delivery, 0)
