"""Claims that know themselves: one whose answer got lost is asked for again, and recognised if it had been applied.

Else its job would wait for the lease to lapse, and an attempt would be used up that nobody ran.
"""

from __future__ import annotations

from tidegate.domain.errors import Unavailable
from tidegate.domain.guard import GuardedWrite, Lease, Outcome
from tidegate.domain.job import Ms
from tidegate.ports import Ports

from .fares import fare_of

_TOKEN_BITS = 64


def lease_for(ports: Ports, worker_id: str, seconds: float, now: Ms) -> Lease:
    """A lease to claim with, for so long from `now`."""
    token = f"{ports.rng.getrandbits(_TOKEN_BITS):x}"
    return Lease(worker_id, now + round(seconds * 1000), token=token, fare=fare_of(ports))


def claimed(ports: Ports, claim: GuardedWrite, lease: Lease) -> Outcome:
    """Apply a claim with this lease; once more if its outcome stayed unknown. Raises Unavailable if it still does."""
    try:
        (outcome,) = ports.jobs.apply([claim])
    except Unavailable:
        (outcome,) = ports.jobs.apply([claim])
        if outcome.job is not None and lease.is_of(outcome.job):
            return Outcome(True, outcome.job)
    return outcome
