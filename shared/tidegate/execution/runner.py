"""From a ticket to a settled attempt: decode, claim, run, settle, acknowledge."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tidegate.domain.errors import InvalidInput, Unavailable
from tidegate.domain.guard import HOLD_REACH_MS, SEND_REACH_MS
from tidegate.domain.job import Job, Progress
from tidegate.domain.ticket import Ticket, decode, ticket_for
from tidegate.ports import Delivery, Ports
from tidegate.service.announce import send_tickets
from tidegate.service.bury import put_aside
from tidegate.service.claim import Claim, Claimed, Later, claim_for
from tidegate.service.heads import Heads
from tidegate.service.settle import Settled

from .attempt_runner import AttemptRunner
from .attempts import PortsAttempts
from .correlating import correlated
from .registry import Executor
from .tally import Tally

_log = logging.getLogger("tidegate.worker")


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


class Runner(AttemptRunner):
    """Serves tickets one at a time on the calling thread.

    `lease_seconds`: how long a claim lasts without a heartbeat; heartbeats come three times as often.
    `extend_tickets`: also keep the running job's ticket out of sight at each heartbeat, needed where the
    queue's visibility time-out is shorter than jobs may take.
    `leaves_others`: jobs that it has no handler for wait for a worker that has one; else they fail, as `validation`.
    `on_start` is told of each job that starts, before its handler runs.
    """

    def __init__(
        self,
        ports: Ports,
        executors: Mapping[str, Executor],
        *,
        worker_id: str,
        lease_seconds: float,
        extend_tickets: bool = False,
        leaves_others: bool = False,
        on_start: Callable[[Job], object] = lambda _: None,
        end_process: Callable[[int], None] = os._exit,
        tally: Tally | None = None,
    ) -> None:
        store = PortsAttempts(ports)
        super().__init__(store, executors, lease_seconds=lease_seconds, end_process=end_process, tally=tally)
        self._ports = ports
        self._heads = Heads(ports, ports.head_ms)
        self._cleans_up = frozenset(name for name, each in executors.items() if each.on_cancel is not None)
        self._worker_id = worker_id
        self._extend_tickets = extend_tickets
        self._only = frozenset(self.takes if leaves_others else ())
        self._on_start = on_start
        self._delivery: Delivery | None = None
        self._ahead: tuple[Delivery, Ticket, Claim] | None = None

    def claim_ahead(self, delivery: Delivery) -> None:
        """Claim for a delivery that is served next, within the commit that records the outcome before it.

        Raises Unavailable if it could not be: nothing of that commit holds then, and it is to be tried again without.
        """
        try:
            with correlated(None):
                ticket = decode(delivery.body)
                self._ahead = delivery, ticket, self._claim(ticket, delivery)
        except Exception as error:  # whatever it is, it is told when that delivery is served by itself
            raise Unavailable("nothing could be claimed along with the outcome") from error

    def has_claimed(self, delivery: Delivery) -> bool:
        """Whether `claim_ahead` did so for this delivery, which has not been served yet."""
        return self._ahead is not None and self._ahead[0] is delivery

    def serve(self, delivery: Delivery, acknowledge: Acknowledge, *, seconds_left: float = float("inf")) -> Verdict:
        """Do what a delivered ticket asks for; `acknowledge` is called once, in one commit with the outcome.

        `seconds_left` is how long the process may still run. Errors of the store rise as `Unavailable`,
        with nothing acknowledged: the ticket comes again by itself.
        """
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] is delivery:
            return self._served(*ahead, acknowledge, seconds_left)
        try:
            ticket = decode(delivery.body)
        except InvalidInput as error:
            put_aside(self._ports, delivery.body, delivery.source, error.message)
            _log.error("not a ticket: put aside", extra={"action": "ticket_malformed", "source": delivery.source})
            return _acknowledged(Done(ran=False), acknowledge)
        return self._served(delivery, ticket, self._claim(ticket, delivery), acknowledge, seconds_left)

    def run_held(self, job: Job) -> None:
        """See `AttemptRunner.run_held`: there is no ticket to be kept out of sight."""
        self._delivery = None
        self._on_start(job)
        super().run_held(job)

    def _claim(self, ticket: Ticket, delivery: Delivery) -> Claim:
        return claim_for(
            self._ports,
            ticket,
            self._worker_id,
            self._lease_seconds,
            receives=delivery.receives,
            cleans_up=self._cleans_up,
            names=self._only,
            heads=self._heads,
        )

    def _served(
        self, delivery: Delivery, ticket: Ticket, claim: Claim, acknowledge: Acknowledge, seconds_left: float
    ) -> Verdict:
        """Run what was claimed, if anything was."""
        if isinstance(claim, Claimed):
            self._delivery = delivery
            return self._attempt(claim.job, ticket, acknowledge, seconds_left)
        verdict = Again(claim.seconds) if isinstance(claim, Later) else Done(ran=False)
        return _acknowledged(verdict, acknowledge)

    def _attempt(self, job: Job, ticket: Ticket, acknowledge: Acknowledge, seconds_left: float) -> Verdict:
        own = job.id == ticket.job_id

        def recorded(settled: Settled) -> Verdict:
            self._ahead = None  # a claim that went down with a commit that failed
            return _acknowledged(self._verdict(settled, own), acknowledge)

        self._on_start(job)
        attempt = self._prepared(job, HOLD_REACH_MS if own else SEND_REACH_MS, seconds_left)
        return self._recorded(attempt, recorded) or _acknowledged(Done(), acknowledge)

    def _announce(self, settled: Settled) -> None:
        self._verdict(settled, own=False)

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
        held = super()._beat(job, progress)
        if self._extend_tickets and self._delivery is not None:
            self._ports.tickets.again(self._delivery, self._lease_seconds)
        return held


def _acknowledged(verdict: Verdict, acknowledge: Acknowledge) -> Verdict:
    acknowledge(verdict)
    return verdict
