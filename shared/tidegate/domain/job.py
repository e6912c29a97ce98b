"""A job and the law of its life.

`TRANSITIONS` is the only table of allowed moves; everything else derives from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

Ms = int
"""A point in time: milliseconds since 1970-01-01 UTC."""

Json = Any
"""A value that JSON can carry: None, bool, int, float (finite), str, list or dict with str keys."""


class State(StrEnum):
    """Where a job stands. The last five are terminal."""

    CREATED = "CREATED"
    """Accepted and waiting: for its time (`wake_at`) or for a free worker."""
    RETRY = "RETRY"
    """An attempt failed; waiting for the next one."""
    ACTIVE = "ACTIVE"
    """A worker holds the lease and runs it."""
    COMPLETED = "COMPLETED"
    """The handler returned; its result is recorded, once."""
    SKIPPED = "SKIPPED"
    """Not needed: a branch was not taken, or the handler said so."""
    EXPIRED = "EXPIRED"
    """Its time ran out before it could finish."""
    CANCELLED = "CANCELLED"
    """Someone stopped it."""
    FAILED = "FAILED"
    """The last allowed attempt failed, the failure was permanent, or the hard deadline passed where that fails it."""


TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.CREATED: frozenset({State.ACTIVE, State.SKIPPED, State.EXPIRED, State.CANCELLED, State.FAILED}),
    State.RETRY: frozenset({State.ACTIVE, State.EXPIRED, State.CANCELLED, State.FAILED}),
    State.ACTIVE: frozenset(
        {State.COMPLETED, State.SKIPPED, State.RETRY, State.FAILED, State.CANCELLED, State.EXPIRED}
    ),
    State.COMPLETED: frozenset(),
    State.SKIPPED: frozenset({State.CREATED}),
    State.EXPIRED: frozenset({State.CREATED}),
    State.CANCELLED: frozenset({State.CREATED}),
    State.FAILED: frozenset({State.CREATED}),
}

TERMINAL = frozenset({State.COMPLETED, State.SKIPPED, State.EXPIRED, State.CANCELLED, State.FAILED})
OPEN = frozenset(State) - TERMINAL
WAITING = frozenset({State.CREATED, State.RETRY})
RESTARTABLE = frozenset({State.EXPIRED, State.CANCELLED, State.FAILED})
"""What an explicit retry may start over; SKIPPED jobs come back only with the run that they belong to."""

COARSE: Mapping[State, str] = {
    State.CREATED: "pending",
    State.RETRY: "pending",
    State.ACTIVE: "running",
    State.COMPLETED: "completed",
    State.SKIPPED: "skipped",
    State.EXPIRED: "expired",
    State.CANCELLED: "cancelled",
    State.FAILED: "failed",
}


def states_named(word: str) -> frozenset[State]:
    """The states meant by a fine (`ACTIVE`) or coarse (`running`) name, in any case; empty if unknown."""
    fine = frozenset(state for state in State if state.value == word.upper())
    return fine or frozenset(state for state, coarse in COARSE.items() if coarse == word.lower())


class ErrorType(StrEnum):
    """Whose fault a failed attempt was."""

    AGENT = "agent"
    """The handler raised."""
    DATABASE = "database"
    """The handler said that its database failed it."""
    VALIDATION = "validation"
    """The job cannot be run as it is: no retry."""
    TIMEOUT = "timeout"
    """The attempt took longer than the job's `timeout`."""
    SYSTEM = "system"
    """The worker vanished, or the platform failed."""


class Sla(IntEnum):
    """How far a job has come to missing its deadlines. It only ever grows; each step is told once."""

    NONE = 0
    """Nothing has been told: it has no deadline, or time enough."""
    AT_RISK = 1
    """It will miss its first deadline unless it is quicker than jobs of its name usually are."""
    SOFT_MISSED = 2
    HARD_MISSED = 3


class HardMiss(StrEnum):
    """What becomes of a job that misses its hard deadline: a policy of its queue."""

    EXPIRE = "expire"
    """It ends as EXPIRED, running or not."""
    FAIL = "fail"
    """It ends as FAILED, running or not."""
    ONLY_TELL = "only_tell"
    """It is announced and counted; the job goes on."""


def retries_used(attempt: int, attempts_allowed: int, retry_limit: int) -> int:
    """Retries used of `retry_limit` by a job whose newest attempt is `attempt`."""
    return max(0, retry_limit - (attempts_allowed - attempt)) if attempt else 0


class UniquePolicy(StrEnum):
    """What becomes of a submission when another job of its queue has the same `unique_key`."""

    ALLOW_ALL = "ALLOW_ALL"
    """It is stored: the key is kept on the job and otherwise ignored."""
    REJECT_ALL = "REJECT_ALL"
    """Refused as long as any job with the key exists, ended or not."""
    REPLACE = "REPLACE"
    """It takes the place of the open one: that is cancelled, or asked to stop if it runs."""
    ALLOW_DUPLICATE = "ALLOW_DUPLICATE"
    """Asking again is fine and makes no second job: the open one is the answer."""
    REJECT_DUPLICATE = "REJECT_DUPLICATE"
    """Refused as long as an open job has the key. The default."""


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt, as kept in a job's history."""

    attempt: int
    worker_id: str
    started_at: Ms
    ended_at: Ms
    error_type: ErrorType
    error_message: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an attempt is: `fraction` 0..1 and a short message."""

    fraction: float
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One unit of work. Times are `Ms`, durations are seconds."""

    id: str
    tenant: str
    owner: str
    name: str
    queue: str
    pool: str
    state: State
    priority: int
    rank: int
    """Its place in the ready order of its lane: smaller starts first."""
    data: Json = None
    data_ref: str | None = None
    """Blob key of `data` when it is too large to live in the table."""
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    """Digest of what was asked for; the same id with another fingerprint is a conflict."""
    created_at: Ms
    updated_at: Ms
    start_after: Ms | None = None
    wake_at: Ms | None = None
    """While waiting: not before this time. None once the job is ready."""
    expires_at: Ms | None = None
    """A job still waiting at this time is EXPIRED."""
    keep_until: Ms | None = None
    """An ended job may be deleted after this time."""
    keep_seconds: float | None = None
    """How long it is kept once it has ended; None where `keep_until` was asked for, or nothing was."""
    soft_sla: Ms | None = None
    """Its target: done after it, the job is late. The first deadline decides the rank where a queue orders by it."""
    hard_sla: Ms | None = None
    """Its limit: what happens to a job that is not done by it says `on_hard_miss`."""
    on_hard_miss: HardMiss = HardMiss.EXPIRE
    sla: Sla = Sla.NONE
    """What of its deadlines has been noted. A job that ends late says so by `completed_at` alone."""
    timeout: float
    """Seconds an attempt may take."""
    retry_limit: int
    retry_delay: float
    retry_backoff: bool
    retry_delay_max: float
    retry_jitter: bool
    attempt: int = 0
    """Claims so far: the number of the current or last attempt, and its fencing number."""
    attempts_allowed: int
    """The highest attempt that may start; raised by an explicit retry and by a snooze."""
    started_at: Ms | None = None
    completed_at: Ms | None = None
    lease_until: Ms | None = None
    worker_id: str | None = None
    cancel_requested: bool = False
    progress: Progress | None = None
    result: Json = None
    result_ref: str | None = None
    error_type: ErrorType | None = None
    error_message: str | None = None
    failures: tuple[Failure, ...] = ()
    reason: str | None = None
    """Why it was cancelled, skipped or expired, in words."""
    dag_id: str | None = None
    node: str | None = None
    dependencies: tuple[str, ...] = ()
    """The nodes of its run that it waits for."""
    blocked: bool = False
    """Whether it still waits for them: a blocked job is not ready, whatever its time."""
    broken: bool = False
    """Whether it was skipped because something before it failed, not because its branch was not taken."""
    definition: str | None = None
    """`name@version` of the definition it was made from."""
    webhook: Json = None
    """Who is told of its changes: `url` and `events`."""
    concurrency_key: str | None = None
    """At most `key_slots` jobs of the queue with the same key run at once."""
    unique_key: str | None = None
    policy: UniquePolicy | None = None
    """What `unique_key` means."""
    timeout_retry_limit: int | None = None
    """Retries after attempts that took too long; None: as many as after other failures."""
    timeouts: int = 0
    """Attempts that took too long, since the last explicit retry."""
    slot: str | None = None
    """Under which name the last claim took slots of its queue; None if it needed none."""
    claim_token: str | None = None
    """What the last claim said to know itself by, should its answer get lost."""
    counted: bool = False
    """Whether it counts against its queue's `max_queue_size` until it starts."""
    task_token: str | None = None
    """With what a task of Step Functions waits for its end; a secret of who submitted it."""

    cost: int = 0
    """What it has cost so far, estimated, in nano-dollars: taking it in, starting attempts, the time of ended ones."""
    second_cost: int = 0
    """What a second of the newest attempt costs, in nano-dollars."""
    correlation_id: str | None = None
    """What the request was called that made it."""
    traceparent: str | None = None
    """Where that request stood in a trace, if it was traced."""

    @property
    def retry_count(self) -> int:
        """Retries used of `retry_limit`; snoozes and explicit retries do not count."""
        return retries_used(self.attempt, self.attempts_allowed, self.retry_limit)

    @property
    def is_last_attempt(self) -> bool:
        """Whether a failure of the current attempt would be final."""
        return self.attempt >= self.attempts_allowed

    def lease_lapsed(self, now: Ms, grace: Ms = 0) -> bool:
        """Whether the job is ACTIVE but its holder has let the lease run out, `grace` milliseconds ago or more."""
        return self.state is State.ACTIVE and self.lease_until is not None and self.lease_until + grace <= now
