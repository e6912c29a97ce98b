"""What the services need from the outside world. Each method states its guard.

Every method may raise `Unavailable` (throttled, locked, out of reach); a write that raised may or may
not have taken effect, so callers repeat only what is guarded or idempotent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tidegate.domain.definition import Definition
from tidegate.domain.guarded import GuardedWrite, Outcome
from tidegate.domain.job import Job, Ms, State
from tidegate.domain.priority import Band
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane, Ticket
from tidegate.domain.webhook import WebhookSecret


class Ready(NamedTuple):
    """One entry of a lane's ready index."""

    rank: int
    job_id: str


class JobKey(NamedTuple):
    """What names a job in the whole deployment."""

    tenant: str
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs of a tenant to list, newest first. Empty or None: no restriction."""

    tenant: str
    states: frozenset[State] = frozenset()
    queue: str | None = None
    name: str | None = None
    owner: str | None = None
    tag: str | None = None
    dag_id: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    created_from: Ms | None = None
    created_to: Ms | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Part of a listing; `next_cursor` is None at its end."""

    jobs: Sequence[Job]
    next_cursor: str | None


class JobStore(Protocol):
    """The truth about jobs, and the sparse index over the open and the failed ones.

    An ended job whose `keep_until` has passed is as good as deleted: `create`, `get` and `page` do not see it.
    """

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        """Store new jobs, each in its index spot (`spot_of`).

        Guard, each for itself: no job with that tenant and id exists. Answers None where it was
        stored, else the job that already has the id.
        """

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        """The jobs as last written, in the order asked for; None where there is none."""

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        """Apply each write if its guard holds, each for itself and atomically.

        Of two concurrent writes whose guards exclude each other exactly one is applied.
        """

    def head(self, lane: Lane, limit: int) -> Sequence[Ready]:
        """The best ready jobs of a lane, best first. May lag behind `apply` by seconds: re-check by claiming."""

    def due(self, by: Ms, limit: int) -> Sequence[JobKey]:
        """Delayed jobs whose spot's time is not after `by`, soonest first. May lag like `head`."""

    def page(self, query: JobQuery) -> JobPage:
        """One page of the tenant's jobs, newest first; `created_to` is exclusive.

        A home may order a listing of FAILED, EXPIRED, CANCELLED or SKIPPED jobs alone by when they ended.
        Raises InvalidInput for a cursor it did not make.
        """

    def erase_if_ended(self, key: JobKey) -> bool:
        """Delete a job. Guard: its state is terminal. Answers whether it was deleted."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One receipt of a message: the `body` as sent, and what names this delivery to the queue."""

    body: str
    source: str
    """Name of the physical queue it came from."""
    receipt: str
    receives: int
    """How often the message was delivered, this time included."""


@dataclass(frozen=True, slots=True)
class Depth:
    """Messages of one physical queue: to be seen, being worked on, and delayed."""

    visible: int
    in_flight: int
    delayed: int


class Tickets(Protocol):
    """The priority queues: at-least-once, unordered, sometimes lossy wake-ups."""

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        """Send each ticket to its pool's queue of its band, to be seen after so many seconds (at most 900)."""

    def receive(self, pool: str, limit: int, wait: float) -> Sequence[Delivery]:
        """Up to `limit` (1–10) tickets of the best band that has any, waiting up to `wait` seconds for one.

        A delivered ticket is out of sight until `finish`, or until its visibility time-out ends.
        """

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        """Take delivered tickets away for good. A delivery that is no longer current is left alone."""

    def again(self, delivery: Delivery, seconds: float) -> None:
        """Let a delivered ticket be seen again after so many seconds (at most 43,200, the limit of SQS)."""

    def depth(self, pool: str) -> Mapping[Band, Depth]:
        """Approximate depth of each priority queue of the pool."""


class Blobs(Protocol):
    """Large payloads by key."""

    def put(self, key: str, content: bytes) -> None:
        """Store durably, replacing what was there."""

    def get(self, key: str) -> bytes:
        """The content; raises NotFound."""

    def delete(self, key: str) -> None:
        """Delete; nothing happens when there is none."""


class Queues(Protocol):
    """Queue policies."""

    def get(self, tenant: str, name: str) -> Queue | None:
        """The policy as last stored."""

    def list(self, tenant: str) -> Sequence[Queue]:
        """All policies of the tenant, by name."""

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """Store a policy. Guard: the stored one is still `seen` (None: none). Answers whether it was stored."""


class Definitions(Protocol):
    """Definitions of jobs, every version of them."""

    def get(self, tenant: str, name: str, version: int | None = None) -> Definition | None:
        """A version as it was stored; the latest unless told which."""

    def list(self, tenant: str) -> Sequence[Definition]:
        """The latest version of each definition of the tenant, by name."""

    def add(self, definition: Definition) -> bool:
        """Store a version. Guard: the latest one is the version before (1: there is none). Answers whether it was."""


class WebhookSecrets(Protocol):
    """What the webhooks of each queue are signed with."""

    def get(self, tenant: str, queue: str) -> WebhookSecret | None:
        """The secret as last stored."""

    def put_if_unchanged(self, secret: WebhookSecret, seen: WebhookSecret | None) -> bool:
        """Store a secret. Guard: the stored one is still `seen` (None: none). Answers whether it was stored."""


class Lanes(Protocol):
    """Which lanes may hold ready jobs, so that the clock knows where to look."""

    def touch(self, lane: Lane, now: Ms) -> None:
        """Remember the lane, at least until two hours after `now`. Cheap when done again."""

    def all(self) -> Sequence[tuple[Lane, Ms]]:
        """Every remembered lane and when it was last touched."""

    def drop_if_untouched(self, lane: Lane, seen: Ms) -> None:
        """Forget the lane. Guard: not touched since `seen`."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A note to look at a running job at a time."""

    at: Ms
    tenant: str
    job_id: str
    attempt: int


class Timers(Protocol):
    """Notes for the clock, kept by the change feed: when a running job's lease might have lapsed."""

    def set(self, timers: Sequence[Timer]) -> None:
        """Remember each; the same timer twice is one."""

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """Timers whose time is not after `by`, soonest first."""

    def clear(self, timers: Sequence[Timer]) -> None:
        """Forget each."""


class Addition(NamedTuple):
    """Numbers to add to the fields of one series of one tenant."""

    tenant: str
    series: str
    """`states`, or `hour#2026-01-31T15` in UTC."""
    amounts: Mapping[str, int]


class Figures(Protocol):
    """Running totals, kept by the change feed."""

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        """Add all, atomically. Guard: no batch of this name was added before. Answers whether it was added."""

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        """The totals of a series; absent fields are 0 and left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as stored: its secret's hash, never the secret."""

    id: str
    secret_hash: str
    tenant: str
    user: str
    scopes: frozenset[str]
    created_at: Ms
    expires_at: Ms | None = None
    revoked_at: Ms | None = None
    note: str = ""


class Tokens(Protocol):
    """Bearer tokens."""

    def get(self, token_id: str) -> Token | None:
        """The token as last stored."""

    def put(self, token: Token) -> None:
        """Store, replacing the one with the same id."""

    def list(self, tenant: str) -> Sequence[Token]:
        """All tokens of the tenant, oldest first, revoked and expired ones too."""


class Feed(Protocol):
    """Committed changes of jobs, for the embedded home: what DynamoDB Streams delivers in the cloud."""

    def read(self, limit: int) -> Sequence[dict[str, Any]]:
        """The oldest records not dropped yet, shaped like those of a DynamoDB stream event."""

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        """Forget all records up to the last of these."""


def _nothing() -> None:
    return None


@dataclass(frozen=True, slots=True)
class Ports:
    """All that a service may touch."""

    jobs: JobStore
    tickets: Tickets
    blobs: Blobs
    queues: Queues
    definitions: Definitions
    webhook_secrets: WebhookSecrets
    lanes: Lanes
    timers: Timers
    figures: Figures
    tokens: Tokens
    now: Callable[[], Ms]
    new_id: Callable[[], str]
    rng: random.Random
    pools: frozenset[str] = frozenset({"default"})
    together: Callable[[], AbstractContextManager[object]] = nullcontext
    """Groups writes into one commit where the home can (SQLite). Correctness never depends on it."""
    development: bool = False
    """Whether webhooks may go to this machine and over http: a switch of the embedded home alone."""
    close: Callable[[], object] = _nothing
    """Gives back what the calling thread holds open."""
