"""The statements that write jobs. What is NULL is part of a statement's text, for sqlite3 takes long to bind a None.

Jobs that are made or changed alike share a statement, however many there are: each is put together once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import attrgetter, itemgetter
from typing import Any

from tidegate.domain.guard import Guard, GuardedWrite, Place, spot_of
from tidegate.domain.job import HardMiss, Job, Sla, State

from .codec import COLUMNS, FIELDS, encoders, row_of

Statement = tuple[str, Sequence[Any]]
"""Its text, and what is to be bound."""
_KNOWN = 1_000
"""More kinds of jobs and changes than a home has at a time."""

_UNSTOPPED = f"(hard_sla IS NULL OR hard_sla >= ? OR on_hard_miss = '{HardMiss.ONLY_TELL}' OR sla >= {Sla.HARD_MISSED})"
_CONDITIONS = {
    "attempt": "attempt = ?",
    "woken_by": "(wake_at IS NULL OR wake_at <= ?)",
    "unexpired_at": "(expires_at IS NULL OR expires_at > ?)",
    "expired_by": "expires_at <= ?",
    "lease_ended_by": "lease_until <= ?",
    "lease_seen": "lease_until = ?",
    "cancel_requested": "cancel_requested = ?",
    "seen_at": "updated_at = ?",
    "blocked": "blocked = ?",
    "sla_below": "sla < ?",
    "unstopped_at": _UNSTOPPED,
}
"""The parts of a guard as SQL: together they must mean the same as `Guard.holds`."""
_PARTS: Callable[[Guard], tuple[Any, ...]] = attrgetter(*_CONDITIONS)


def insert_of(job: Job) -> Statement:
    """The insertion of a job. It changes nothing where one of that id exists."""
    spot = spot_of(job)
    row = [*row_of(job), spot.place.value, spot.order]
    sql, present = _insertion(tuple([value is None for value in row]))
    return sql, present(row)


def update_of(write: GuardedWrite) -> Statement:
    """A guarded write; it answers the job where the guard held, no row elsewhere."""
    names, values = tuple(write.values), list(write.values.values())
    for index, encode in encoders(names):
        if values[index] is not None:
            values[index] = encode(values[index])
    bounds = _PARTS(write.guard)
    sql = _update(
        names,
        tuple([value is None for value in values]),
        write.next_attempt,
        write.charge != 0,
        None if write.spot is None else write.spot.place,
        write.guard.states,
        tuple([bound is None for bound in bounds]),
    )
    bound = [value for value in values if value is not None]
    if write.charge:
        bound.append(write.charge)
    if write.spot is not None:
        bound.append(write.spot.order)
    return sql, [*bound, write.tenant, write.job_id, *[each for each in bounds if each is not None]]


@lru_cache(_KNOWN)
def _insertion(absent: tuple[bool, ...]) -> tuple[str, Callable[[Sequence[Any]], Sequence[Any]]]:
    """For jobs whose columns are NULL where `absent` says so: the text, and what picks the others of a row."""
    columns = [*FIELDS, "place", "place_order"]
    present = [index for index, is_absent in enumerate(absent) if not is_absent]
    named, marks = ", ".join(columns[index] for index in present), ", ".join("?" * len(present))
    return f"INSERT INTO jobs ({named}) VALUES ({marks}) ON CONFLICT (tenant, id) DO NOTHING", itemgetter(*present)


@lru_cache(_KNOWN)
def _update(
    names: tuple[str, ...],
    absent: tuple[bool, ...],
    next_attempt: bool,
    charged: bool,
    place: Place | None,
    states: frozenset[State],
    unasked: tuple[bool, ...],
) -> str:
    """The text for writes of these fields, of which some become NULL, under a guard that asks nothing of some parts."""
    changes = [f"{name} = {'NULL' if is_absent else '?'}" for name, is_absent in zip(names, absent, strict=True)]
    if next_attempt:
        changes.append("attempt = attempt + 1")
    if charged:
        changes.append("cost = cost + ?")
    if place is not None:
        changes += [f"place = '{place}'", "place_order = ?"]
    guard = [f"state IN ({', '.join(sorted(repr(state.value) for state in states))})"]
    guard += [part for part, is_unasked in zip(_CONDITIONS.values(), unasked, strict=True) if not is_unasked]
    conditions = " AND ".join(guard)
    return f"UPDATE jobs SET {', '.join(changes)} WHERE tenant = ? AND id = ? AND {conditions} RETURNING {COLUMNS}"
