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

from tidegate.domain.errors import InvalidInput, LeaseLost, NotFound, PayloadTooLarge, Unavailable
from tidegate.domain.guarded import HOLD_REACH_MS, SEND_REACH_MS
from tidegate.domain.job import ErrorType, Job, Ms, Progress
from tidegate.domain.ticket import Ticket, decode, ticket_for
from tidegate.ports import Delivery, Ports
from tidegate.service import settle
from tidegate.service.announce import send_tickets
from tidegate.service.bury import put_aside
from tidegate.service.claim import Claimed, Later, claim_for
from tidegate.service.payloads import with_payloads
from tidegate.service.settle import Settled

from .context import JobContext, PermanentError, Skip, Snooze
from .pulse import AttemptTimeout, Pulse
from .registry import Executor

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
        claim = claim_for(self._ports, ticket, self._worker_id, self._lease_seconds, receives=delivery.receives)
        if isinstance(claim, Claimed):
            self._delivery = delivery
            return self._attempt(claim.job, ticket, acknowledge, seconds_left)
        verdict = Again(claim.seconds) if isinstance(claim, Later) else Done(ran=False)
        return _acknowledged(verdict, acknowledge)

    def _attempt(self, job: Job, ticket: Ticket, acknowledge: Acknowledge, seconds_left: float) -> Verdict:
        own = job.id == ticket.job_id
        reach = HOLD_REACH_MS if own else SEND_REACH_MS
        outcome = self._run(job, seconds_left)
        for attempt in range(_SETTLE_TRIES):
            try:
                with self._ports.together():
                    settled = self._settle(job, outcome, reach)
                    return _acknowledged(self._verdict(settled, own), acknowledge)
            except (LeaseLost, NotFound) as error:
                _log.warning("outcome refused: %s", error, extra={"action": "lease_lost", "job_id": job.id})
                return _acknowledged(Done(), acknowledge)
            except Unavailable:
                if attempt + 1 == _SETTLE_TRIES:
                    raise
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("unreachable")

    def _run(self, job: Job, seconds_left: float) -> Any:
        """Call the handler; answers its value or what it raised."""
        executor = self._executors.get(job.name)
        if executor is None:
            known = ", ".join(sorted(self._executors)) or "none"
            message = f"no handler named '{job.name}' is served by this worker (it serves: {known})"
            return _Raised(ErrorType.VALIDATION, message, permanent=True)
        timeout = min(job.timeout, executor.timeout or job.timeout, max(1.0, seconds_left))
        try:
            full = with_payloads(self._ports.blobs, job)
        except NotFound:
            return _Raised(ErrorType.SYSTEM, "the job's data is missing from the blob store", permanent=True)
        context = JobContext(full, lambda: self._pulse.beat_now(running))
        running = self._pulse.watch(full, context, timeout)
        try:
            try:
                with _alarm(timeout):
                    value = executor.run(context)
            finally:
                self._pulse.release(running)
        except AttemptTimeout:
            self._pulse.release(running)
            return _Raised(ErrorType.TIMEOUT, f"the attempt took longer than {timeout:g} seconds")
        except PermanentError as error:
            return _Raised(ErrorType.AGENT, described(error), permanent=True)
        except (Exception, SystemExit) as error:
            if context.stop_was_seen:
                return _Stopped()
            _log.info("attempt failed", extra={"action": "attempt_failed", "job_id": job.id, "attempt": job.attempt})
            return _Raised(ErrorType.AGENT, described(error))
        return _Stopped() if context.stop_was_seen else value

    def _settle(self, job: Job, outcome: Any, reach: Ms) -> Settled:
        ports = self._ports
        match outcome:
            case _Raised(error_type, message, permanent):
                return settle.fail(ports, job, error_type, message, permanent=permanent, reach=reach)
            case _Stopped():
                return settle.stop(ports, job)
            case Skip(reason):
                return settle.skip(ports, job, reason)
            case Snooze(seconds):
                return settle.snooze(ports, job, seconds, reach=reach)
        try:
            return settle.complete(ports, job, outcome)
        except (InvalidInput, PayloadTooLarge) as error:
            message = f"the handler's {error.message}"
            return settle.fail(ports, job, ErrorType.VALIDATION, message, permanent=True, reach=reach)

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


@dataclass(frozen=True, slots=True)
class _Stopped:
    """The handler stopped because it was asked to."""


def _acknowledged(verdict: Verdict, acknowledge: Acknowledge) -> Verdict:
    acknowledge(verdict)
    return verdict


def described(error: BaseException) -> str:
    """An error in a line: its kind and its message, as a job keeps them."""
    text = str(error)
    name = type(error).__name__
    if isinstance(error, PermanentError):
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
