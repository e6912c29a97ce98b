"""What the services need from the outside world. Each method states its guard.

Every method may raise `Unavailable` (throttled, locked, out of reach); a write that raised may or may
not have taken effect, so callers repeat only what is guarded or idempotent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from tidegate.domain.audit import AuditEntry, Head
from tidegate.domain.bucket import Bucket
from tidegate.domain.cron import CronRule
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.definition import Definition
from tidegate.domain.events import AnyEvent
from tidegate.domain.guarded import GuardedWrite, Outcome
from tidegate.domain.identity import IdentityRules
from tidegate.domain.job import Job, Json, Ms, State
from tidegate.domain.limits import Semaphore
from tidegate.domain.logs import LogChunk, LogOf, LogPlace
from tidegate.domain.priority import Band
from tidegate.domain.queue import Queue
from tidegate.domain.schedule import Schedule
from tidegate.domain.tenant import Tenant
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
    ended_before: Ms | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class JobPage:
    """Part of a listing; `next_cursor` is None at its end."""

    jobs: Sequence[Job]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class RunPage:
    """Part of a listing of runs; `next_cursor` is None at its end."""

    runs: Sequence[Run]
    next_cursor: str | None


class JobStore(Protocol):
    """The truth about jobs, and the sparse index over the open and the failed ones.

    An ended job whose `keep_until` has passed is as good as deleted: `create`, `get` and `page` do not see it.
    """

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        """Store new jobs, each in its index spot (`spot_of`).

        Guard, each for itself: no job with that tenant and id exists, and none that stands in the way by its
        unique key (`stands_in_way`). Answers None where it was stored, else the job that is there already:
        the one with the id, or the one with the key.
        """

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        """The jobs as last written, in the order asked for; None where there is none."""

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        """Apply each write if its guard holds, each for itself and atomically.

        Of two concurrent writes whose guards exclude each other exactly one is applied.
        """

    def head(self, lane: Lane, limit: int, from_rank: int = 0) -> Sequence[Ready]:
        """The best ready jobs of a lane with this rank or a later one, best first.

        May lag behind `apply` by seconds: re-check by claiming.
        """

    def parked(self, lane: Lane, key: str, limit: int) -> Sequence[Ready]:
        """The best jobs of a lane that wait for a slot of their concurrency key, best first. May lag like `head`."""

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

        Tenants are served in turn, whatever each has waiting: by SQS within a band (fair queues), where one receipt in
        eight begins with a lesser band; embedded over all bands, each tenant's best first.

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

    def list(self, prefix: str, after: str = "", limit: int = 1000) -> Sequence[str]:
        """Up to `limit` (1–1000) keys that begin with `prefix` and sort after `after`, in the order of their bytes."""


class Logs(Protocol):
    """What handlers told while they ran, in chunks. Only the holder of an attempt writes that attempt's chunks."""

    def append(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> None:
        """Store a chunk; the same chunk twice is one. It may be deleted after `keep_until`, if that is given."""

    def append_if_free(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> bool:
        """`append`, where there is no chunk at the place. Answers whether it was stored."""

    def read(self, log: LogOf, after: LogPlace | None, limit: int) -> Sequence[LogChunk]:
        """The oldest chunks after a place (None: from the beginning), at most `limit`, as last written."""

    def last(self, log: LogOf) -> LogChunk | None:
        """The chunk with the highest place."""

    def erase(self, tenant: str, job_id: str) -> None:
        """Delete every chunk of every log of that id. Blobs are left alone."""


class Queues(Protocol):
    """Queue policies."""

    def get(self, tenant: str, name: str) -> Queue | None:
        """The policy as last stored."""

    def list(self, tenant: str) -> Sequence[Queue]:
        """All policies of the tenant, by name."""

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """Store a policy. Guard: the stored one is still `seen` (None: none). Answers whether it was stored."""


class Admitted(NamedTuple):
    """How many of those that asked may pass, and when the bucket is full again (microseconds since 1970)."""

    passed: int
    full_at: int


class Tenants(Protocol):
    """Limits of tenants, and their buckets."""

    def get(self, name: str) -> Tenant | None:
        """The limits as last stored; None where none ever were."""

    def put_if_unchanged(self, tenant: Tenant, seen: Tenant | None) -> bool:
        """Store limits. Guard: the stored version is that of `seen` (None: none). Answers whether they were stored."""

    def admit(self, name: str, bucket: Bucket, wanted: int, now: Ms) -> Admitted:
        """Let up to `wanted` pass. Guard: the tenant's bucket holds so many."""


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
class Holding:
    """Who holds slots of a semaphore, and whether jobs wait for one."""

    semaphore: Semaphore
    holders: frozenset[str] = frozenset()
    waiting: str | None = None
    """The id of a job that found no free slot: the last one that had to be noted."""


class Grant(NamedTuple):
    """The answer to one who asked for a slot, and the semaphore as it is then."""

    granted: bool
    holding: Holding


class Slots(Protocol):
    """Semaphores: who may run. Holders' names are never used again, so every method may be repeated."""

    def acquire_if_free(self, semaphore: Semaphore, holder: str, limit: int) -> Grant:
        """Take a slot. Guard: fewer than `limit` are held, or `holder` has one already."""

    def release(self, semaphore: Semaphore, holder: str) -> Holding | None:
        """Give a slot back. Guard: `holder` has one. Answers the semaphore without it, None if it had none."""

    def get(self, semaphore: Semaphore) -> Holding:
        """The semaphore as last written."""

    def expect(self, semaphore: Semaphore, job_id: str) -> None:
        """Note that a job waits for a slot, so that whoever gives one back looks for it."""

    def of_lane(self, lane: Lane, limit: int) -> Sequence[Holding]:
        """Up to `limit` semaphores of a lane, the lane's own first."""

    def all(self, after: Semaphore | None, limit: int) -> Sequence[Holding]:
        """Up to `limit` semaphores of all lanes in an order that stays, from behind `after` on. May lag by a second."""

    def tidy(self, seen: Holding) -> None:
        """Forget who waits, and all of it if nobody holds a slot. Guard: it is still as `seen`."""


class Rates(Protocol):
    """Starts counted in windows of time."""

    def take_if_left(self, lane: Lane, window: Ms, limit: int) -> bool:
        """Count one start in the window that began at `window`. Guard: fewer than `limit` were counted."""

    def give_back(self, lane: Lane, window: Ms) -> None:
        """Take back a start that did not happen; without effect once the window is forgotten."""

    def taken(self, lane: Lane, window: Ms) -> int:
        """The starts counted in a window; old windows are forgotten."""


BACKLOG = "backlog#"


def backlog_series(lane: Lane) -> str:
    """The series of `Figures` that holds a lane's backlog: `size`, and `pending`, counted and not yet seen stored."""
    return BACKLOG + lane.queue


class Backlogs(Protocol):
    """How many jobs of a lane were accepted and did not start yet, where the queue limits that.

    A job is counted before it is stored; the change feed takes off what left, exactly once. So the size is never
    too small, and the crash of a submitter leaves it too large until `correct`.
    """

    def admit_if_room(self, lane: Lane, count: int, limit: int, now: Ms) -> int:
        """Count up to `count` jobs more. Guard: the size stays within `limit`. Answers how many were counted."""

    def withdraw(self, lane: Lane, count: int) -> None:
        """Take off jobs that were counted and then not stored."""

    def size(self, lane: Lane) -> int:
        """The size as last written."""

    def correct(self, lane: Lane, before: Ms) -> int:
        """Take off what was counted and never stored. Guard: nobody was admitted since `before`.

        Answers by how much the size was wrong.
        """


class UniqueKeys(Protocol):
    """Which job a unique key belongs to. `JobStore.create` and `apply` move a key, in one step with the job."""

    def holder(self, lane: Lane, key: str) -> str | None:
        """The id of the last job that took the key. That job may have ended, or be gone."""

    def drop_if_held(self, lane: Lane, key: str, job_id: str) -> None:
        """Forget the key. Guard: it belongs to that job."""


@dataclass(frozen=True, slots=True)
class Timer:
    """A note to look at a job at a time: at the lease of an attempt, or at its deadlines."""

    at: Ms
    tenant: str
    job_id: str
    attempt: int
    """The attempt whose lease it is about; `DEADLINES`: the job as a whole, as long as it is open."""


DEADLINES = 0
"""No attempt has this number."""


class Timers(Protocol):
    """Notes for the clock, kept by the change feed: when a lease might have lapsed, or a deadline be missed."""

    def set(self, timers: Sequence[Timer]) -> None:
        """Remember each; the same timer twice is one."""

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        """Timers whose time is not after `by`, soonest first."""

    def clear(self, timers: Sequence[Timer]) -> None:
        """Forget each."""


class ScheduleKey(NamedTuple):
    """What names a schedule in the whole deployment."""

    tenant: str
    name: str


@dataclass(frozen=True, slots=True)
class Hold:
    """All schedules of a tenant are paused: who did it, when and why."""

    by: str
    at: Ms
    reason: str | None = None


class Schedules(Protocol):
    """Schedules, and the index of those that the clock must look at."""

    def create(self, schedule: Schedule) -> bool:
        """Store a new schedule. Guard: the tenant has none of that name. Answers whether it was stored."""

    def get(self, keys: Sequence[ScheduleKey]) -> Sequence[Schedule | None]:
        """The schedules as last written, in the order asked for; None where there is none."""

    def name_of(self, tenant: str, schedule_id: str) -> str | None:
        """The name of the tenant's schedule with that id."""

    def list(self, tenant: str, after: str, limit: int) -> Sequence[Schedule]:
        """Schedules of the tenant by name, from the first name after `after` ("" comes before all)."""

    def replace_if_unchanged(self, changes: Sequence[tuple[Schedule, Schedule]]) -> Sequence[bool]:
        """Store each (new, seen), each for itself; name and id stay the same.

        Guard: the stored version is that of `seen`; the new one is one higher. Answers which were stored.
        """

    def delete_if_unchanged(self, seen: Schedule) -> bool:
        """Delete a schedule. Guard: the stored version is that of `seen`. Answers whether it was deleted."""

    def due(self, by: Ms, limit: int) -> Sequence[ScheduleKey]:
        """Schedules whose `look_at` is not after `by`, soonest first. Costs nothing for those that are not due."""

    def hold_of(self, tenant: str) -> Hold | None:
        """The pause of all the tenant's schedules, if there is one."""

    def set_hold(self, tenant: str, hold: Hold | None) -> None:
        """Pause all schedules of the tenant, or end the pause."""


class Cron(Protocol):
    """When cron rules match on the clocks of real places."""

    def check_zone(self, timezone: str) -> None:
        """Raises InvalidInput unless it is an IANA time zone."""

    def next_match(self, rule: CronRule, timezone: str, after: Ms) -> Ms | None:
        """The first time after `after` at which the rule matches; None if that is more than nine years away.

        A rule that names hours runs each wall-clock time once: one that does not exist at the jump, one that
        comes twice the first time. A rule for every hour follows the hours that really pass.
        """

    def local(self, timezone: str, at: Ms) -> str:
        """The time on the clocks of a zone, as RFC 3339 with its offset."""


class Addition(NamedTuple):
    """Numbers to add to the fields of one series of one tenant."""

    tenant: str
    series: str
    """`states`, or `hour#2026-01-31T15` in UTC."""
    amounts: Mapping[str, int]
    first: Mapping[str, int] = MappingProxyType({})
    """Fields that are set where they are absent, and left alone ever after."""


class Watched(NamedTuple):
    """A run that someone must look at now and then, and the deadline that lies ahead of it."""

    tenant: str
    dag_id: str
    look_at: Ms | None = None


class Dags(Protocol):
    """Runs of DAGs; their jobs are in the `JobStore`, their graphs in the `Blobs`."""

    def create_if_absent(self, run: Run) -> Run | None:
        """Store a new run. Guard: there is none with its id. Answers None if it was stored, else the one there is."""

    def get(self, tenant: str, dag_id: str) -> Run | None:
        """The run as last stored."""

    def put_if_unchanged(self, run: Run, seen: Run) -> bool:
        """Store a run. Guard: the stored one is still `seen`. Answers whether it was stored."""

    def page(self, tenant: str, states: frozenset[RunState], limit: int, cursor: str | None) -> RunPage:
        """The tenant's runs, newest first; no states means all. Raises InvalidInput for a cursor it did not make."""

    def watched(self, after: Watched | None, limit: int) -> Sequence[Watched]:
        """Runs that are open, or were not let go since they ended, of all tenants; in a fixed order, after one."""

    def due(self, by: Ms, limit: int) -> Sequence[Watched]:
        """Watched runs whose next deadline is not after `by`."""

    def id_under(self, tenant: str, key: str) -> str | None:
        """The run id that is kept under a key of the tenant; None if none is."""

    def keep_under(self, tenant: str, key: str, dag_id: str) -> str:
        """Keep a run id under a key. Guard: none is kept there. Answers the one that is kept there then."""

    def let_go(self, watched: Watched, resumed: int) -> None:
        """Watch over an ended run no longer. Guard: it was not resumed more often than `resumed` times."""


class Supervisors(Protocol):
    """State machines of Step Functions: one execution watches over each run, and tasks of others wait for jobs."""

    @property
    def calls_back(self) -> bool:
        """Whether other state machines may wait for the ends of jobs."""

    def start(self, run: Run) -> bool:
        """Begin to watch over an open run; asked again, it is the same supervisor. False where there are none."""

    def tell(self, token: str, outcome: Mapping[str, Json]) -> bool:
        """Give the task that waits with this token what it waits for. False if none waits with it (any more)."""

    def fail(self, token: str, error: str, cause: str) -> bool:
        """Let the task that waits with this token fail. False if none waits with it (any more)."""


class Figures(Protocol):
    """Running totals, kept by the change feed."""

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        """Add all, atomically. Guard: no batch of this name was added before. Answers whether it was added."""

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        """The totals of a series; absent fields are 0 and left out."""

    def between(self, tenant: str, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        """The totals of every series from `first` to `last`, both included, by name, in the order of their bytes."""


class Upkeep(Protocol):
    """What maintenance asks of the jobs beyond `JobStore`."""

    def count(self, query: JobQuery) -> int | None:
        """How many jobs fit the query in all its pages; None where only reading them all could tell."""

    def erase_unchanged(self, jobs: Sequence[Job]) -> Sequence[bool]:
        """Delete each job. Guard, each for itself: it has ended, and is as it was read (`attempt`, `updated_at`).

        Answers which were deleted. Large values are left to `forget` and the change feed.
        """

    def outlived(self, by: Ms, limit: int) -> Sequence[Job]:
        """Up to `limit` ended jobs whose `keep_until` is not after `by`; asked again and again, all of them."""

    def running(self, tenant: str, started_before: Ms, limit: int) -> Sequence[Job]:
        """ACTIVE jobs whose current attempt started before a time, the longest running first."""

    def forget(self, keys: Sequence[JobKey]) -> None:
        """Take away what deleted jobs left behind in the store. Guard: no job has the id again."""

    def walk(self, after: str | None, limit: int) -> tuple[Sequence[Job], str | None]:
        """Every stored job of every tenant, part by part, outlived ones too; the text to go on after, None at the end.

        A part may be empty before the end. Jobs made meanwhile may be left out. Raises InvalidInput for another's text.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token as stored: its secret's hash, never the secret."""

    id: str
    secret_hash: str
    tenant: str
    user: str
    scopes: frozenset[str]
    created_at: Ms
    created_by: str = ""
    """The user who made it; empty where it was made in the home itself."""
    expires_at: Ms | None = None
    revoked_at: Ms | None = None
    last_used_at: Ms | None = None
    """To the hour: see `Tokens.note_use`."""
    note: str = ""


class Tokens(Protocol):
    """Bearer tokens."""

    def get(self, token_id: str) -> Token | None:
        """The token as last stored."""

    def put(self, token: Token) -> None:
        """Store, replacing the one with the same id."""

    def note_use(self, token_id: str, now: Ms) -> None:
        """Set `last_used_at`, and nothing else. Guard: there is such a token."""

    def list(self, tenant: str) -> Sequence[Token]:
        """All tokens of the tenant, oldest first, revoked and expired ones too."""


class AuditLog(Protocol):
    """Who did what: entries are appended, and never changed or taken away."""

    def head(self, tenant: str) -> Head:
        """The newest entry of the tenant's log; number 0 where there is none."""

    def append_if_next(self, entry: AuditEntry) -> bool:
        """Append an entry. Guard: `head` is the entry before it, which its `previous` names.

        Of two that would follow the same entry exactly one is appended. Answers whether it was.
        """

    def read(self, tenant: str, after: int, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries with numbers above `after`, oldest first."""

    def read_back(self, tenant: str, before: int, limit: int) -> Sequence[AuditEntry]:
        """Up to `limit` entries with numbers below `before`, newest first."""


class Issuer(Protocol):
    """The OIDC issuer whose tokens are accepted beside Tidegate's own."""

    @property
    def rules(self) -> IdentityRules:
        """What is asked of its tokens, and whom each stands for."""

    def claims(self, token: str) -> Mapping[str, Any]:
        """The claims of a JWT that one of the issuer's keys signed, otherwise unchecked.

        Raises Unauthenticated for any other text, Unavailable when the keys cannot be had.
        """


class EventBus(Protocol):
    """Where transitions of jobs and runs are announced."""

    def publish(self, events: Sequence[AnyEvent]) -> None:
        """Announce each, at least once; the same event keeps its `id`. Order is kept where the home can (SQLite)."""


class Announced(NamedTuple):
    """An event and its position in the stream: positions only grow."""

    position: int
    event: AnyEvent


class EventStream(Protocol):
    """The newest events of the embedded home, kept for those who listen. In the cloud they are on the bus alone."""

    def read(self, tenant: str, after: int, limit: int) -> tuple[Sequence[Announced], int]:
        """Up to `limit` of the tenant's events after a position, oldest first, and the position to go on from."""

    def bounds(self) -> tuple[int, int]:
        """The positions of the oldest and of the newest event, of any tenant, that is kept; 0 and 0 when none is."""


class Held(NamedTuple):
    """An attempt that a worker says it runs."""

    tenant: str
    job_id: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker says of itself from time to time."""

    id: str
    tenant: str = ""
    """The tenant it works for; empty for one that works for all."""
    kind: str
    """`embedded`, `lambda`, `pull` (with access to the home itself) or `http`."""
    pool: str
    queues: tuple[str, ...] = ()
    """The queues it serves; empty: all of its pool."""
    names: tuple[str, ...] = ()
    """The names of the jobs that it has handlers for; empty: it did not tell."""
    host: str = ""
    version: str = ""
    concurrency: int = 1
    started_at: Ms
    seen_at: Ms
    running: tuple[Held, ...] = ()
    stopped: bool = False
    """It said good-bye."""


class Workers(Protocol):
    """Who works. Entries are dropped by themselves an hour after they were last put."""

    def put(self, worker: Worker) -> None:
        """Store, replacing the entry of the same tenant and id."""

    def list(self, seen_from: Ms) -> Sequence[Worker]:
        """All that were seen at this time or later, by tenant and id."""


class Polling(Protocol):
    """Whether AWS asks the queues for tickets on behalf of the Lambdas, which costs money also when there are none.

    Both methods may be called at any time, cheaply when nothing is to be changed. A queue that is not asked keeps its
    tickets; the clock calls `wake` as long as jobs may wait, so nothing is lost by a `rest` at the wrong moment.
    """

    def wake(self) -> None:
        """Have the queues asked."""

    def rest(self) -> None:
        """Have them asked no more."""


class AlwaysPolled:
    """`Polling` where nothing is to be changed: workers ask by themselves, or the stage never sleeps."""

    def wake(self) -> None:
        """See `Polling.wake`."""

    def rest(self) -> None:
        """See `Polling.rest`."""


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
    lambda_pools: frozenset[str] = frozenset()
    """Those whose workers are Lambdas: they are started when tickets come."""
    polling: Polling = field(default_factory=AlwaysPolled)
    clock_seconds: float = 1.0
    """Between two ticks of this home's clock: who changes a schedule releases what comes before the next one."""
    lease_grace_ms: Ms = 0
    """How long a lease must have run out before anybody takes its job over: as far as two clocks may differ."""
    policy_seconds: float = 0.0
    """How old the queue policies may be that a process of this home goes by."""
    together: Callable[[], AbstractContextManager[object]] = nullcontext
    """Groups writes into one commit where the home can (SQLite). Correctness never depends on it."""
    development: bool = False
    """Whether webhooks may go to this machine and over http: a switch of the embedded home alone."""
    close: Callable[[], object] = _nothing
    """Gives back what the calling thread holds open."""
