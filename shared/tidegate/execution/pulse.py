"""The heart of a worker: keeps the lease of the running job, brings it news, and ends what takes too long."""

from __future__ import annotations

import ctypes
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tidegate.domain.errors import LeaseLost, NotFound, TidegateError, Unavailable
from tidegate.domain.job import Job, Progress
from tidegate.service.write_log import LogWriter

from .context import JobContext

_log = logging.getLogger("tidegate.worker")
_STEP_SECONDS = 0.2
_IDLE_STEPS = 10
"""After so many steps with nothing to watch the thread ends; the next attempt starts another."""
_PROGRESS_SECONDS = 0.5
_LASTING_SECONDS = 0.1
"""An attempt that runs for so long is no longer one of those that are over at once."""
_STUCK_AFTER_SECONDS = 5.0
_ALARM_FIRST_SECONDS = 1.0
"""On the main thread an alarm interrupts, even out of a sleep; the pulse steps in when that did not help."""
_BEAT_PATIENCE_SECONDS = 10.0
"""How long the end of an attempt waits for a heartbeat that is under way."""
STUCK_EXIT_CODE = 75


class AttemptTimeout(BaseException):
    """The attempt took longer than it may. Not an Exception, so that a handler does not swallow it."""


@dataclass(slots=True)
class Running:
    """One attempt while its handler runs. Times are of the monotonic clock, in seconds."""

    job: Job
    context: JobContext
    deadline: float
    next_beat: float
    next_progress: float
    lasts_at: float
    log: LogWriter | None = None
    thread: int = field(default_factory=threading.get_ident)
    in_handler: bool = True
    interrupted: bool = False


class Pulse:
    """Watches one attempt at a time from a thread of its own.

    `beat` extends lease and ticket and answers the job; `give_up` is told of an attempt that cannot be
    interrupted, before the process ends itself (a supervisor or Lambda starts another).
    """

    def __init__(
        self,
        interval: float,
        beat: Callable[[Job, Progress | None], Job],
        give_up: Callable[[Job], None],
        end_process: Callable[[int], None] = os._exit,
    ) -> None:
        self.interval = interval
        """Seconds between two heartbeats of an attempt, for attempts that start from now on."""
        self._beat = beat
        self._give_up = give_up
        self._end_process = end_process
        self._lock = threading.Lock()
        self._beating = threading.Lock()
        self._running: Running | None = None
        self._thread: threading.Thread | None = None
        self.when_it_lasts: Callable[[], None] = _nothing
        """Called once of each attempt that is not over at once, from the thread that watches it."""

    @property
    def job(self) -> Job | None:
        """The job that is watched now."""
        running = self._running
        return None if running is None else running.job

    def watch(self, job: Job, context: JobContext, timeout: float, log: LogWriter | None = None) -> Running:
        """Start watching an attempt that runs on the calling thread for at most `timeout` seconds."""
        now = time.monotonic()
        grace = _ALARM_FIRST_SECONDS if threading.current_thread() is threading.main_thread() else 0.0
        running = Running(
            job,
            context,
            now + timeout + grace,
            now + self.interval,
            now + _PROGRESS_SECONDS,
            now + _LASTING_SECONDS,
            log,
        )
        with self._lock:
            self._running = running
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tidegate-pulse", daemon=True)
                self._thread.start()
        return running

    def release(self, running: Running) -> None:
        """Stop watching; takes back an interruption that has not arrived yet. May be called again.

        A heartbeat that is under way is waited for: it may keep the ticket out of sight for a lease, and is not to
        do so after the attempt's outcome has said when the ticket is needed again.
        """
        with self._lock:
            running.in_handler = False
            if self._running is running:
                self._running = None
            if running.interrupted:
                _raise_in(running.thread, None)
        if self._beating.acquire(timeout=_BEAT_PATIENCE_SECONDS):
            self._beating.release()

    def progress_told(self, running: Running) -> None:
        """Store progress at once, unless some was stored a moment ago: then the watching thread does it soon."""
        if self._may_tell(running, time.monotonic()):
            self.beat_now(running)

    def beat_now(self, running: Running) -> None:
        """Extend the lease at once and pass on what is new; nothing once the attempt is no longer watched."""
        with self._beating:
            if running.in_handler:
                self._beat_once(running)

    def _beat_once(self, running: Running) -> None:
        running.next_beat = time.monotonic() + self.interval
        try:
            if self._beat(running.job, running.context.take_progress()).cancel_requested:
                running.context.ask_to_stop()
        except (LeaseLost, NotFound):
            running.context.ask_to_stop(lease_lost=True)
        except Unavailable as error:
            running.context.give_progress_back()
            _log.warning("heartbeat failed: %s", error, extra={"action": "heartbeat_failed", **_of(running.job)})
            running.next_beat = time.monotonic() + 1.0

    def _may_tell(self, running: Running, now: float) -> bool:
        """Whether progress may be stored now; if so, nobody else may for a while."""
        with self._lock:
            if now < running.next_progress:
                return False
            running.next_progress = now + _PROGRESS_SECONDS
            return True

    def _run(self) -> None:
        idle = 0
        while idle < _IDLE_STEPS or not self._retire():
            time.sleep(_STEP_SECONDS)
            running = self._running
            idle = 0 if running is not None else idle + 1
            if running is not None:
                self._look_after(running)

    def _retire(self) -> bool:
        """Whether nothing is watched, so that the thread may end."""
        with self._lock:
            if self._running is None:
                self._thread = None
            return self._thread is None

    def _look_after(self, running: Running) -> None:
        now = time.monotonic()
        if now >= running.lasts_at:
            running.lasts_at = float("inf")
            self._tell_that_it_lasts(running)
        if now >= running.deadline:
            self._interrupt(running, now)
        elif now >= running.next_beat or (running.context.has_progress and self._may_tell(running, now)):
            self.beat_now(running)
        if running.log is not None and running.log.is_due:
            running.log.flush()

    def _tell_that_it_lasts(self, running: Running) -> None:
        try:
            self.when_it_lasts()
        except TidegateError as error:
            _log.warning("others wait: %s", error, extra={"action": "not_given_back", **_of(running.job)})

    def _interrupt(self, running: Running, now: float) -> None:
        with self._lock:
            if not running.in_handler:
                return
            if not running.interrupted:
                running.interrupted = True
                _raise_in(running.thread, AttemptTimeout)
                return
            if now < running.deadline + _STUCK_AFTER_SECONDS:
                return
        if running.log is not None:
            running.log.close()
        self._give_up(running.job)
        _log.error("the attempt cannot be interrupted", extra={"action": "worker_stuck", **_of(running.job)})
        self._end_process(STUCK_EXIT_CODE)


def _nothing() -> None:
    """Nobody wants to know."""


def _of(job: Job) -> dict[str, str | None]:
    """What a line of the pulse's own thread says of the job."""
    return {"job_id": job.id, "correlation_id": job.correlation_id}


def _raise_in(thread: int, error: type[BaseException] | None) -> None:
    """Make `error` rise in another thread at its next bytecode; None takes a waiting one back."""
    exception = ctypes.py_object(error) if error is not None else None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), exception)
