"""From a held attempt to a settled one: run the handler, clean up if it was to stop, record the outcome."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tidegate.domain.dag.run import CHOOSE, COLLECT, GATHER, node_job_id
from tidegate.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound, PayloadTooLarge, StopAsked, Unavailable
from tidegate.domain.guard import SEND_REACH_MS
from tidegate.domain.job import ErrorType, Job, Ms, Progress, State
from tidegate.domain.logs import Level
from tidegate.service.settle import Settled
from tidegate.service.write_log import LogWriter

from .attempts import AttemptStore, Ending, Fault
from .context import HandlerError, JobContext, PermanentError, Skip, Snooze
from .correlating import correlated, of_job
from .pulse import AttemptTimeout, Pulse, Running
from .registry import CleanUp, Executor
from .tally import Tally
from .telling import Stopped, Telling, told_of

_log = logging.getLogger("tidegate.worker")
_SETTLE_TRIES = 6
_MAX_ERROR = 2_000
_UNREAD_SECONDS = 10.0
"""How long a job waits whose data could not be read."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A held job about to be run. `seconds_left` is how long its process may still run, from `began` (monotonic)."""

    job: Job
    reach: Ms
    began: float
    seconds_left: float
    executor: Executor | None
    context: JobContext
    log: LogWriter
    watched: Callable[[float], Running]
    """Starts watching over it on the calling thread, for so many seconds."""

    @property
    def clean_up(self) -> CleanUp | None:
        """What to call before it ends as cancelled; nothing if another attempt may hold the job by now."""
        return None if self.executor is None or self.context.lease_lost else self.executor.on_cancel

    @property
    def ending(self) -> Ending:
        """What is said of its end."""
        return Ending(self.context.progress_told, self.reach, stop_if_asked=self.clean_up is None)


class AttemptRunner:
    """Runs attempts that are held already, one at a time on the calling thread, and settles them.

    `lease_seconds`: how long a lease lasts without a heartbeat; heartbeats come three times as often.
    `end_process` is called with an exit code when an attempt cannot be interrupted, once its outcome is recorded.
    `tally` counts what came of the attempts.
    """

    def __init__(
        self,
        store: AttemptStore,
        executors: Mapping[str, Executor],
        *,
        lease_seconds: float,
        end_process: Callable[[int], None] = os._exit,
        tally: Tally | None = None,
    ) -> None:
        self._store = store
        self._tally = tally or Tally()
        self._executors = executors
        built_in = {GATHER: self._gathered, CHOOSE: self._chosen, COLLECT: _collected}
        self._built_in = {name: Executor(name, run) for name, run in built_in.items()}
        self._lease_seconds = lease_seconds
        self._pulse = Pulse(lease_seconds / 3, self._beat, self._give_up, end_process)

    def when_one_lasts(self, act: Callable[[], None]) -> None:
        """Call `act`, from another thread, once of each attempt that is not over at once."""
        self._pulse.when_it_lasts = act

    @property
    def names(self) -> Collection[str]:
        """The names of the jobs that it has handlers for."""
        return self._executors.keys()

    @property
    def takes(self) -> Collection[str]:
        """The names of the jobs that it runs: those, and what Tidegate does itself for runs of DAGs."""
        return self._executors.keys() | self._built_in.keys()

    @property
    def running(self) -> Job | None:
        """The job whose handler runs now. May be asked from any thread."""
        return self._pulse.job

    def lease_lasts(self, seconds: float) -> None:
        """Take the lease's length from who hands out leases, for attempts that start from now on."""
        self._lease_seconds = seconds
        self._pulse.interval = seconds / 3

    def run_held(self, job: Job) -> None:
        """Run a claimed job and record its outcome; one that is refused (the lease was lost) changes nothing.

        Raises Unavailable when the outcome could not be recorded: the lease lapses, and the job runs again.
        """
        self._recorded(self._prepared(job, SEND_REACH_MS, float("inf")), self._announce)

    def give_back(self, job: Job) -> None:
        """Let go of a claimed job that was not started, without using up an attempt."""
        try:
            self._announce(self._store.snooze(job, 0, Ending()))
        except (LeaseLost, NotFound, Unavailable) as error:
            _log.warning("job not given back: %s", error, extra={"action": "give_back_failed", "job_id": job.id})

    def _announce(self, settled: Settled) -> None:
        """Tell the workers of a job that waits for another attempt, where the store does not do that itself."""

    def _recorded(self, attempt: Attempt, then: Callable[[Settled], T]) -> T | None:
        """Run it and settle it with patience, `then` in the same commit; None where the outcome was refused."""
        with told_of(attempt.job, self._tally) as telling, correlated(of_job(attempt.job)):
            return self._run_and_settled(attempt, then, telling)

    def _run_and_settled(self, attempt: Attempt, then: Callable[[Settled], T], telling: Telling) -> T | None:
        outcome = self._run(attempt)
        if isinstance(outcome, Stopped):
            outcome = self._cleaned_up(attempt, outcome)
        attempt.log.close()
        for number in range(_SETTLE_TRIES):
            try:
                with self._store.together():
                    settled, recorded = self._settle(attempt, outcome)
                    answer = then(settled)
                telling.settled(settled, recorded)
                return answer
            except StopAsked:
                outcome = self._cleaned_up(attempt, outcome)
                attempt.log.close()
            except (LeaseLost, NotFound) as error:
                _log.warning("outcome refused: %s", error, extra={"action": "lease_lost", "job_id": attempt.job.id})
                telling.refused(outcome)
                return None
            except Unavailable:
                if number + 1 == _SETTLE_TRIES:
                    raise
                time.sleep(0.1 * 2**number)
        raise AssertionError("unreachable")

    def _prepared(self, job: Job, reach: Ms, seconds_left: float) -> Attempt:
        log = self._store.log(job)
        watching: list[Running] = []

        def watched(seconds: float) -> Running:
            watching.append(self._pulse.watch(job, context, seconds, log))
            return watching[-1]

        context = JobContext(
            job,
            lambda: self._pulse.beat_now(watching[-1]),
            upstream=lambda: self._store.upstream(job),
            keep=log.add,
            told=lambda: self._pulse.progress_told(watching[-1]),
        )
        executor = self._built_in.get(job.name) or self._executors.get(job.name)
        return Attempt(job, reach, time.monotonic(), seconds_left, executor, context, log, watched)

    def _run(self, attempt: Attempt) -> Any:
        """Call the handler; answers its value or what it raised."""
        job, executor, context = attempt.job, attempt.executor, attempt.context
        if job.cancel_requested:
            context.ask_to_stop()
            return Stopped()  # claimed again, after its worker vanished, to be cleaned up
        if executor is None:
            known = ", ".join(sorted(self._executors)) or "none"
            message = f"no handler named '{job.name}' is served by this worker (it serves: {known})"
            return Fault(ErrorType.VALIDATION, message, permanent=True)
        try:
            outcome = self._call(attempt, executor.run, min(job.timeout, executor.timeout or job.timeout))
        except Unavailable as error:
            _log.warning("data not read: %s", error, extra={"action": "data_not_read", "job_id": job.id})
            return Snooze(_UNREAD_SECONDS)  # nothing of it ran, so no attempt is used up
        if isinstance(outcome, Fault):
            _log.info("attempt failed", extra={"action": "attempt_failed", "job_id": job.id, "attempt": job.attempt})
        timed_out = isinstance(outcome, Fault) and outcome.error_type is ErrorType.TIMEOUT
        lasting = isinstance(outcome, Fault) and outcome.permanent
        return Stopped() if context.stop_was_seen and not (timed_out or lasting) else outcome

    def _cleaned_up(self, attempt: Attempt, outcome: Any) -> Stopped:
        """Call what the handler has for a job that is cancelled; what goes wrong with it is logged and recorded.

        `outcome` is how the attempt ended: an error of the handler is on record too, unless its clean-up failed.
        """
        fault = outcome if isinstance(outcome, Fault) else None
        if attempt.executor is None or attempt.clean_up is None:
            return Stopped(fault)
        attempt.context.ask_to_stop()
        cleaned = self._call(attempt, attempt.clean_up, attempt.executor.on_cancel_timeout)
        if not isinstance(cleaned, Fault):
            return Stopped(fault)
        message = f"clean-up failed: {cleaned.message}"
        attempt.log.add(Level.ERROR, message)  # with the job alone: it is what the handler's error says
        _log.info("clean-up failed", extra={"action": "clean_up_failed", "job_id": attempt.job.id})
        return Stopped(Fault(cleaned.error_type, message))

    def _call(self, attempt: Attempt, function: Callable[[JobContext], Any], seconds: float) -> Any:
        """Call a function of the user for at most so many seconds; answers its value or what it raised.

        Raises Unavailable when the job's data could not be read: then it was not called.
        """
        timeout = min(seconds, max(1.0, attempt.began + attempt.seconds_left - time.monotonic()))
        try:
            attempt.context.load(self._store.full)
        except NotFound:
            return Fault(ErrorType.SYSTEM, "the job's data is missing from the blob store", permanent=True)
        except PayloadTooLarge as error:
            return Fault(ErrorType.VALIDATION, error.message, permanent=True)
        running = attempt.watched(timeout)
        try:
            try:
                with _alarm(timeout):
                    return function(attempt.context)
            finally:
                self._pulse.release(running)
        except AttemptTimeout:
            self._pulse.release(running)
            return Fault(ErrorType.TIMEOUT, f"the attempt took longer than {timeout:g} seconds")
        except HandlerError as error:
            return Fault(error.error_type, described(error), permanent=isinstance(error, PermanentError))
        except (Exception, SystemExit) as error:
            return Fault(ErrorType.AGENT, described(error))

    def _gathered(self, context: JobContext) -> Any:
        try:
            return self._store.gather(context.record)
        except (Conflict, PayloadTooLarge) as error:
            raise PermanentError(error.message) from error

    def _chosen(self, context: JobContext) -> Any:
        """What a branch or a switch chooses, by the results of the nodes before it."""
        from tidegate.domain.dag.branches import choice_in  # few workers ever choose: they start sooner without

        before = self._store.upstream(context.record).items()
        upstream = {name: {"state": each.state.value, "result": each.result} for name, each in before}
        return choice_in(context.data).choose(upstream)

    def _settle(self, attempt: Attempt, outcome: Any) -> tuple[Settled, Any]:
        """Record the outcome; answers what was recorded too: a result may turn out to be none."""
        store, job, ending = self._store, attempt.job, attempt.ending
        match outcome:
            case Fault():
                return store.fail(job, outcome, ending), outcome
            case Stopped(fault):
                return store.stop(job, fault, ending), outcome
            case Skip(reason):
                return store.skip(job, reason, ending), outcome
            case Snooze(seconds):
                return store.snooze(job, seconds, ending), outcome
        try:
            return store.complete(job, outcome, ending), outcome
        except (InvalidInput, PayloadTooLarge) as error:
            fault = Fault(ErrorType.VALIDATION, f"the handler's {error.message}", permanent=True)
            return store.fail(job, fault, ending), fault

    def _beat(self, job: Job, progress: Progress | None) -> Job:
        return self._store.heartbeat(job, self._lease_seconds, progress)

    def _give_up(self, job: Job) -> None:
        message = "the attempt took too long and could not be interrupted; its worker was ended"
        try:
            settled = self._store.fail(job, Fault(ErrorType.TIMEOUT, message), Ending())
        except (LeaseLost, NotFound, Unavailable):
            return
        self._announce(settled)


def _collected(context: JobContext) -> Any:
    """The results of the nodes that end a run within a run; those that were skipped have none.

    Whoever chose the run is before it too, and is no part of it.
    """
    dag_id, run = context.record.dag_id or "", context.record.node or ""
    ends = {
        name: each for name, each in context.upstream.items() if each.job_id == node_job_id(dag_id, f"{run}/{name}")
    }
    return {name: each.result for name, each in ends.items() if each.state is State.COMPLETED}


def described(error: BaseException) -> str:
    """An error in a line: its kind and its message, as a job keeps them."""
    text = str(error)
    name = type(error).__name__
    if isinstance(error, HandlerError):
        return text or name
    return f"{name}: {text}"[:_MAX_ERROR] if text else name


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise AttemptTimeout on the main thread after `seconds`, even out of a sleep or a blocking read.

    Other threads have no signals; there the pulse interrupts at the next bytecode.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGALRM)
    if before is not time_is_up:
        signal.signal(signal.SIGALRM, time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        if before is not time_is_up:
            signal.signal(signal.SIGALRM, before)


def time_is_up(_signal: int, _frame: object) -> None:
    """What handles SIGALRM during an attempt. A process that does nothing but attempts keeps it in between."""
    raise AttemptTimeout
