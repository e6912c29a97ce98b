"""Who works, and on what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from tidegate.domain.job import Ms


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
