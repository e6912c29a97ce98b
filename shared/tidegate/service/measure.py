"""The figures of a tenant for a monitoring system: what waits, runs and ends, and who works."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.cost import dollars
from tidegate.domain.exposition import Family, Kind, Sample
from tidegate.domain.job import State
from tidegate.ports import Ports

from .budgets import own_standings
from .depth import depth
from .policies import list_queues
from .record_changes import TOTALS
from .stats import queue_figures, sla_figures
from .timeline import timeline
from .workers import list_workers


def measure(ports: Ports, caller: Caller, *, slots: int) -> Iterator[Family]:
    """Every figure, from counters that are seconds late at most; `slots` is how many jobs may run at once.

    What users see of each other is counts alone.
    """
    caller.require(Scope.READ)
    yield from _jobs(ports, caller)
    yield from _waiting(ports, caller)
    yield from _deadlines(ports, caller)
    yield from _runs(ports, caller)
    yield from _workers(ports, caller, slots)
    yield from _budgets(ports, caller)


def _jobs(ports: Ports, caller: Caller) -> Iterator[Family]:
    stored: list[Sample] = [
        ({"queue": each.queue, "state": state}, jobs)
        for each in queue_figures(ports, caller)
        for state, jobs in each.states.items()
    ]
    yield Family("tidegate_jobs", Kind.GAUGE, "Stored jobs by queue and state.", stored)
    totals = ports.figures.read(caller.tenant, TOTALS)
    entered: list[Sample] = [({"state": state.value}, totals.get(state, 0)) for state in State]
    yield Family("tidegate_job_transitions_total", Kind.COUNTER, "Jobs that came to a state.", entered)
    yield Family(
        "tidegate_jobs_scheduled",
        Kind.GAUGE,
        "Jobs that wait for a time of their own.",
        _one(max(0, totals.get("scheduled", 0))),
    )


def _waiting(ports: Ports, caller: Caller) -> Iterator[Family]:
    found = depth(ports, caller)
    bands: list[Sample] = [({"priority": band.value}, jobs) for band, jobs in found.bands.items()]
    yield Family("tidegate_jobs_waiting", Kind.GAUGE, "Jobs that wait for a worker.", bands)
    oldest = found.waiting_seconds or 0
    yield Family("tidegate_oldest_waiting_seconds", Kind.GAUGE, "How long the longest waiting job waits.", _one(oldest))
    paused: list[Sample] = [({"queue": queue.name}, int(queue.paused)) for queue in list_queues(ports, caller)]
    yield Family("tidegate_queue_paused", Kind.GAUGE, "1 while the queue is paused.", paused)


def _deadlines(ports: Ports, caller: Caller) -> Iterator[Family]:
    figures = sla_figures(ports, caller)
    risk: list[Sample] = [({"queue": each.queue}, each.at_risk) for each in figures]
    yield Family("tidegate_deadlines_at_risk", Kind.GAUGE, "Jobs that may miss their first deadline.", risk)
    outcomes: list[Sample] = [
        ({"queue": each.queue, "outcome": outcome}, getattr(each, outcome))
        for each in figures
        for outcome in ("met", "missed_soft", "missed_hard")
    ]
    yield Family("tidegate_deadlines_total", Kind.COUNTER, "Deadlines met and missed.", outcomes)


def _runs(ports: Ports, caller: Caller) -> Iterator[Family]:
    past = timeline(ports, caller, 1)
    known = {"0.5": past.p50_run_seconds, "0.99": past.p99_run_seconds}
    seconds: list[Sample] = [({"quantile": name}, value) for name, value in known.items() if value is not None]
    told = "How long jobs ran that completed in the last hour."
    yield Family("tidegate_run_seconds", Kind.GAUGE, told, seconds)


def _workers(ports: Ports, caller: Caller, slots: int) -> Iterator[Family]:
    seen = [each.worker for each in list_workers(ports, caller)]
    alive = Counter((worker.kind, worker.pool) for worker in seen)
    places, busy = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for worker in seen:
        places[worker.kind, worker.pool] += worker.concurrency
        busy[worker.kind, worker.pool] += len(worker.running)
    figures = {
        "tidegate_workers": ("Workers that were seen in the last minute.", alive),
        "tidegate_worker_places": ("Jobs that they can run at once.", places),
        "tidegate_worker_places_busy": ("Jobs that they run.", busy),
    }
    for name, (told, counted) in figures.items():
        samples: list[Sample] = [({"kind": kind, "pool": pool}, counted[kind, pool]) for kind, pool in alive]
        yield Family(name, Kind.GAUGE, told, samples)
    if slots:
        yield Family("tidegate_slots", Kind.GAUGE, "Jobs that may run at once, over all pools.", _one(slots))


def _budgets(ports: Ports, caller: Caller) -> Iterator[Family]:
    """Of a tenant that has budgets."""
    found = own_standings(ports, caller)
    if not found:
        return
    spent: list[Sample] = [({"period": each.period.value}, dollars(each.spent)) for each in found]
    yield Family("tidegate_spent_dollars", Kind.GAUGE, "What jobs have cost in the present period.", spent)
    budgets: list[Sample] = [({"period": each.period.value}, dollars(each.budget)) for each in found]
    yield Family("tidegate_budget_dollars", Kind.GAUGE, "What they may cost in it.", budgets)


def _one(value: float) -> list[Sample]:
    return [({}, value)]
