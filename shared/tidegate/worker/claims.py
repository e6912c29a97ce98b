"""The claim loop: claim as many jobs as can start now, run them on threads, until told to stop.

For workers that take no tickets: those of some queues only, and those without access to the tables.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tidegate.domain.errors import TidegateError
from tidegate.domain.job import Job
from tidegate.execution.attempt_runner import AttemptRunner
from tidegate.execution.tally import Tally
from tidegate.ports import Ports
from tidegate.service.claim_lanes import Wanted, claim_of_queues

from .budget import Budget
from .options import Parent

_log = logging.getLogger("tidegate.worker")
_MAX_CLAIMED = 10
_TROUBLE_SECONDS = 1.0
_TURN_SECONDS = 0.2
"""How soon a worker whose threads are all busy learns that it is to stop."""


class Source(Protocol):
    """Where claimed jobs come from."""

    def claim(self, limit: int) -> Sequence[Job]:
        """Up to `limit` (1 to 10) jobs, started. May wait a while for one. May raise any TidegateError."""

    def pause(self, empty: int, waited: float) -> float:
        """Seconds until the next claim, after `empty` in a row found nothing and the last one waited so long."""


class LaneSource:
    """Jobs of some queues of the home itself. Pauses are seconds: `first`, then doubled up to `longest`."""

    def __init__(self, ports: Ports, wanted: Wanted, first: float, longest: float) -> None:
        self._ports = ports
        self._wanted = wanted
        self._first = first
        self._longest = longest

    def claim(self, limit: int) -> Sequence[Job]:
        """See `Source.claim`. Costs a query for the lanes, one for each lane, and four for delayed jobs."""
        return claim_of_queues(self._ports, self._wanted, limit)

    def pause(self, empty: int, waited: float) -> float:
        """See `Source.pause`."""
        return max(0.0, min(self._longest, self._first * 2.0 ** min(empty - 1, 30)) - waited)


class Counted:
    """A source whose claims are counted."""

    def __init__(self, source: Source, tally: Tally) -> None:
        self._source = source
        self._tally = tally
        self.pause = source.pause

    def claim(self, limit: int) -> Sequence[Job]:
        """See `Source.claim`."""
        jobs = self._source.claim(limit)
        self._tally.claimed(len(jobs))
        return jobs


class ClaimLoop:
    """Runs the jobs of a source, each on one of the runners. `run` blocks; `stop` may be called from anywhere.

    With one runner jobs run on the thread that calls `run`; with more, each runner has a thread of its own, which
    calls `close` when it ends.
    """

    def __init__(
        self, source: Source, runners: Sequence[AttemptRunner], budget: Budget, close: Callable[[], object]
    ) -> None:
        self._source = source
        self._runners = runners
        self._budget = budget
        self._close = close
        self._stopping = False
        self._parent = Parent()
        self._idle: queue.Queue[AttemptRunner] = queue.Queue()
        self._jobs: queue.Queue[Job | None] = queue.Queue()
        self._empty = 0

    def stop(self) -> None:
        """Claim no more, finish the running jobs, and return from `run`.

        A signal handler may call it in the middle of anything, so it takes no lock: an Event would.
        """
        self._stopping = True

    def run(self) -> int:
        """Claim and run jobs; answers how many were run."""
        for runner in self._runners:
            self._idle.put(runner)
        hands = [threading.Thread(target=self._work, args=(runner,), name="tidegate-hand") for runner in self._runners]
        if len(hands) == 1:
            self._rounds(self._run_here)
            return self._budget.spent
        for hand in hands:
            hand.start()
        try:
            self._rounds(self._jobs.put)
        finally:
            for _ in hands:
                self._jobs.put(None)
            for hand in hands:
                hand.join()
        return self._budget.spent

    def _rounds(self, start: Callable[[Job], object]) -> None:
        while not self._finished():
            free = self._free()
            if not free or self._finished():
                continue
            granted = self._budget.reserve(min(free, _MAX_CLAIMED))
            if not granted:
                self._wait(_TURN_SECONDS)
                continue
            jobs = self._claimed(granted)
            self._budget.release(granted - len(jobs))
            for job in jobs:
                self._start(job, start)

    def _start(self, job: Job, start: Callable[[Job], object]) -> None:
        """Start a claimed job; if a stop came while it was claimed, let it go instead."""
        runner = self._idle.get()
        if self._stopping:
            self._idle.put(runner)
            self._budget.release(1)
            runner.give_back(job)
            return
        start(job)

    def _claimed(self, limit: int) -> Sequence[Job]:
        began = time.monotonic()
        try:
            jobs = self._source.claim(limit)
        except TidegateError as error:
            _log.warning("trouble: %s", error, extra={"action": "worker_trouble", "code": error.code})
            self._wait(_TROUBLE_SECONDS)
            return []
        self._empty = 0 if jobs else self._empty + 1
        if not jobs:
            self._wait(self._source.pause(self._empty, time.monotonic() - began))
        return jobs

    def _wait(self, seconds: float) -> None:
        """Let so many seconds pass, or less if a stop comes."""
        end = time.monotonic() + seconds
        while not self._stopping and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, _TURN_SECONDS))

    def _free(self) -> int:
        """How many jobs can start now; waits for a free runner, but only for a moment, so that a stop is seen soon."""
        try:
            self._idle.put(self._idle.get(timeout=_TURN_SECONDS))
        except queue.Empty:
            return 0
        return self._idle.qsize()

    def _work(self, runner: AttemptRunner) -> None:
        while (job := self._jobs.get()) is not None:
            self._run_on(runner, job)
        self._close()

    def _run_here(self, job: Job) -> None:
        self._run_on(self._runners[0], job)

    def _run_on(self, runner: AttemptRunner, job: Job) -> None:
        try:
            runner.run_held(job)
        except TidegateError as error:
            extra = {"action": "outcome_lost", "job_id": job.id, "code": error.code}
            _log.warning("outcome not recorded: %s", error, extra=extra)
        finally:
            self._budget.spend()
            self._idle.put(runner)

    def _finished(self) -> bool:
        return self._stopping or self._budget.is_spent or self._parent.is_gone
