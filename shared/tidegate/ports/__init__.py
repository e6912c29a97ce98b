"""What the services need from the outside world. Each method states its guard.

Every method may raise `Unavailable` (throttled, locked, out of reach); a write that raised may or may
not have taken effect, so callers repeat only what is guarded or idempotent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from .access import AuditLog, Issuer, Token, Tokens
from .clock import DEADLINES, Cron, Hold, ScheduleKey, Schedules, Timer, Timers, Upkeep
from .dags import Addition, Dags, RunPage, Supervisors, Watched
from .events import Announced, EventBus, EventStream, Feed, Figures
from .jobs import NAMED_REACH, Glimpse, JobKey, JobPage, JobQuery, JobStore, Ready
from .limits import BACKLOG, Backlogs, Grant, Holding, Lanes, Rates, Slots, UniqueKeys, backlog_series
from .policies import Admitted, Definitions, Queues, Tenants, WebhookSecrets
from .storage import Blobs, Logs
from .tickets import AlwaysPolled, Delivery, Depth, Polling, Tickets
from .workers import Held, Worker, Workers

if TYPE_CHECKING:
    from tidegate.domain.job import Ms

V = TypeVar("V")

__all__ = [
    "BACKLOG",
    "DEADLINES",
    "NAMED_REACH",
    "Addition",
    "Admitted",
    "AlwaysPolled",
    "Announced",
    "AuditLog",
    "Backlogs",
    "Blobs",
    "Cron",
    "Dags",
    "Definitions",
    "Delivery",
    "Depth",
    "EventBus",
    "EventStream",
    "Feed",
    "Figures",
    "Glimpse",
    "Grant",
    "Held",
    "Hold",
    "Holding",
    "Issuer",
    "JobKey",
    "JobPage",
    "JobQuery",
    "JobStore",
    "Lanes",
    "Logs",
    "Polling",
    "Ports",
    "Queues",
    "Rates",
    "Ready",
    "Remember",
    "RunPage",
    "ScheduleKey",
    "Schedules",
    "Slots",
    "Supervisors",
    "Tenants",
    "Tickets",
    "Timer",
    "Timers",
    "Token",
    "Tokens",
    "UniqueKeys",
    "Upkeep",
    "Watched",
    "WebhookSecrets",
    "Worker",
    "Workers",
    "backlog_series",
]


def _nothing() -> None:
    return None


class Remember(Protocol):
    """What a process of the home remembers of what it read."""

    def __call__(self, key: Hashable, seconds: float, read: Callable[[], V]) -> V:
        """What `read` answers, or answered under this key at most so many seconds ago."""


def read_anew(key: Hashable, seconds: float, read: Callable[[], V]) -> V:  # noqa: ARG001
    """Nothing is remembered."""
    return read()


@dataclass(frozen=True, slots=True)
class Ports:
    """All that a service may touch."""

    jobs: JobStore
    tickets: Tickets
    blobs: Blobs
    logs: Logs
    queues: Queues
    tenants: Tenants
    definitions: Definitions
    webhook_secrets: WebhookSecrets
    lanes: Lanes
    slots: Slots
    rates: Rates
    backlogs: Backlogs
    unique_keys: UniqueKeys
    timers: Timers
    schedules: Schedules
    cron: Cron
    figures: Figures
    dags: Dags
    tokens: Tokens
    audit: AuditLog
    events: EventBus
    upkeep: Upkeep
    supervisors: Supervisors
    workers: Workers
    now: Callable[[], Ms]
    new_id: Callable[[], str]
    rng: random.Random
    pools: Set[str] = frozenset({"default"})
    """Those that jobs may be sent to."""
    lambda_pools: Mapping[str, int] = field(default_factory=dict)
    """Those whose workers are Lambdas, with their memory in MB: they are started when tickets come."""
    own_memory: int = 0
    """The MB that attempts claimed by this process are paid for; 0 where they run on machines of people's own."""
    polling: Polling = field(default_factory=AlwaysPolled)
    clock_seconds: float = 1.0
    """Between two ticks of this home's clock: who changes a schedule releases what comes before the next one."""
    lease_grace_ms: Ms = 0
    """How long a lease must have run out before anybody takes its job over: as far as two clocks may differ."""
    first_look: int = 16
    """Candidates that a claim reads at first: few where claims do not race, for the first is the one that starts."""
    head_ms: Ms = 0
    """How old the head of a lane may be that a worker of this home claims by; 0: each claim asks for it."""
    policy_seconds: float = 0.0
    """How old the queue policies may be that a process of this home goes by."""
    remember: Remember = read_anew
    """Asks for something that may be some seconds old."""
    together: Callable[[], AbstractContextManager[object]] = nullcontext
    """Groups writes into one commit where the home can (SQLite). Correctness never depends on it."""
    development: bool = False
    """Whether webhooks may go to this machine and over http: a switch of the embedded home alone."""
    close: Callable[[], object] = _nothing
    """Gives back what the calling thread holds open."""
