"""Tell the workers of jobs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import SEND_REACH_MS
from tidegate.domain.job import Job, Ms
from tidegate.domain.ticket import Lane, Ticket, ticket_for
from tidegate.ports import Ports


def remember_lanes(ports: Ports, jobs: Sequence[Job]) -> None:
    """Make the lanes of jobs known to the clock, before the jobs stand ready in them.

    It looks into known lanes only, and forgets those that were empty for hours: a crash after a job is made
    ready must not leave it, without a ticket, in a lane that nobody looks into.
    """
    now = ports.now()
    for lane in {Lane(job.tenant, job.queue): None for job in jobs}:
        ports.lanes.touch(lane, now)
    if jobs:
        with suppress(Unavailable):  # the clock wakes what sleeps as long as lanes are known
            ports.polling.wake()


def announce(ports: Ports, jobs: Sequence[Job]) -> None:
    """Send the tickets of waiting jobs, those beyond the reach of a delay excepted: the clock sends them in time."""
    now = ports.now()
    send_tickets(ports, [_timed(job, now) for job in jobs if (job.wake_at or now) - now <= SEND_REACH_MS])


def send_tickets(ports: Ports, tickets: Sequence[tuple[Ticket, float]]) -> None:
    """Send tickets, each to be seen after so many seconds.

    A pool that is no longer deployed gets none: its jobs wait in the table, and the clock goes on trying, so
    that they start when the pool is back.
    """
    known = [(ticket, delay) for ticket, delay in tickets if ticket.pool in ports.pools]
    if known:
        ports.tickets.send(known)


def _timed(job: Job, now: Ms) -> tuple[Ticket, float]:
    return ticket_for(job), max(0, (job.wake_at or now) - now) / 1000
