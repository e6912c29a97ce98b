"""A gate: one thing that may keep a job from running, with its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.domain.job import Json

NAMED = 5
"""Nodes and jobs that a message or a fact lists by name."""


class GateName(StrEnum):
    """What may keep a job from running, in the order in which people want to hear of it."""

    UPSTREAM = "upstream"
    """Other nodes of its run."""
    EXPIRY = "expiry"
    """The time until which it has to start."""
    START_AFTER = "start_after"
    """The time that it was submitted for."""
    RETRY = "retry"
    """The pause after a failed attempt."""
    SNOOZE = "snooze"
    """The pause that its handler asked for."""
    QUEUE_PAUSED = "queue_paused"
    """Its queue was paused by someone."""
    LINE = "line"
    """Jobs of its lane that rank better."""
    BUDGET = "budget"
    """What its tenant may spend: it shuts the door for new jobs, and holds none that was accepted."""
    TENANT = "tenant"
    """The most jobs of its tenant, of all queues, that run at once."""
    SLOTS = "slots"
    """The most jobs of its queue that run at once."""
    KEY = "concurrency_key"
    """The most jobs of its queue with its key that run at once."""
    RATE = "rate"
    """The most jobs of its queue that start in one window of time."""
    WORKERS = "workers"
    """The workers that serve it."""
    POOL = "pool"
    """Tickets of better bands in its pool, of whatever queue."""
    LEASE = "lease"
    """The worker that runs it."""
    CANCEL = "cancel"
    """A stop that was asked for."""
    ENDED = "ended"
    """It has ended."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that keeps a job from running (`holds`), or that it has passed.

    `message` is a clause about "it", the job. Of the `facts`, those whose names end in `_at`, `_until` or
    `_after` are times (`Ms`) or None; everything else is plain JSON.
    """

    name: GateName
    holds: bool
    message: str
    facts: Mapping[str, Json] = field(default_factory=dict)
