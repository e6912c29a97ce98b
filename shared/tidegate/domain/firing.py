"""Which of a schedule's times run now. Pure: the same question has the same answer, whoever asks.

    ── missed ──┃── a little late ──┃─── the period ahead ───┃
            now − GRACE            now                       by

Times up to `GRACE_MS` late are on time: two lost ticks change nothing. What is older was missed, and the misfire
policy decides. Times ahead are released early, each to start at its own second.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .dag.run import OPEN_RUNS, Run
from .job import TERMINAL, Job, Ms
from .schedule import Fate, Firing, Misfire, NextMatch, Overlap, Schedule, next_time

GRACE_MS = 150_000
MAX_RELEASED = 100
"""Of one schedule in one step; the next step goes on."""
_FIRST_LOOK_BACK_MS = 120_000


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the times until `by`."""

    release: tuple[Ms, ...] = ()
    passed: tuple[Firing, ...] = ()
    next_run: Ms | None = None
    waits: bool = False
    """`next_run` is within reach but cannot be decided yet: look again with the next tick."""
    queued: bool = False
    cancel_previous: bool = False
    certain: bool = True
    """Whoever decides later decides the same: the decision need not be put on record before it is carried out."""


class _Due(NamedTuple):
    times: list[Ms]
    dropped: tuple[Firing, ...]
    next_run: Ms | None
    on_time: bool


def decide(
    schedule: Schedule, now: Ms, by: Ms, next_match: NextMatch, *, previous: Job | Run | None = None, held: bool = False
) -> Decision:
    """Decide about the times until `by`, at most `MAX_RELEASED` of them.

    `previous` is what the schedule's last time made, needed unless overlap is allowed; `held` says that the
    tenant's schedules are paused.
    """
    due = _due(schedule, now, by, next_match)
    if held:
        passed = (*due.dropped, *(Firing(at, Fate.HELD) for at in due.times))
        return Decision(passed=passed, next_run=due.next_run)
    if schedule.overlap is Overlap.ALLOW:
        return Decision(tuple(due.times), due.dropped, due.next_run, certain=due.on_time)
    return _without_overlap(schedule.overlap, due, now, previous)


def _without_overlap(overlap: Overlap, due: _Due, now: Ms, previous: Job | Run | None) -> Decision:
    """At most one time is released: whether the next one overlaps is known only once this one's job has run."""
    is_open = previous is not None and goes_on(previous)
    ended_at = previous.completed_at or 0 if previous is not None and not is_open else 0
    released: Ms | None = None
    passed = list(due.dropped)
    cancel = False
    for at in due.times:
        comes = at > now
        if released is not None:
            if overlap is Overlap.QUEUE_ONE and at <= ended_at:
                passed.append(Firing(at, Fate.OVERLAPPED))
                continue
            return _one(released, passed, cancel, next_run=at, waits=True)
        if is_open and (comes or overlap is Overlap.QUEUE_ONE):
            return Decision((), tuple(passed), at, waits=True, queued=not comes, certain=False)
        if is_open and overlap is Overlap.CANCEL_RUNNING:
            released, cancel = at, True
        elif overlap is Overlap.SKIP and (is_open or ended_at > at):
            passed.append(Firing(at, Fate.OVERLAPPED))
        else:
            released = at
    return _one(released, passed, cancel, next_run=due.next_run)


def goes_on(made: Job | Run) -> bool:
    """Whether a job or a run has not ended."""
    return made.state in OPEN_RUNS if isinstance(made, Run) else made.state not in TERMINAL


def _one(
    released: Ms | None, passed: list[Firing], cancel: bool, *, next_run: Ms | None, waits: bool = False
) -> Decision:
    release = () if released is None else (released,)
    return Decision(release, tuple(passed), next_run, waits=waits, cancel_previous=cancel, certain=False)


def _due(schedule: Schedule, now: Ms, by: Ms, next_match: NextMatch) -> _Due:
    first = schedule.next_run
    if first is None or first > by:
        return _Due([], (), first, True)
    times: list[Ms] = []
    dropped: tuple[Firing, ...] = ()
    late_before, on_time = now - GRACE_MS, True
    start: Ms | None = first
    if schedule.queued:  # it did not come late, it had to wait
        times.append(first)
        start = next_time(schedule, first, next_match)
    if start is not None and start < late_before:
        on_time = False
        missed = start
        chosen, start = _after_downtime(schedule, missed, now, next_match)
        times += chosen
        if missed not in (*chosen, start):
            dropped = (Firing(missed, Fate.MISSED),)
    while start is not None and start <= by and len(times) < MAX_RELEASED:
        times.append(start)
        start = next_time(schedule, start, next_match)
    return _Due(times, dropped, start, on_time)


def _after_downtime(schedule: Schedule, missed: Ms, now: Ms, next_match: NextMatch) -> tuple[list[Ms], Ms | None]:
    """The missed time that runs though others do not, if any, and the first of those that all run."""
    late_before = now - GRACE_MS
    kept_from = max(missed, now - round(schedule.misfire_window_seconds * 1000))
    match schedule.misfire:
        case Misfire.RUN_ALL:
            return [], next_time(schedule, min(kept_from, late_before) - 1, next_match)
        case Misfire.RUN_ONCE:
            latest = _latest(schedule, kept_from, late_before, next_match)
            chosen = [] if latest is None else [latest]
            return chosen, next_time(schedule, late_before - 1, next_match)
        case Misfire.SKIP:
            return [], next_time(schedule, late_before - 1, next_match)


def _latest(schedule: Schedule, low: Ms, high: Ms, next_match: NextMatch) -> Ms | None:
    """The last of the schedule's times from `low` to before `high`, looked for from the end in growing steps."""
    span = _FIRST_LOOK_BACK_MS
    while low < high:
        begin = max(low, high - span)
        found, at = None, next_time(schedule, begin - 1, next_match)
        while at is not None and at < high:
            found, at = at, next_time(schedule, at, next_match)
        if found is not None or begin == low:
            return found
        span *= 4
    return None
