"""The change feed's work: running totals, notes for the clock about running jobs, and what erased jobs leave behind.

What a batch costs to count, in items of the registry written (two write units each on DynamoDB): its mark, and for
each tenant in it `states`, `totals`, the hour, one for each queue and one for each name whose jobs ended or were
retried. A batch has up to 500 changes, so the cost of a job falls with the load; heartbeats cost nothing.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter

from tidegate.domain.change import Change
from tidegate.domain.dag.run import node_of_item
from tidegate.domain.durations import duration_field
from tidegate.domain.job import OPEN, Ms, Sla, State
from tidegate.domain.sla import risk_at
from tidegate.domain.ticket import Lane
from tidegate.ports import DEADLINES, Addition, JobKey, Ports, Timer, backlog_series

from .expectations import NAME, Expectations, took_series

STATES = "states"
"""The series that says how many jobs stand in each state now."""
TOTALS = "totals"
"""The series of what has happened since `since`: entries of each state, `retried` jobs; and, as of now, `scheduled`
jobs and those that wait for a worker, by priority: `waiting0` … `waiting10`."""
WAITING_AT = "waiting"
SINCE = "since"
QUEUE = "queue#"
"""Before a queue's name: how many of its jobs stand in each state now."""
RETRIES = re.compile(r"r(\d+)")
RUN_MS = "run_ms"
SLOT_MS = 300_000
"""An hour's series also tells how many jobs completed and failed in each five minutes of it (`completed0` …
`failed11`), and how long those that completed ran: see `domain/durations.py`."""
SLA = "sla#"
"""Before a queue's name: of its jobs with deadlines, how many are at risk now, and have met or missed them so far."""
MET, AT_RISK = "met", "at_risk"
MISSED: Mapping[Sla, str] = {Sla.SOFT_MISSED: "missed_soft", Sla.HARD_MISSED: "missed_hard"}
STARTS_SLOT_MS = 600_000
"""Starts of each queue are counted by sixths of an hour."""
STORED_COST = "cost"
"""The field of `TOTALS` that says what the jobs that are stored now have cost, in nano-dollars."""
SPENT = "c#"
"""Before a queue's name: the field of an hourly series that says what its jobs cost in it, in nano-dollars."""
_OUTCOMES = frozenset({State.COMPLETED, State.FAILED})

Totals = defaultdict[tuple[str, str], Counter[str]]


def record_changes(ports: Ports, batch: str, changes: Sequence[Change]) -> None:
    """Count the changes, once however often the batch arrives, and note the leases that are running.

    `batch` names the batch: the same changes always arrive under the same name.
    """
    timers = [_timer(change, ports.lease_grace_ms) for change in _last_of_each(changes) if change.state is State.ACTIVE]
    timers += _deadline_timers(ports, changes)
    if timers:
        ports.timers.set(timers)
    _sweep(ports, [change for change in changes if change.state is None])
    additions = additions_of(changes)
    if additions:
        ports.figures.add_once(batch, additions)


def run_series(dag_id: str, *, items: bool = False) -> str:
    """The name of the series that counts a run's nodes by state, or the entries of its fanned-out nodes."""
    return f"dag#{dag_id}#items" if items else f"dag#{dag_id}"


def additions_of(changes: Sequence[Change]) -> list[Addition]:
    """What the changes add to the figures."""
    totals: Totals = defaultdict(Counter)
    for change in changes:
        _count(totals, change)
    firsts = _firsts(changes)
    return [
        Addition(tenant, series, {field: n for field, n in amounts.items() if n}, firsts.get((tenant, series), {}))
        for (tenant, series), amounts in totals.items()
        if any(amounts.values())
    ]


def hour_series(at: Ms) -> str:
    """The name of the hourly series that holds a time."""
    return _hour_series(at // 3_600_000)


@lru_cache(maxsize=64)
def _hour_series(hour: int) -> str:
    return f"hour#{datetime.fromtimestamp(hour * 3_600, UTC):%Y-%m-%dT%H}"


def slot_field(state: State, at: Ms) -> str:
    """The field of an hour's series that counts the jobs that came to a state in the same five minutes."""
    return f"{state.value.lower()}{at // SLOT_MS % 12}"


def starts_fields(queue: str, at: Ms) -> tuple[str, str]:
    """The fields of an hourly series that say how many jobs of a queue started in a sixth of it, and since when."""
    sixth = at % 3_600_000 // STARTS_SLOT_MS
    return f"s{sixth}#{queue}", f"f{sixth}#{queue}"


def _firsts(changes: Sequence[Change]) -> dict[tuple[str, str], dict[str, int]]:
    """What is set once in each series: since when it counts, as a whole or a queue's starts."""
    found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for change in sorted(changes, key=attrgetter("at")):
        found[change.tenant, TOTALS].setdefault(SINCE, change.at)
        if change.state is State.ACTIVE and change.old_state is not State.ACTIVE:
            _, first = starts_fields(change.queue, change.at)
            found[change.tenant, hour_series(change.at)].setdefault(first, change.at)
    return found


def _timer(change: Change, grace: Ms) -> Timer:
    return Timer((change.lease_until or change.at) + grace, change.tenant, change.job_id, change.attempt)


def _deadline_timers(ports: Ports, changes: Sequence[Change]) -> list[Timer]:
    """When the clock must look at each job with deadlines that was opened here, and did not end within the batch."""
    opened = {JobKey(change.tenant, change.job_id): change for change in changes if change.opens}
    timed = {key: change for key, change in opened.items() if change.deadlines.first is not None}
    if not timed:
        return []
    ended = {JobKey(last.tenant, last.job_id) for last in _last_of_each(changes) if last.state not in OPEN}
    expectations = Expectations(ports)
    return [_deadline_timer(ports, expectations, change) for key, change in timed.items() if key not in ended]


def _deadline_timer(ports: Ports, expectations: Expectations, change: Change) -> Timer:
    """A tick before it is at risk of missing the first, so that this is told before it happens."""
    first = change.deadlines.first or change.at
    risk = risk_at(first, change.created_at, expectations.of(change.tenant, change.name))
    return Timer(risk - round(ports.clock_seconds * 1000), change.tenant, change.job_id, DEADLINES)


def _last_of_each(changes: Iterable[Change]) -> Iterable[Change]:
    """The newest change of each job: a job that ended within the batch needs no watching."""
    return {(change.tenant, change.job_id): change for change in changes}.values()


def _sweep(ports: Ports, erased: Sequence[Change]) -> None:
    """Whoever erased the jobs, and however far they came: what belonged to them goes too."""
    for change in erased:
        for key in change.blobs:
            ports.blobs.delete(key)
        if change.unique_key is not None:
            lane = Lane(change.tenant, change.queue)
            ports.unique_keys.drop_if_held(lane, change.unique_key, change.job_id)
    if erased:
        ports.upkeep.forget([JobKey(change.tenant, change.job_id) for change in erased])


def _count(totals: Totals, change: Change) -> None:
    everything = totals[change.tenant, TOTALS]
    _count_waiting(everything, change)
    _count_cost(totals, change)
    if change.retries != change.old_retries:
        _count_retries(totals, change)
    if change.deadlines.first is not None:
        _count_sla(totals[change.tenant, SLA + change.queue], change)
    if change.old_state is change.state:
        return
    if change.counted:
        totals[change.tenant, backlog_series(Lane(change.tenant, change.queue))].update(_backlog(change))
    counted = [STATES, QUEUE + change.queue]
    if change.dag_id is not None and change.node is not None:
        counted.append(run_series(change.dag_id, items=node_of_item(change.node) is not None))
    for series in (totals[change.tenant, name] for name in counted):
        if change.old_state is not None:
            series[change.old_state] -= 1
        if change.state is not None:
            series[change.state] += 1
    if change.state is not None:
        _count_entry(totals, change, change.state)


def _count_waiting(everything: Counter[str], change: Change) -> None:
    everything["scheduled"] += change.is_delayed - change.was_delayed
    for priority, step in ((change.was_waiting, -1), (change.is_waiting, 1)):
        if priority is not None:
            everything[f"{WAITING_AT}{priority}"] += step


def _count_cost(totals: Totals, change: Change) -> None:
    """What was spent with this change; erasing a job takes nothing of that back."""
    spent = change.cost - change.old_cost
    totals[change.tenant, TOTALS][STORED_COST] += spent
    if change.state is not None:
        totals[change.tenant, hour_series(change.at)][SPENT + change.queue] += spent


def _count_sla(series: Counter[str], change: Change) -> None:
    """What its deadlines add to the figures of its queue."""
    was = change.old_state in OPEN and change.old_sla is Sla.AT_RISK
    series[AT_RISK] += (change.state in OPEN and change.sla is Sla.AT_RISK) - was
    for sla in change.told:
        if sla in MISSED:
            series[MISSED[sla]] += 1
    series[MET] += change.met


def _backlog(change: Change) -> Mapping[str, int]:
    """What a job that was counted when it was submitted changes: it is seen stored, starts or ends, or begins anew."""
    if change.old_state is None:
        return {"pending": -1}
    return {"size": (change.state is State.CREATED) - (change.old_state is State.CREATED)}


def _count_retries(totals: Totals, change: Change) -> None:
    """How many stored jobs of this name have used so many retries; and that one was retried for the first time."""
    histogram = totals[change.tenant, NAME + change.name]
    if change.old_retries:
        histogram[f"r{change.old_retries}"] -= 1
    if change.retries:
        histogram[f"r{change.retries}"] += 1
        totals[change.tenant, TOTALS]["retried"] += not change.old_retries


def _count_entry(totals: Totals, change: Change, state: State) -> None:
    hour, everything = totals[change.tenant, hour_series(change.at)], totals[change.tenant, TOTALS]
    hour[state] += 1
    everything[state] += 1
    if state is State.ACTIVE:
        started, _ = starts_fields(change.queue, change.at)
        hour[started] += 1
    if state in _OUTCOMES:
        hour[slot_field(state, change.at)] += 1
    if state is State.COMPLETED and change.started_at is not None:
        took = max(0, change.at - change.started_at)
        hour[RUN_MS] += took
        hour[duration_field(took)] += 1
        totals[change.tenant, took_series(change.name, change.at)][duration_field(took)] += 1
