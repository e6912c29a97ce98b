"""What a caller asks for, checked, and the job made from it."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .correlation import Correlation
from .errors import InvalidInput, PayloadTooLarge
from .job import Job, Json, Ms, State, UniquePolicy
from .limits import check_key
from .priority import rank_of
from .queue import DAY, DEFAULT_QUEUE, Queue, check_name
from .sla import Deadlines, check_order
from .uniqueness import DEFAULT_POLICY
from .webhook import check_webhook

MAX_PAYLOAD_BYTES = 6_000_000
"""AWS Lambda accepts 6 MB per synchronous request; the embedded home keeps the same limit."""
MAX_BATCH = 100
MAX_DEPTH = 64
MAX_TAGS = 20
MAX_METADATA = 20
MAX_LABEL_LENGTH = 256
HORIZON_SECONDS = 366 * DAY
MAX_TASK_TOKEN = 2_048
"""Characters of a task token of Step Functions."""

_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
JOB_ID_RULE = "must be 1 to 128 letters, digits, '.', '_', ':' or '-', starting with a letter or digit"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """What a submission and a schedule say alike of a job. None means "as the queue says"; durations are seconds."""

    name: str
    data: Json = None
    queue: str = DEFAULT_QUEUE
    priority: int = 5
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    expire_in_seconds: float | None = None
    soft_sla_seconds: float | None = None
    """The soft deadline, counted from when the job may start; `hard_sla_seconds` likewise. Both before the queue's."""
    hard_sla_seconds: float | None = None
    timeout: float | None = None
    retry_limit: int | None = None
    retry_delay: float | None = None
    retry_backoff: bool | None = None
    retry_delay_max: float | None = None
    retry_jitter: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec(JobOptions):
    """One submission. Times are `Ms`."""

    job_id: str | None = None
    start_after: Ms | None = None
    keep_until: Ms | None = None
    soft_sla: Ms | None = None
    """A point in time, which comes before a duration; `hard_sla` likewise."""
    hard_sla: Ms | None = None
    concurrency_key: str | None = None
    unique_key: str | None = None
    policy: UniquePolicy | None = None
    timeout_retry_limit: int | None = None
    webhook: Json = None
    """Who is told of its changes besides the queue's webhook: `url` and `events`."""
    definition: str | None = None
    """`name@version` of the definition that filled in what was not given."""
    asked: str | None = None
    """Digest of the request, where a definition filled in the rest: what tells equal requests apart from others."""
    task_token: str | None = None

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_name("queue", self.queue)
        _check_keys(self)
        if self.job_id is not None:
            check_job_id("job_id", self.job_id)
        if not 0 <= self.priority <= 10:
            raise InvalidInput.field("priority", "must be from 0 to 10")
        check_labels(self.tags, self.metadata)
        for name, low, high in _BOUNDS:
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InvalidInput.field(name, f"must be from {low:g} to {high:g}")
        check_order(Deadlines(self.soft_sla, self.hard_sla))
        if self.webhook is not None:
            check_webhook("webhook", self.webhook)


_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("expire_in_seconds", 1, HORIZON_SECONDS),
    ("soft_sla_seconds", 0.001, HORIZON_SECONDS),
    ("hard_sla_seconds", 0.001, HORIZON_SECONDS),
    ("timeout", 0.1, 7 * DAY),
    ("retry_limit", 0, 1000),
    ("retry_delay", 0, 30 * DAY),
    ("retry_delay_max", 0, 30 * DAY),
    ("timeout_retry_limit", 0, 1000),
)


def check_job_id(field_name: str, value: str) -> str:
    """`value`, if a caller may choose it as a job's id; raises InvalidInput otherwise."""
    if not _JOB_ID.fullmatch(value):
        raise InvalidInput.field(field_name, JOB_ID_RULE)
    return value


def check_horizon(spec: JobSpec, now: Ms) -> None:
    """Refuse a start more than a year ahead; raises InvalidInput."""
    if spec.start_after is not None and spec.start_after - now > HORIZON_SECONDS * 1000:
        raise InvalidInput.field("start_after", "must be within 366 days from now")


_to_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


def dump_json(field_name: str, value: Json) -> str:
    """`value` as compact JSON text.

    Raises InvalidInput for what JSON cannot carry (NaN, infinities, other types, nesting over
    `MAX_DEPTH`), PayloadTooLarge over `MAX_PAYLOAD_BYTES`.
    """
    try:
        text = _to_json(value)
        size = len(text.encode())
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidInput.field(field_name, f"must be JSON: {error}") from error
    if size > MAX_PAYLOAD_BYTES:
        raise PayloadTooLarge(f"{field_name}: at most {MAX_PAYLOAD_BYTES} bytes of JSON", field=field_name, size=size)
    if _depth_over(value, MAX_DEPTH):
        raise InvalidInput.field(field_name, f"must not nest deeper than {MAX_DEPTH} levels")
    return text


def fingerprint_of(spec: JobSpec) -> str:
    """A digest of all that was asked for but the id and who waits: equal for equal requests."""
    if spec.asked is not None:
        return spec.asked
    asked = {f.name: getattr(spec, f.name) for f in fields(spec) if f.name not in _NOT_ASKED}
    return digest_of({**asked, "metadata": dict(spec.metadata), **_extras(spec)})


def digest_of(value: Json) -> str:
    """128 bits of a JSON value, the same for equal values."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_NOT_ASKED = frozenset({"job_id", "asked", "definition", "webhook", "task_token"})


def _extras(spec: JobSpec) -> Mapping[str, Json]:
    """Only what is there, so that the digests of jobs accepted before there was a webhook stay as they are."""
    return {} if spec.webhook is None else {"webhook": spec.webhook}


def deadlines_of(spec: JobSpec, queue: Queue, now: Ms) -> Deadlines:
    """The deadlines of a job made now: its own, else those of its queue. Raises InvalidInput when they contradict."""
    start = max(now, spec.start_after or 0)
    soft = _deadline(start, spec.soft_sla, spec.soft_sla_seconds, queue.soft_sla_seconds)
    hard = _deadline(start, spec.hard_sla, spec.hard_sla_seconds, queue.hard_sla_seconds)
    return check_order(Deadlines(soft, hard))


def _deadline(start: Ms, at: Ms | None, own: float | None, queues: float | None) -> Ms | None:
    """A point in time comes before a duration, the job's own before its queue's."""
    seconds = queues if own is None else own
    return at if at is not None or seconds is None else start + round(seconds * 1000)


def new_job(
    spec: JobSpec,
    queue: Queue,
    *,
    job_id: str,
    owner: str,
    now: Ms,
    expected_ms: int = 0,
    correlation: Correlation | None = None,
    cost: int = 0,
) -> Job:
    """The job that `spec` asks for, with the queue's policy where the spec is silent.

    `expected_ms` is how long jobs of its name usually take; it matters where the queue orders by deadline.
    `cost` is what taking it in costs, in nano-dollars.
    Raises InvalidInput when what the job says contradicts what it gets from the queue.
    """
    retry_limit = _or(spec.retry_limit, queue.retry_limit)
    wake_at = spec.start_after if spec.start_after is not None and spec.start_after > now else None
    expires_in = _or(spec.expire_in_seconds, queue.expire_in_seconds)
    deadlines = deadlines_of(spec, queue, now)
    rank = rank_of(
        queue.ordering,
        priority=spec.priority,
        created_at=now,
        deadline=deadlines.first,
        expected_ms=expected_ms,
        aging_seconds=queue.aging_seconds,
        age_floor_seconds=queue.age_floor_seconds,
    )
    return Job(
        id=job_id,
        tenant=queue.tenant,
        owner=owner,
        name=spec.name,
        queue=queue.name,
        pool=queue.pool,
        state=State.CREATED,
        priority=spec.priority,
        rank=rank,
        data=spec.data,
        tags=spec.tags,
        metadata=spec.metadata,
        fingerprint=fingerprint_of(spec) if spec.job_id is not None else "",
        created_at=now,
        updated_at=now,
        start_after=spec.start_after,
        wake_at=wake_at,
        expires_at=None if expires_in is None else (wake_at or now) + round(expires_in * 1000),
        keep_until=spec.keep_until,
        keep_seconds=queue.keep_seconds if spec.keep_until is None else None,
        soft_sla=deadlines.soft,
        hard_sla=deadlines.hard,
        on_hard_miss=queue.on_hard_miss,
        timeout=_or(spec.timeout, queue.timeout),
        retry_limit=retry_limit,
        retry_delay=_or(spec.retry_delay, queue.retry_delay),
        retry_backoff=_or(spec.retry_backoff, queue.retry_backoff),
        retry_delay_max=_or(spec.retry_delay_max, queue.retry_delay_max),
        retry_jitter=_or(spec.retry_jitter, queue.retry_jitter),
        attempts_allowed=1 + retry_limit,
        definition=spec.definition,
        webhook=spec.webhook,
        concurrency_key=spec.concurrency_key,
        unique_key=spec.unique_key,
        task_token=spec.task_token,
        policy=None if spec.unique_key is None else spec.policy or DEFAULT_POLICY,
        timeout_retry_limit=_or(spec.timeout_retry_limit, queue.timeout_retry_limit),
        counted=queue.max_queue_size is not None,
        cost=cost,
        correlation_id=None if correlation is None else correlation.id,
        traceparent=None if correlation is None else correlation.traceparent,
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _check_keys(spec: JobSpec) -> None:
    for name in ("concurrency_key", "unique_key"):
        if (key := getattr(spec, name)) is not None:
            check_key(name, key)
    if spec.policy is not None and spec.unique_key is None:
        raise InvalidInput.field("policy", "needs a unique_key")
    if spec.task_token is not None:
        _check_task_token(spec.task_token, spec.policy)


def _check_task_token(token: str, policy: UniquePolicy | None) -> None:
    if not 0 < len(token) <= MAX_TASK_TOKEN:
        raise InvalidInput.field("task_token", f"must have 1 to {MAX_TASK_TOKEN} characters")
    if policy is UniquePolicy.ALLOW_DUPLICATE:
        raise InvalidInput.field("task_token", "would wait for another's job under the policy ALLOW_DUPLICATE")


def check_labels(tags: tuple[str, ...], metadata: Mapping[str, str]) -> None:
    """Refuse tags and metadata that are too many or too long; raises InvalidInput."""
    if len(tags) > MAX_TAGS or any(not 0 < len(tag) <= MAX_LABEL_LENGTH for tag in tags):
        raise InvalidInput.field("tags", f"at most {MAX_TAGS}, each of 1 to {MAX_LABEL_LENGTH} characters")
    if len(metadata) > MAX_METADATA:
        raise InvalidInput.field("metadata", f"at most {MAX_METADATA} keys")
    for key, value in metadata.items():
        if not 0 < len(key) <= 64 or len(value) > MAX_LABEL_LENGTH:
            rule = f"keys of 1 to 64 and values of at most {MAX_LABEL_LENGTH} characters"
            raise InvalidInput.field(f"metadata.{key[:64]}", rule)


def _depth_over(value: Json, limit: int) -> bool:
    """Whether more than `limit` lists and dicts nest in one another, found without recursion."""
    level, layer = 0, _containers([value])
    while layer:
        level += 1
        if level > limit:
            return True
        layer = [
            inner for outer in layer for inner in _containers(outer.values() if isinstance(outer, dict) else outer)
        ]
    return False


def _containers(values: Iterable[Json]) -> list[Json]:
    return [value for value in values if isinstance(value, dict | list | tuple)]
