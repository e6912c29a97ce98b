"""How long jobs usually take, from what the change feed counted."""

from __future__ import annotations

from collections import Counter

from tidegate.domain.durations import percentile
from tidegate.domain.job import Ms
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import Queue
from tidegate.ports import Ports

NAME = "name#"
"""Before a job's name: how many of its stored jobs have used how many retries (`r1`, `r2`, …)."""
TOOK = "took#"
"""Before a job's name and the number of a week: how many that completed in it took how long (`domain/durations.py`)."""
SHARE = 0.95
_WEEK_MS = 7 * 86_400_000
WEEKS = 13
"""How far back is looked, for names whose jobs are rare."""
ENOUGH = 100
"""So many of the newest weeks' jobs make those before them forgotten."""


def took_series(name: str, at: Ms) -> str:
    """The name of the series that counts the durations of the week that holds a time."""
    return f"{TOOK}{name}#{at // _WEEK_MS:06}"


class Expectations:
    """The durations that 95 of 100 completed jobs of a name did not pass, lately.

    Lately is this week and as many before it as are needed for `ENOUGH` jobs: what changed its pace is known by the new
    one within a week, and what seldom runs is remembered for `WEEKS`. Each name is read once: one per use.
    """

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: dict[tuple[str, str], int] = {}

    def of(self, tenant: str, name: str) -> int:
        """In milliseconds; 0 where none has completed lately."""
        if (tenant, name) not in self._known:
            self._known[tenant, name] = percentile(self._lately(tenant, name), SHARE)
        return self._known[tenant, name]

    def _lately(self, tenant: str, name: str) -> Counter[str]:
        """How many took how long, as far back as is needed."""
        now = self._ports.now()
        first, last = took_series(name, now - (WEEKS - 1) * _WEEK_MS), took_series(name, now)
        found: Counter[str] = Counter()
        for _, week in sorted(self._ports.figures.between(tenant, first, last).items(), reverse=True):
            found.update(week)
            if found.total() >= ENOUGH:
                break
        return found

    def steering(self, queue: Queue, name: str) -> int:
        """The same for a job of this queue, where that decides about its rank; 0 elsewhere, at no cost."""
        return self.of(queue.tenant, name) if queue.ordering is Ordering.DEADLINE else 0
