"""How long jobs usually take, from what the change feed counted."""

from __future__ import annotations

from tidegate.domain.durations import percentile
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import Queue
from tidegate.ports import Ports

NAME = "name#"
"""Before a job's name: what became of its jobs, how many stored ones have used how many retries (`r1`, `r2`, …), and
how many took how long (`d40`, …: see `domain/durations.py`)."""
SHARE = 0.95


class Expectations:
    """The durations that 95 of 100 completed jobs of a name did not pass. Each name is read once: one per use."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: dict[tuple[str, str], int] = {}

    def of(self, tenant: str, name: str) -> int:
        """In milliseconds; 0 while none has completed."""
        if (tenant, name) not in self._known:
            self._known[tenant, name] = percentile(self._ports.figures.read(tenant, NAME + name), SHARE)
        return self._known[tenant, name]

    def steering(self, queue: Queue, name: str) -> int:
        """The same for a job of this queue, where that decides about its rank; 0 elsewhere, at no cost."""
        return self.of(queue.tenant, name) if queue.ordering is Ordering.DEADLINE else 0
