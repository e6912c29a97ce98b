"""Limits of queues and tenants: what counts against them, and for how long. Each record belongs to one lane."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from .errors import InvalidInput
from .job import Job, Ms, State
from .ticket import Lane

MAX_SLOTS = 500
"""Most jobs a limited queue or key may run at once: its holders live in one item, of some 60 bytes each."""
MAX_RATE = 10_000
MAX_QUEUE_SIZE = 1_000_000
MAX_KEY_BYTES = 256
PERIODS: Mapping[str, Ms] = {"second": 1_000, "minute": 60_000}
"""The windows of a rate limit, in milliseconds."""

UNCONFIRMED_MS = 120_000
"""A slot taken so long ago for a claim that never happened is given back."""
CONFIRM_MS = 30_000
"""A claim that took longer than this asks again for its slots before the job runs.

The rest of `UNCONFIRMED_MS` is for clocks that differ: whoever gives back a slot, and whoever claims under it,
both know in time, as long as their clocks are less than 90 seconds apart.
"""


def check_key(field: str, value: str) -> str:
    """`value`, if it can be a concurrency or unique key; raises InvalidInput naming `field` otherwise."""
    if not value.isprintable() or not 0 < len(value.encode()) <= MAX_KEY_BYTES:
        raise InvalidInput.field(field, f"must have 1 to {MAX_KEY_BYTES} bytes of printable characters")
    return value


class Semaphore(NamedTuple):
    """What has slots: a lane, one concurrency key in it, or a tenant as a whole."""

    lane: Lane
    key: str = ""
    """Empty for the lane itself."""

    @property
    def is_tenants(self) -> bool:
        """Whether it limits all lanes of a tenant together."""
        return not self.lane.queue


def tenants_semaphore(tenant: str) -> Semaphore:
    """The one of a tenant: that of the lane without a name, which no queue has."""
    return Semaphore(Lane(tenant, ""))


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds slots: one claim. Its text is stored with the semaphores, and as `slot` on the job it claimed."""

    of_lane: bool
    of_key: bool
    at: Ms
    """When it was made."""
    nonce: str
    job_id: str
    of_tenant: bool = False

    def __str__(self) -> str:
        kinds = ("t" if self.of_tenant else "") + ("q" if self.of_lane else "") + ("k" if self.of_key else "")
        return f"{kinds}.{self.at:x}.{self.nonce}.{self.job_id}"

    def semaphores(self, lane: Lane, key: str | None) -> list[Semaphore]:
        """Those whose slots it takes, in the order of taking; `key` is its job's."""
        lanes = [tenants_semaphore(lane.tenant)] if self.of_tenant else []
        lanes += [Semaphore(lane)] if self.of_lane else []
        return [*lanes, Semaphore(lane, key)] if self.of_key and key else lanes


def parse_holder(text: str) -> Holder:
    """The holder in a text that `str(holder)` made; raises ValueError for any other."""
    kinds, at, nonce, job_id = text.split(".", 3)
    return Holder("q" in kinds, "k" in kinds, int(at, 16), nonce, job_id, "t" in kinds)


def held_by(job: Job) -> list[Semaphore]:
    """The semaphores of which the job's last claim took a slot."""
    return (
        [] if job.slot is None else parse_holder(job.slot).semaphores(Lane(job.tenant, job.queue), job.concurrency_key)
    )


def is_abandoned(holder: Holder, job: Job | None, now: Ms) -> bool:
    """Whether a slot is held for nothing: its claim has ended, or did not happen in time.

    A claim writes its holder on the job. So a job that carries it and does not run has ended that attempt; one
    that does not carry it may be about to be claimed.
    """
    if job is not None and job.slot == str(holder):
        return job.state is not State.ACTIVE
    return now - holder.at > UNCONFIRMED_MS


def window_of(period: str, now: Ms) -> Ms:
    """When the window began that `now` is in: the n-th second or minute since 1970."""
    return now - now % PERIODS[period]


def window_end(period: str, now: Ms) -> Ms:
    """When the next window begins."""
    return window_of(period, now) + PERIODS[period]
