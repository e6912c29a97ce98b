"""A tenant: what its users and queues may use together."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from .bucket import Bucket
from .budget import Period, nano
from .dag.spec import MAX_NODES
from .errors import InvalidInput, PayloadTooLarge
from .job import Ms
from .limits import MAX_SLOTS
from .queue import check_name
from .spec import MAX_BATCH, MAX_PAYLOAD_BYTES

BURST_SECONDS = 10
"""A burst that is not given is what the rate gives in so long."""
MAX_SUBMIT_RATE = 10_000
MAX_SUBMIT_BURST = 1_000_000
MAX_BUDGET = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """The limits of one tenant; None is no limit but that of every tenant. They apply at once."""

    name: str
    submit_rate: float | None = None
    """Jobs accepted a second, on the long run; schedules' own jobs are not counted."""
    submit_burst: int | None = None
    """Most jobs accepted at once after a pause."""
    max_running: int | None = None
    """Most jobs of all its queues that run at once."""
    max_schedules: int | None = None
    max_batch: int | None = None
    """Most jobs in one request."""
    max_dag_nodes: int | None = None
    """Most nodes of one run."""
    max_payload_bytes: int | None = None
    """Of one job's data, as compact JSON."""
    daily_budget: float | None = None
    """Dollars that its jobs may cost in a day of UTC; nothing is accepted beyond them."""
    monthly_budget: float | None = None
    budget_warn_at: float | None = None
    """The part of a budget at which is warned; None: `WARN_AT`."""
    fixed: bool = False
    """Set in the home itself: nobody changes them with a token of the tenant."""
    version: int = 0
    """Grows with each change; 0 for one that was never stored."""
    updated_at: Ms = 0

    def __post_init__(self) -> None:
        check_name("tenant", self.name)
        for field, low, high in _BOUNDS:
            value = getattr(self, field)
            if value is not None and not (math.isfinite(value) and low <= value <= high):
                raise InvalidInput.field(field, f"must be from {low:g} to {high}")
        if self.submit_burst is not None and self.submit_rate is None:
            raise InvalidInput.field("submit_burst", "needs a submit_rate")

    @property
    def bucket(self) -> Bucket | None:
        """What limits its submissions."""
        if self.submit_rate is None:
            return None
        burst = self.submit_burst or max(1, math.ceil(self.submit_rate * BURST_SECONDS))
        return Bucket(self.submit_rate, burst)

    @property
    def budgets(self) -> Mapping[Period, int]:
        """What may be spent in each period, in nano-dollars."""
        limits = {Period.DAY: self.daily_budget, Period.MONTH: self.monthly_budget}
        return {period: nano(limit) for period, limit in limits.items() if limit is not None}

    def check_batch(self, count: int) -> None:
        """Raises InvalidInput for a request with too many jobs."""
        if self.max_batch is not None and count > self.max_batch:
            rule = f"must have at most {self.max_batch} entries: the limit of tenant '{self.name}'"
            raise InvalidInput.field("jobs", rule)

    def check_nodes(self, count: int) -> None:
        """Raises InvalidInput for a run with too many nodes."""
        if self.max_dag_nodes is not None and count > self.max_dag_nodes:
            rule = f"must be at most {self.max_dag_nodes}, not {count}: the limit of tenant '{self.name}'"
            raise InvalidInput.field("nodes", rule)

    def check_payload(self, field: str, size: int) -> None:
        """Raises PayloadTooLarge for a payload of so many bytes of JSON that is too large."""
        limit = self.max_payload_bytes
        if limit is not None and size > limit:
            message = f"{field}: at most {limit} bytes of JSON, the limit of tenant '{self.name}'"
            raise PayloadTooLarge(message, field=field, size=size, limit=limit)


_BOUNDS: tuple[tuple[str, float, float], ...] = (
    ("submit_rate", 0.001, MAX_SUBMIT_RATE),
    ("submit_burst", 1, MAX_SUBMIT_BURST),
    ("max_running", 1, MAX_SLOTS),
    ("max_schedules", 0, 1_000_000),
    ("max_batch", 1, MAX_BATCH),
    ("max_dag_nodes", 1, MAX_NODES),
    ("max_payload_bytes", 2, MAX_PAYLOAD_BYTES),
    ("daily_budget", 0.000_001, MAX_BUDGET),
    ("monthly_budget", 0.000_001, MAX_BUDGET),
    ("budget_warn_at", 0.01, 1),
)
