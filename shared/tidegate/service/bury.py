"""Dead letters: a ticket that was delivered too often is renewed while its job is open; a body that is no
ticket is put aside where a person can read it.

A dead letter never decides about a job: receive counts rise when Lambda is throttled, attempts do not.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum

from tidegate.domain.correlation import Correlation
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import TERMINAL
from tidegate.domain.ticket import decode, ticket_for
from tidegate.ports import JobKey, Ports

from .announce import send_tickets


class Burial(StrEnum):
    """What became of a dead letter."""

    RENEWED = "renewed"
    """Its job is open: a fresh ticket was sent."""
    SPENT = "spent"
    """Its job has ended or is gone: nothing to do."""
    PUT_ASIDE = "put_aside"
    """It is not a ticket: kept under `dead-letters/`."""


def bury(ports: Ports, body: str, source: str) -> Burial:
    """Deal with one message that its queue gave up on. Doing it again is harmless."""
    try:
        ticket = decode(body)
    except InvalidInput as error:
        put_aside(ports, body, source, error.message)
        return Burial.PUT_ASIDE
    (job,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
    if job is None or job.state in TERMINAL:
        return Burial.SPENT
    send_tickets(ports, [(ticket_for(job), 0.0)])
    return Burial.RENEWED


def correlation_of(body: str) -> Correlation | None:
    """The request that a ticket's job was made by; None where the ticket does not say, or is none."""
    try:
        ticket = decode(body)
    except InvalidInput:
        return None
    return None if ticket.correlation_id is None else Correlation(ticket.correlation_id)


def put_aside(ports: Ports, body: str, source: str, reason: str) -> str:
    """Keep a message that is not a ticket, once however often it arrives; answers the blob's key."""
    letter = {"body": body, "source": source, "reason": reason, "at": ports.now()}
    digest = hashlib.sha256(f"{source} {body}".encode()).hexdigest()[:32]
    key = f"dead-letters/{digest}.json"
    ports.blobs.put(key, json.dumps(letter).encode())
    return key
