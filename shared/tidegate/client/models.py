"""What the server answers, typed. Fields that a newer server adds are kept in `raw` and otherwise ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, TypeVar

from tidegate.domain.errors import TidegateError
from tidegate.domain.job import COARSE, TERMINAL, Json, State

from .records import Attempt

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is: `fraction` 0 to 1 and a short message."""

    fraction: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job as the server last saw it. `status` is the coarse view of `state`; times are in UTC."""

    id: str
    name: str
    state: str
    status: str
    queue: str = "default"
    priority: int = 5
    data: Json = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    result: Json = None
    error_type: str | None = None
    error_message: str | None = None
    attempt: int = 0
    retry_count: int = 0
    retry_limit: int = 0
    worker_id: str | None = None
    dag_id: str | None = None
    correlation_id: str | None = None
    trace_id: str | None = None
    node: str | None = None
    dependencies: tuple[str, ...] = ()
    definition: str | None = None
    webhook: Mapping[str, Any] | None = None
    progress: Progress | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    updated_at: datetime | None = None
    start_after: datetime | None = None
    soft_sla: datetime | None = None
    hard_sla: datetime | None = None
    sla: str | None = None
    """How it stands to its deadlines: `in_time`, `at_risk`, `met`, `soft_missed` or `hard_missed`; None without any."""
    concurrency_key: str | None = None
    unique_key: str | None = None
    policy: str | None = None
    timeout_retry_limit: int | None = None
    cost: float = 0.0
    """Dollars that it has cost so far, estimated."""
    omitted: tuple[str, ...] = ()
    """Values left out for their size: `data`, `result`. A single job has them where one answer can carry them."""
    failures: tuple[Attempt, ...] = ()
    """The last failed attempts, 20 at most; `get` and `watch` have them, listings do not."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """The server's own words, added fields included."""

    @property
    def ended(self) -> bool:
        """Whether the job is in a terminal state."""
        return self.state in TERMINAL

    @property
    def succeeded(self) -> bool:
        """Whether it ended as it should: COMPLETED, or SKIPPED because it was not needed."""
        return self.state in (State.COMPLETED, State.SKIPPED)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Job:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        state = _text(wire["state"])
        return _build(
            cls,
            wire,
            id=_text(wire["id"]),
            name=_text(wire["name"]),
            state=state,
            status=wire.get("status") or _coarse(state),
            tags=tuple(wire.get("tags") or ()),
            metadata=dict(wire.get("metadata") or {}),
            dependencies=tuple(wire.get("dependencies") or ()),
            omitted=tuple(wire.get("omitted") or ()),
            progress=_progress(wire.get("progress")),
            failures=tuple(Attempt.from_wire(each) for each in wire.get("failures") or ()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """The policy of a queue. Durations are seconds, times are in UTC."""

    name: str
    pool: str = "default"
    retry_limit: int = 3
    retry_delay: float = 2.0
    retry_backoff: bool = True
    retry_delay_max: float | None = None
    retry_jitter: bool = False
    timeout: float | None = None
    expire_in_seconds: float | None = None
    keep_seconds: float | None = None
    ordering: str = "strict"
    aging_seconds: float | None = None
    age_floor_seconds: float | None = None
    soft_sla_seconds: float | None = None
    hard_sla_seconds: float | None = None
    on_hard_miss: str = "expire"
    paused: bool = False
    paused_by: str | None = None
    paused_reason: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    webhook: Mapping[str, Any] | None = None
    slots: int | None = None
    key_slots: int | None = None
    rate_limit: int | None = None
    rate_period: str = "second"
    max_queue_size: int | None = None
    timeout_retry_limit: int | None = None
    shards: int = 1
    shards_asked: int = 1
    """Keys that a claim asks: more than `shards` until those left are empty."""
    use: Mapping[str, Any] | None = None
    """What is in use of its limits: `running`, `keys`, `starts`, `size`. A queue in a list has none."""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Queue:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return _build(cls, wire, name=_text(wire["name"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class DagRun:
    """A run of a DAG. `nodes` only where the server answered them."""

    id: str
    name: str
    state: str
    reason: str | None = None
    failure_policy: str = "fail_fast"
    definition: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    progress: Mapping[str, Any] = field(default_factory=dict)
    nodes: tuple[Mapping[str, Any], ...] = ()
    created_at: datetime | None = None
    updated_at: datetime | None = None
    completed_at: datetime | None = None
    soft_sla: datetime | None = None
    hard_sla: datetime | None = None
    warned_at: datetime | None = None
    keep_until: datetime | None = None
    resumed: int = 0
    correlation_id: str | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def ended(self) -> bool:
        """Whether the run has ended."""
        return self.state not in {"CREATED", "ACTIVE"}

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> DagRun:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        nodes = tuple(wire.get("nodes") or ())
        return _build(cls, wire, id=_text(wire["id"]), tags=tuple(wire.get("tags") or ()), nodes=nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """How many jobs stand where: coarse, and by `states`. Counted from the change feed, seconds late at most."""

    pending: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    skipped: int = 0
    expired: int = 0
    total: int = 0
    states: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Stats:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return _build(cls, wire, total=int(wire["total"]), states=dict(wire.get("states") or {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What the server says of itself."""

    status: str
    version: str = ""
    time: datetime | None = None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Health:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return _build(cls, wire, status=_text(wire["status"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose token it is, what it may do, and where."""

    tenant: str
    user: str
    scopes: tuple[str, ...]
    stage: str = ""
    version: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Identity:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return _build(cls, wire, tenant=_text(wire["tenant"]), user=_text(wire["user"]), scopes=tuple(wire["scopes"]))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A job of a batch that was not accepted; `index` counts from 0 over the whole batch."""

    index: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of a batch: ids of accepted jobs in the order given, and the rest with reasons."""

    accepted: tuple[str, ...] = ()
    rejected: tuple[Rejected, ...] = ()

    @property
    def size(self) -> int:
        """How many jobs were answered."""
        return len(self.accepted) + len(self.rejected)

    def __add__(self, later: Batch) -> Batch:
        return Batch(self.accepted + later.accepted, self.rejected + later.rejected)

    @classmethod
    def refused(cls, index: int, error: TidegateError) -> Batch:
        """One job that the server would not even read, for example because it is too large."""
        return cls(rejected=(Rejected(index, error.code, error.message, error.details),))

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any], first_index: int = 0) -> Batch:
        """Read the server's form, counting from `first_index`."""
        rejected = (
            Rejected(first_index + int(each["index"]), each["code"], each["message"], each.get("details") or {})
            for each in wire["rejected"]
        )
        return cls(tuple(map(_text, wire["accepted"])), tuple(rejected))


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a listing; `next_cursor` is None at its end."""

    jobs: tuple[Job, ...]
    total_count: int | None
    next_cursor: str | None
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Page:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        jobs = tuple(Job.from_wire(each) for each in wire["jobs"])
        return cls(jobs, wire.get("total_count"), wire.get("next_cursor"), wire)


_TIMES = frozenset(
    ["created_at", "started_at", "completed_at", "updated_at", "start_after", "soft_sla", "hard_sla", "time"]
)


def _build(cls: type[_T], wire: Mapping[str, Any], **read: Any) -> _T:
    """An instance from the known fields of `wire`; those already `read` win."""
    known = {each.name for each in fields(cls)} - {"raw"}  # type: ignore[arg-type]
    plain = {key: _time(value) if key in _TIMES else value for key, value in wire.items() if key in known}
    return cls(**{**plain, **read, "raw": wire})


def _time(value: object) -> datetime | None:
    return None if value is None else datetime.fromisoformat(_text(value))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, not {value!r}")
    return value


def _progress(wire: Mapping[str, Any] | None) -> Progress | None:
    return Progress(float(wire.get("fraction") or 0), str(wire.get("message") or "")) if wire else None


def _coarse(state: str) -> str:
    return COARSE[State(state)] if state in State.__members__ else state.lower()


time_of, text_of, progress_of = _time, _text, _progress
"""For the models in `workers.py`."""
