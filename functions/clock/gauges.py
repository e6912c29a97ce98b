"""What CloudWatch shall see once a minute."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping

from tidegate.domain.job import WAITING, State
from tidegate.execution.emf import publish as publish_figures
from tidegate.ports import Ports
from tidegate.service.depth import by_band, seconds_ready, waited_longest
from tidegate.service.record_changes import STATES, TOTALS
from tidegate.service.workers import ALIVE_MS

MAX_TENANTS = 100
"""Each costs a read a minute, and while it has jobs one more, and one for each queue (of 50) and priority at which
they wait; with more tenants the gauges are left out rather than wrong."""
LATE_SECONDS = 10.0
"""A lag that is worth a line by itself."""
_busy: set[str] = set()
"""Stages that had jobs when this process looked last."""


def publish(ports: Ports, stage: str, lag_seconds: float) -> None:
    """Write the clock's lag, what waits and runs, and who works.

    CloudWatch bills a metric for the hours in which it is written: a stage that lies idle writes none, after the
    zeros that say so.
    """
    queues = defaultdict[str, list[str]](list)
    for lane, _ in ports.lanes.all():
        queues[lane.tenant].append(lane.queue)
    gauges = _gauges(ports, queues) if len(queues) <= MAX_TENANTS else None
    busy = gauges is None or any(gauges.values())
    if not busy and stage not in _busy and lag_seconds < LATE_SECONDS:
        return
    _busy.add(stage) if busy else _busy.discard(stage)
    more = {} if gauges is None else {**gauges, **_more(ports, queues if busy else {})}
    publish_figures(stage, {"ClockLag": lag_seconds, **more})


def _gauges(ports: Ports, tenants: Collection[str]) -> Mapping[str, int]:
    """How many jobs wait and run, of all tenants."""
    totals = [ports.figures.read(tenant, STATES) for tenant in tenants]
    waiting = sum(total.get(state, 0) for total in totals for state in WAITING)
    active = sum(total.get(State.ACTIVE, 0) for total in totals)
    return {"Ready": max(0, waiting), "Active": max(0, active)}


def _more(ports: Ports, queues: Mapping[str, Collection[str]]) -> Mapping[str, float]:
    """By priority what waits for a worker, what waits for its time, how many workers were seen lately, and for how
    long the job has waited that has been ready for the longest."""
    found = Counter({f"Waiting{band.title()}": 0 for band in by_band({})} | {"Scheduled": 0})
    oldest = 0.0
    for tenant, names in queues.items():
        totals = ports.figures.read(tenant, TOTALS)
        if job := waited_longest(ports, tenant, totals, names):
            oldest = max(oldest, seconds_ready(job, ports.now()))
        found["Scheduled"] += max(0, totals.get("scheduled", 0))
        found.update({f"Waiting{band.title()}": jobs for band, jobs in by_band(totals).items()})
    workers = ports.workers.list(ports.now() - ALIVE_MS) if queues else ()
    return {**found, "Workers": sum(not worker.stopped for worker in workers), "OldestJob": oldest}
