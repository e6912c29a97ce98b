"""The store of jobs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tidegate.domain.guard import GuardedWrite, Outcome
    from tidegate.domain.job import Job, Ms, State
    from tidegate.domain.ticket import Lane


NAMED_REACH = 100
"""How far into a lane jobs of certain names are found for sure, where there are others before them."""


class Ready(NamedTuple):
    """One entry of a lane's ready index."""

    rank: int
    job_id: str


class JobKey(NamedTuple):
    """What names a job in the whole deployment."""

    tenant: str
    job_id: str


class Glimpse(NamedTuple):
    """What a look at a job for those that wait for it needs of it: far less than all."""

    state: State
    broken: bool


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

    def glimpse(self, keys: Sequence[JobKey]) -> Sequence[Glimpse | None]:
        """How the jobs stand: like `get`, and cheaper where the home can read a part of a job alone."""

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        """Apply each write if its guard holds, each for itself and atomically.

        Of two concurrent writes whose guards exclude each other exactly one is applied.
        """

    def head(
        self, lane: Lane, limit: int, from_rank: int = 0, names: Collection[str] = (), keys: range | None = None
    ) -> Sequence[Ready]:
        """The best ready jobs of a lane with this rank or a later one, best first.

        With `names` only jobs of these, looked for among the first `NAMED_REACH` at least. `keys`: only those that
        stand on these keys of the index (`domain.spread`), or all; a home that can do with one puts every job on the
        first. May lag behind `apply` by seconds: re-check by claiming.
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
