"""Runs of past times, made bit by bit at a rate, each time once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tidegate.domain.job import Ms
from tidegate.domain.schedule import Backfill, Schedule, backfill_id, next_time, run_id, target_for
from tidegate.domain.spec import MAX_BATCH
from tidegate.ports import Ports

from .scheduled import Submission, made_by

_MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Part:
    """What to make now, and what is left to do afterwards."""

    backfill: Backfill | None
    specs: Mapping[Ms, Submission] = field(default_factory=dict)
    """By the time that each is the run of."""


def next_part(ports: Ports, schedule: Schedule, now: Ms, by: Ms, *, held: bool) -> Part:
    """The next part of the schedule's backfill, as far as its rate allows until `by`.

    Times whose job or run there is already, because they ran when they came, are passed over.
    """
    backfill = schedule.backfill
    if backfill is None or backfill.due > by:
        return Part(backfill)
    if held:
        return Part(replace(backfill, due=by + 1))
    count = min(MAX_BATCH, backfill.per_minute)
    times, following = times_from(ports, schedule, backfill.next, backfill.until, count)
    there = made_by(ports, schedule, [run_id(schedule.id, at) for at in times])
    missing = [at for at, made in zip(times, there, strict=True) if made is None]
    start = max(now, backfill.due)
    specs = {at: target_for(schedule, at, id_of_past(schedule, at), start) for at in missing}
    if following is None:
        return Part(None, specs)
    due = start + _MINUTE_MS * count // backfill.per_minute
    return Part(replace(backfill, next=following, due=due, made=backfill.made + len(missing)), specs)


def id_of_past(schedule: Schedule, at: Ms) -> str:
    """The id of what a backfill makes for a time.

    A run is that of its time, whenever it is made; a job of the past is one of its own, listed when it was made.
    """
    return backfill_id(schedule.id, at) if schedule.dag is None else run_id(schedule.id, at)


def times_from(ports: Ports, schedule: Schedule, first: Ms, until: Ms, limit: int) -> tuple[list[Ms], Ms | None]:
    """The schedule's times from `first` to `until`, at most `limit`, and the one after them up to `until`."""
    times: list[Ms] = []
    at = next_time(schedule, first - 1, ports.cron.next_match)
    while at is not None and at <= until and len(times) < limit:
        times.append(at)
        at = next_time(schedule, at, ports.cron.next_match)
    return times, at if at is not None and at <= until else None
