"""From a ticket to a settled attempt: decode, claim, run, settle, acknowledge."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tidegate.domain.dag.run import GATHER
from tidegate.domain.errors import Conflict, InvalidInput, LeaseLost, NotFound, PayloadTooLarge, StopAsked, Unavailable
from tidegate.domain.guarded import HOLD_REACH_MS, SEND_REACH_MS, failure_of
from tidegate.domain.job import ErrorType, Job, Ms, Progress
from tidegate.domain.ticket import Ticket, decode, ticket_for
from tidegate.ports import Delivery, Ports
from tidegate.service import settle
from tidegate.service.announce import send_tickets
from tidegate.service.bury import put_aside
from tidegate.service.claim import Claimed, Later, claim_for
from tidegate.service.payloads import with_payloads
from tidegate.service.settle import Settled
from tidegate.service.upstream import gather, upstream_of
from tidegate.service.write_log import LogWriter

from .context import HandlerError, JobContext, PermanentError, Skip, Snooze
from .pulse import AttemptTimeout, Pulse, Running
from .registry import CleanUp, Executor

_log = logging.getLogger("tidegate.worker")
_BUSY_SECONDS = 5.0
_SETTLE_TRIES = 6
_MAX_ERROR = 2_000


@dataclass(frozen=True, slots=True)
class Done:
    """The ticket has served: take it away. `ran` tells whether a job was started."""

    ran: bool = True


@dataclass(frozen=True, slots=True)
class Again:
    """The ticket is needed again in so many seconds."""

    seconds: float
    ran: bool = False


Verdict = Done | Again
Acknowledge = Callable[[Verdict], None]


@dataclass(frozen=True, slots=True)
class _Raised:
    error_type: ErrorType
    message: str
    permanent: bool = False


@dataclass(frozen=True, slots=True)
class _Stopped:
    """The attempt stopped because it was asked to; `error` is what its clean-up raised."""

    error: _Raised | None = None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A claimed job about to be run. `seconds_left` is how long its process may still run, from `began` (monotonic)."""

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


class Runner:
    """Serves tickets one at a time on the calling thread.

    `lease_seconds`: how long a claim lasts without a heartbeat; heartbeats come three times as often.
    `extend_tickets`: also keep the running job's ticket out of sight at each heartbeat, needed where the
    queue's visibility time-out is shorter than jobs may take.
    """

    def __init__(
        self,
        ports: Ports,
        executors: Mapping[str, Executor],
        *,
        worker_id: str,
        lease_seconds: float,
        extend_tickets: bool = False,
    ) -> None:
        self._ports = ports
        self._executors = executors
        self._gather = Executor(GATHER, self._gathered)
        self._cleans_up = frozenset(name for name, each in executors.items() if each.on_cancel is not None)
        self._worker_id = worker_id
        self._lease_seconds = lease_seconds
        self._extend_tickets = extend_tickets
        self._delivery: Delivery | None = None
        self._pulse = Pulse(lease_seconds / 3, self._beat, self._give_up)

    def serve(self, delivery: Delivery, acknowledge: Acknowledge, *, seconds_left: float = float("inf")) -> Verdict:
        """Do what a delivered ticket asks for; `acknowledge` is called once, in one commit with the outcome.

        `seconds_left` is how long the process may still run. Errors of the store rise as `Unavailable`,
        with nothing acknowledged: the ticket comes again by itself.
        """
        try:
            ticket = decode(delivery.body)
        except InvalidInput as error:
            put_aside(self._ports, delivery.body, delivery.source, error.message)
            _log.error("not a ticket: put aside", extra={"action": "ticket_malformed", "source": delivery.source})
            return _acknowledged(Done(ran=False), acknowledge)
        claim = claim_for(
            self._ports,
            ticket,
            self._worker_id,
            self._lease_seconds,
            receives=delivery.receives,
            cleans_up=self._cleans_up,
        )
        if isinstance(claim, Claimed):
            self._delivery = delivery
            return self._attempt(claim.job, ticket, acknowledge, seconds_left)
        verdict = Again(claim.seconds) if isinstance(claim, Later) else Done(ran=False)
        return _acknowledged(verdict, acknowledge)

    def _attempt(self, job: Job, ticket: Ticket, acknowledge: Acknowledge, seconds_left: float) -> Verdict:
        own = job.id == ticket.job_id
        attempt = self._prepared(job, HOLD_REACH_MS if own else SEND_REACH_MS, seconds_left)
        outcome = self._run(attempt)
        if isinstance(outcome, _Stopped):
            outcome = self._cleaned_up(attempt, outcome)
        attempt.log.close()
        for number in range(_SETTLE_TRIES):
            try:
                with self._ports.together():
                    settled = self._settle(attempt, outcome)
                    return _acknowledged(self._verdict(settled, own), acknowledge)
            except StopAsked:
                outcome = self._cleaned_up(attempt, outcome)
                attempt.log.close()
            except (LeaseLost, NotFound) as error:
                _log.warning("outcome refused: %s", error, extra={"action": "lease_lost", "job_id": job.id})
                return _acknowledged(Done(), acknowledge)
            except Unavailable:
                if number + 1 == _SETTLE_TRIES:
                    raise
                time.sleep(0.1 * 2**number)
        raise AssertionError("unreachable")

    def _prepared(self, job: Job, reach: Ms, seconds_left: float) -> _Attempt:
        log = LogWriter(self._ports, job)
        watching: list[Running] = []

        def watched(seconds: float) -> Running:
            watching.append(self._pulse.watch(job, context, seconds, log))
            return watching[-1]

        context = JobContext(
            job,
            lambda: self._pulse.beat_now(watching[-1]),
            upstream=lambda: upstream_of(self._ports, job),
            keep=log.add,
            told=lambda: self._pulse.progress_told(watching[-1]),
        )
        executor = self._gather if job.name == GATHER else self._executors.get(job.name)
        return _Attempt(job, reach, time.monotonic(), seconds_left, executor, context, log, watched)

    def _run(self, attempt: _Attempt) -> Any:
        """Call the handler; answers its value or what it raised."""
        job, executor, context = attempt.job, attempt.executor, attempt.context
        if job.cancel_requested:
            context.ask_to_stop()
            return _Stopped()  # claimed again, after its worker vanished, to be cleaned up
        if executor is None:
            known = ", ".join(sorted(self._executors)) or "none"
            message = f"no handler named '{job.name}' is served by this worker (it serves: {known})"
            return _Raised(ErrorType.VALIDATION, message, permanent=True)
        outcome = self._call(attempt, executor.run, min(job.timeout, executor.timeout or job.timeout))
        if isinstance(outcome, _Raised):
            _log.info("attempt failed", extra={"action": "attempt_failed", "job_id": job.id, "attempt": job.attempt})
        timed_out = isinstance(outcome, _Raised) and outcome.error_type is ErrorType.TIMEOUT
        lasting = isinstance(outcome, _Raised) and outcome.permanent
        return _Stopped() if context.stop_was_seen and not (timed_out or lasting) else outcome

    def _cleaned_up(self, attempt: _Attempt, outcome: Any) -> _Stopped:
        """Call what the handler has for a job that is cancelled; what goes wrong with it is logged and recorded.

        `outcome` is how the attempt ended: an error of the handler is on record too, unless its clean-up failed.
        """
        raised = outcome if isinstance(outcome, _Raised) else None
        if attempt.executor is None or attempt.clean_up is None:
            return _Stopped(raised)
        attempt.context.ask_to_stop()
        cleaned = self._call(attempt, attempt.clean_up, attempt.executor.on_cancel_timeout)
        if not isinstance(cleaned, _Raised):
            return _Stopped(raised)
        message = f"clean-up failed: {cleaned.message}"
        attempt.context.log.error("%s", message)
        return _Stopped(_Raised(cleaned.error_type, message))

    def _call(self, attempt: _Attempt, function: Callable[[JobContext], Any], seconds: float) -> Any:
        """Call a function of the user for at most so many seconds; answers its value or what it raised."""
        timeout = min(seconds, max(1.0, attempt.began + attempt.seconds_left - time.monotonic()))
        try:
            attempt.context.load(lambda job: with_payloads(self._ports.blobs, job))
        except NotFound:
            return _Raised(ErrorType.SYSTEM, "the job's data is missing from the blob store", permanent=True)
        running = attempt.watched(timeout)
        try:
            try:
                with _alarm(timeout):
                    return function(attempt.context)
            finally:
                self._pulse.release(running)
        except AttemptTimeout:
            self._pulse.release(running)
            return _Raised(ErrorType.TIMEOUT, f"the attempt took longer than {timeout:g} seconds")
        except HandlerError as error:
            return _Raised(error.error_type, described(error), permanent=isinstance(error, PermanentError))
        except (Exception, SystemExit) as error:
            return _Raised(ErrorType.AGENT, described(error))

    def _gathered(self, context: JobContext) -> Any:
        try:
            return gather(self._ports, context.record)
        except Conflict as error:
            raise PermanentError(error.message) from error

    def _settle(self, attempt: _Attempt, outcome: Any) -> Settled:
        ports, job, reach, progress = self._ports, attempt.job, attempt.reach, attempt.context.progress_told
        stop_if_asked = attempt.clean_up is None
        match outcome:
            case _Raised(error_type, message, permanent):
                return settle.fail(
                    ports, job, error_type, message,
                    permanent=permanent, reach=reach, progress=progress, stop_if_asked=stop_if_asked,
                )  # fmt: skip
            case _Stopped(error):
                failed = None if error is None else failure_of(job, error.error_type, error.message, ports.now())
                return settle.stop(ports, job, failed, progress=progress)
            case Skip(reason):
                return settle.skip(ports, job, reason, progress=progress)
            case Snooze(seconds):
                return settle.snooze(ports, job, seconds, reach=reach, progress=progress, stop_if_asked=stop_if_asked)
        try:
            return settle.complete(ports, job, outcome, progress=progress)
        except (InvalidInput, PayloadTooLarge) as error:
            message = f"the handler's {error.message}"
            return settle.fail(
                ports, job, ErrorType.VALIDATION, message, permanent=True, reach=reach, progress=progress
            )

    def _verdict(self, settled: Settled, own: bool) -> Verdict:
        """What the ticket is good for now: a retry of its own job rides on it, another job's gets a new one."""
        if settled.wake_at is None:
            return Done()
        seconds = max(0.0, (settled.wake_at - self._ports.now()) / 1000)
        if own and seconds * 1000 <= HOLD_REACH_MS:
            return Again(seconds, ran=True)
        if seconds * 1000 <= SEND_REACH_MS:
            send_tickets(self._ports, [(ticket_for(settled.job), seconds)])
        return Done()

    def _beat(self, job: Job, progress: Progress | None) -> Job:
        held = settle.heartbeat(self._ports, job, self._lease_seconds, progress)
        if self._extend_tickets and self._delivery is not None:
            self._ports.tickets.again(self._delivery, self._lease_seconds)
        return held

    def _give_up(self, job: Job) -> None:
        message = "the attempt took too long and could not be interrupted; its worker was ended"
        try:
            settled = settle.fail(self._ports, job, ErrorType.TIMEOUT, message, permanent=False, reach=SEND_REACH_MS)
        except (LeaseLost, NotFound, Unavailable):
            return
        self._verdict(settled, own=False)


def _acknowledged(verdict: Verdict, acknowledge: Acknowledge) -> Verdict:
    acknowledge(verdict)
    return verdict


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
    before = signal.signal(signal.SIGALRM, _time_is_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _time_is_up(_signal: int, _frame: object) -> None:
    raise AttemptTimeout
