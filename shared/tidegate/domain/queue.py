"""A queue: a named policy that its jobs inherit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .errors import InvalidInput
from .job import HardMiss, Json, Ms
from .limits import MAX_QUEUE_SIZE, MAX_RATE, MAX_SLOTS, PERIODS
from .priority import AGE_FLOOR_SECONDS, Ordering
from .webhook import check_webhook

DEFAULT_QUEUE = "default"
DEFAULT_POOL = "default"
NAME_RULE = "must be 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

DAY = 86_400.0
MAX_SHARDS = 20
"""Keys of the index for one queue; each costs every claim a query."""


def check_name(field: str, value: str) -> str:
    """`value`, if it is a valid name; raises InvalidInput naming `field` otherwise."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise InvalidInput.field(field, NAME_RULE)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Policy of one queue of one tenant. Durations are seconds.

    Changes apply to jobs submitted afterwards, except `paused` and the limits, which apply at once.
    """

    tenant: str
    name: str
    pool: str = DEFAULT_POOL
    retry_limit: int = 3
    retry_delay: float = 2.0
    retry_backoff: bool = True
    retry_delay_max: float = DAY
    retry_jitter: bool = False
    timeout: float = 300.0
    expire_in_seconds: float | None = None
    keep_seconds: float = 7 * DAY
    ordering: Ordering = Ordering.STRICT
    aging_seconds: float = 60.0
    age_floor_seconds: float = AGE_FLOOR_SECONDS
    """In `deadline` order no job ranks as if it were due later than so long after it was made."""
    soft_sla_seconds: float | None = None
    """The deadlines of jobs that say none, counted from when they may start."""
    hard_sla_seconds: float | None = None
    on_hard_miss: HardMiss = HardMiss.EXPIRE
    paused: bool = False
    paused_by: str | None = None
    paused_reason: str | None = None
    created_at: Ms = 0
    updated_at: Ms = 0
    webhook: Json = None
    """Who is told of the changes of its jobs: `url` and `events`. Applies at once, to all of its jobs."""
    slots: int | None = None
    """Most jobs of the queue that run at once. None, here and below: no limit."""
    key_slots: int | None = None
    """Most jobs of the same `concurrency_key` that run at once."""
    rate_limit: int | None = None
    """Most starts in one `rate_period`."""
    rate_period: str = "second"
    """`second` or `minute`: windows that begin with each second or minute of UTC."""
    max_queue_size: int | None = None
    """Most jobs accepted and not yet started; more are refused."""
    timeout_retry_limit: int | None = None
    """Retries after attempts that took too long; None: as `retry_limit`."""
    shards: int = 1
    """On how many keys of the index its ready jobs are put; a claim asks each. The rest is kept by `domain.spread`."""
    shards_asked: int = 1
    """On how many keys jobs may stand, where there were more before."""
    shards_before: int = 1
    """On how many keys jobs are put until `shards_from`."""
    shards_from: Ms = 0
    shards_ever: int = 1
    """The most keys that it ever had."""

    @property
    def limits_starts(self) -> bool:
        """Whether a claim has more to ask for than the job."""
        return self.limits_running or self.rate_limit is not None

    @property
    def limits_running(self) -> bool:
        """Whether a running job may hold slots."""
        return self.slots is not None or self.key_slots is not None

    def __post_init__(self) -> None:
        check_name("name", self.name)
        check_name("pool", self.pool)
        if self.webhook is not None:
            check_webhook("webhook", self.webhook)
        for field, low, high in _BOUNDS:
            value = getattr(self, field)
            if value is not None and not low <= value <= high:
                raise InvalidInput.field(field, f"must be from {low:g} to {high:g}")
        soft, hard = self.soft_sla_seconds, self.hard_sla_seconds
        if soft is not None and hard is not None and hard < soft:
            raise InvalidInput.field("hard_sla_seconds", "must not be less than soft_sla_seconds")
        if self.rate_period not in PERIODS:
            raise InvalidInput.field("rate_period", f"must be one of {', '.join(PERIODS)}")


_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("retry_limit", 0, 1000),
    ("retry_delay", 0, 30 * DAY),
    ("retry_delay_max", 0, 30 * DAY),
    ("timeout", 0.1, 7 * DAY),
    ("expire_in_seconds", 1, 366 * DAY),
    ("keep_seconds", 0, 3660 * DAY),
    ("aging_seconds", 0.001, DAY),
    ("age_floor_seconds", 1, 366 * DAY),
    ("soft_sla_seconds", 0.001, 366 * DAY),
    ("hard_sla_seconds", 0.001, 366 * DAY),
    ("slots", 1, MAX_SLOTS),
    ("key_slots", 1, MAX_SLOTS),
    ("rate_limit", 1, MAX_RATE),
    ("max_queue_size", 1, MAX_QUEUE_SIZE),
    ("timeout_retry_limit", 0, 1000),
    ("shards", 1, MAX_SHARDS),
)
