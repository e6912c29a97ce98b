"""A ticket: the wake-up that says "at least one job of this lane is ready". Never the job itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import NamedTuple

from .errors import InvalidInput
from .job import Job
from .priority import Band, band_of

VERSION = 1
_to_json = json.JSONEncoder(separators=(",", ":")).encode


class Lane(NamedTuple):
    """One tenant's part of one queue: the scope of exact priority."""

    tenant: str
    queue: str


@dataclass(frozen=True, slots=True)
class Ticket:
    """What travels through SQS for one job."""

    tenant: str
    queue: str
    job_id: str
    pool: str
    priority: int
    rank: int
    correlation_id: str | None = None
    """The request that made the job, for the log."""

    @property
    def lane(self) -> Lane:
        """Where it may start a job."""
        return Lane(self.tenant, self.queue)

    @property
    def band(self) -> Band:
        """The SQS queue it belongs in."""
        return band_of(self.priority)


def ticket_for(job: Job) -> Ticket:
    """The ticket that wakes a worker for `job`."""
    return Ticket(job.tenant, job.queue, job.id, job.pool, job.priority, job.rank, job.correlation_id)


def encode(ticket: Ticket) -> str:
    """The message body: compact JSON, the same for equal tickets."""
    body = [VERSION, ticket.tenant, ticket.queue, ticket.job_id, ticket.pool, ticket.priority, ticket.rank]
    body += [] if ticket.correlation_id is None else [ticket.correlation_id]
    return _to_json(body)


def decode(body: str) -> Ticket:
    """The ticket in a message body; raises InvalidInput when there is none."""
    try:
        version, tenant, queue, job_id, pool, priority, rank, *rest = json.loads(body)
    except (ValueError, TypeError) as error:
        raise InvalidInput("the message is not a ticket", body=body[:200]) from error
    texts, numbers = (tenant, queue, job_id, pool, *rest), (priority, rank)
    known = version == VERSION and len(rest) <= 1
    if not known or not all(type(t) is str and t for t in texts) or not all(type(n) is int for n in numbers):
        raise InvalidInput("the message is not a ticket of a known version", body=body[:200])
    return Ticket(tenant, queue, job_id, pool, priority, rank, *rest)
