"""The change feed's work: running totals, and notes for the clock about running jobs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegate.domain.job import Json, Ms, State
from tidegate.ports import Addition, Ports, Timer


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One committed change of a job: `old_state` None when it was made, `state` None when it was erased."""

    tenant: str
    job_id: str
    old_state: State | None
    state: State | None
    attempt: int = 0
    at: Ms = 0
    started_at: Ms | None = None
    lease_until: Ms | None = None
    queue: str = ""
    webhook: Json = None


def record_changes(ports: Ports, batch: str, changes: Sequence[Change]) -> None:
    """Count the changes, once however often the batch arrives, and note the leases that are running.

    `batch` names the batch: the same changes always arrive under the same name.
    """
    timers = [_timer(change) for change in _last_of_each(changes) if change.state is State.ACTIVE]
    if timers:
        ports.timers.set(timers)
    additions = [Addition(tenant, series, amounts) for (tenant, series), amounts in _totals(changes).items()]
    if additions:
        ports.figures.add_once(batch, additions)


def hour_series(at: Ms) -> str:
    """The name of the hourly series that holds a time."""
    return f"hour#{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%dT%H}"


def _timer(change: Change) -> Timer:
    return Timer(change.lease_until or change.at, change.tenant, change.job_id, change.attempt)


def _last_of_each(changes: Iterable[Change]) -> Iterable[Change]:
    """The newest change of each job: a job that ended within the batch needs no watching."""
    return {(change.tenant, change.job_id): change for change in changes}.values()


def _totals(changes: Iterable[Change]) -> Mapping[tuple[str, str], Mapping[str, int]]:
    totals: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for change in changes:
        if change.old_state is change.state:
            continue
        states = totals[change.tenant, "states"]
        if change.old_state is not None:
            states[change.old_state] -= 1
        if change.state is not None:
            states[change.state] += 1
            hour = totals[change.tenant, hour_series(change.at)]
            hour[change.state] += 1
            if change.state is State.COMPLETED and change.started_at is not None:
                hour["run_ms"] += max(0, change.at - change.started_at)
    return {
        key: {name: n for name, n in amounts.items() if n} for key, amounts in totals.items() if any(amounts.values())
    }
