"""Runs of DAGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tidegate.domain.dag.run import Run, RunState
    from tidegate.domain.job import Json, Ms


@dataclass(frozen=True, slots=True)
class RunPage:
    """Part of a listing of runs; `next_cursor` is None at its end."""

    runs: Sequence[Run]
    next_cursor: str | None


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

    def let_go(self, watched: Watched, resumed: int, keep_until: Ms | None = None) -> None:
        """Watch over an ended run no longer. Guard: it was not resumed more often than `resumed` times.

        From `keep_until` on it is found by `outlived`; None keeps it for ever.
        """

    def outlived(self, by: Ms, limit: int) -> Sequence[Watched]:
        """Runs that were let go and that were to be kept until `look_at`, which is not after `by`; soonest first."""

    def erase_if_unchanged(self, outlived: Watched, seen: Run | None) -> bool:
        """Delete a run and the key of its id. Guard: it is still `seen`. Answers whether it was deleted.

        None only takes back what `outlived` told: the run is kept longer than that, or there is none.
        """


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
