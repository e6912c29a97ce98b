"""The gates between a waiting job and a worker, each with its facts. Pure: what is known comes in, gates come out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from .dag.run import RunState
from .dag.spec import Join
from .job import Job, Json, Ms, State
from .priority import Band, band_of
from .queue import Queue
from .words import counted, duration, listed, shortened


class GateName(StrEnum):
    """What may keep a job from running, in the order in which people want to hear of it."""

    UPSTREAM = "upstream"
    """Other nodes of its run."""
    EXPIRY = "expiry"
    """The time until which it has to start."""
    START_AFTER = "start_after"
    """The time that it was submitted for."""
    RETRY = "retry"
    """The pause after a failed attempt."""
    SNOOZE = "snooze"
    """The pause that its handler asked for."""
    QUEUE_PAUSED = "queue_paused"
    """Its queue was paused by someone."""
    LINE = "line"
    """Jobs of its lane that rank better."""
    POOL = "pool"
    """Tickets of better bands in its pool, of whatever queue."""
    LEASE = "lease"
    """The worker that runs it."""
    CANCEL = "cancel"
    """A stop that was asked for."""
    ENDED = "ended"
    """It has ended."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One thing that keeps a job from running (`holds`), or that it has passed.

    `message` is a clause about "it", the job. Of the `facts`, those whose names end in `_at`, `_until` or
    `_after` are times (`Ms`) or None; everything else is plain JSON.
    """

    name: GateName
    holds: bool
    message: str
    facts: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Parent:
    """A node that another one waits for; `state` None where its job is not stored."""

    node: str
    job_id: str
    state: State | None

    def __str__(self) -> str:
        return f"{self.node} ({self.state or 'not stored'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is before a node in its run. Where many parents are open, only the first of them were looked at."""

    dag_id: str
    node: str
    run_state: RunState
    stopping: RunState | None = None
    join: Join = Join.ALL_ACTIVE
    join_count: int | None = None
    total: int = 0
    """Parents that the node has."""
    seen: int = 0
    """Parents that were looked at."""
    open: tuple[Parent, ...] = ()
    """Those of them that have not ended."""
    broke: tuple[Parent, ...] = ()
    """Those of them that failed, or were skipped because of a failure."""
    entries: int | None = None
    """Jobs that the node was fanned out into."""
    entries_open: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """Jobs of a lane that rank better than one job: how many, at least so many unless `exact`, and the first of them.

    `starts` of the lane within the last `seconds` tell how fast the line moves.
    """

    ahead: int
    exact: bool
    first: tuple[str, ...] = ()
    starts: int = 0
    seconds: float = 0.0

    @property
    def starts_per_minute(self) -> float | None:
        """How fast the line moves; None where nothing started lately."""
        return round(60 * self.starts / self.seconds, 2) if self.starts and self.seconds > 0 else None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Tickets of one pool by band: those that can be seen, and those that workers hold."""

    visible: Mapping[Band, int]
    in_flight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is known at `now` about everything around a job; None where it does not matter or is not known."""

    now: Ms
    queue: Queue | None = None
    before: Before | None = None
    line: Line | None = None
    pool: Waiting | None = None


NAMED = 5
"""Nodes and jobs that a message or a fact lists by name."""


def waiting_gates(job: Job, around: Surroundings) -> Iterator[Gate]:
    """Every gate on the way of a waiting job, those it has passed too, in the order of `GateName`."""
    if around.before is not None:
        yield _upstream(job, around.before)
    elif job.blocked:
        facts = {"dag_id": job.dag_id, "node": job.node}
        yield Gate(GateName.UPSTREAM, True, "it waits for a run that is not there any more", facts)
    if job.expires_at is not None:
        yield _expiry(job.expires_at, around.now)
    if job.wake_at is not None:
        yield _time(job, job.wake_at, around.now)
    if around.queue is not None:
        yield _paused(around.queue)
    if around.line is not None:
        yield _line(job, around.line)
    if around.pool is not None:
        yield _pool(job, around.pool)


def _upstream(job: Job, before: Before) -> Gate:
    facts = {
        "dag_id": before.dag_id,
        "node": before.node,
        "run_state": before.run_state.value,
        "join": before.join.value,
        "join_count": before.join_count,
        "parents": before.total,
        "open": len(before.open),
        "exact": before.seen == before.total,
        "waits_for": parents_view(before.open),
    }
    if before.entries is not None:
        facts |= {"entries": before.entries, "entries_open": before.entries_open}
    message = _upstream_message(before) if job.blocked else "nothing before it in its run holds it"
    return Gate(GateName.UPSTREAM, job.blocked, message, facts)


def parents_view(parents: Sequence[Parent]) -> list[dict[str, Json]]:
    """Some parents as facts."""
    return [
        {"node": each.node, "job_id": each.job_id, "state": None if each.state is None else each.state.value}
        for each in parents[:NAMED]
    ]


def _upstream_message(before: Before) -> str:
    if before.run_state is RunState.CREATED:
        return "its run is still being stored"
    if before.stopping is not None:
        return f"its run is being stopped and will be {before.stopping}"
    if before.open:
        names = [str(each) for each in before.open[:NAMED]]
        waits = f"it waits for {_nodes(len(before.open))} {listed(names, len(before.open))} of its run"
        if before.join in (Join.ANY, Join.N_OF):
            return f"{waits}, {before.join_count or 1} of which must complete"
        return waits if before.seen == before.total else f"{waits} and perhaps for more of its {before.total}"
    if before.entries is not None and before.entries_open:
        return f"it waits for {before.entries_open:,} of the {before.entries:,} jobs that it was fanned out into"
    return "all before it in its run have ended, and it is let go within moments"


def _nodes(count: int) -> str:
    return "node" if count == 1 else "nodes"


def _expiry(expires_at: Ms, now: Ms) -> Gate:
    if expires_at <= now:
        message = f"it had to start {duration(now - expires_at)} ago at the latest, and will be marked as EXPIRED"
    else:
        message = f"it has to start within {duration(expires_at - now)}"
    return Gate(GateName.EXPIRY, expires_at <= now, message, {"expires_at": expires_at})


def _time(job: Job, wake_at: Ms, now: Ms) -> Gate:
    holds, left = wake_at > now, duration(wake_at - now)
    facts: dict[str, Json] = {"wake_at": wake_at, "in_seconds": max(0, wake_at - now) / 1000}
    if job.state is State.CREATED:
        message = f"it is not to start before its time, in {left}" if holds else "its time has come"
        return Gate(GateName.START_AFTER, holds, message, {**facts, "start_after": job.start_after})
    facts |= {"attempt": job.attempt, "attempts_allowed": job.attempts_allowed}
    if job.error_type is None:
        message = f"its handler put it off: it goes on in {left}" if holds else "the pause of its handler is over"
        return Gate(GateName.SNOOZE, holds, message, facts)
    failed = f"attempt {job.attempt} of {job.attempts_allowed} failed ({shortened(job.error_message or '')})"
    facts |= {"error_type": job.error_type.value, "error_message": job.error_message}
    message = f"{failed} and the next one begins in {left}" if holds else f"{failed}, and the pause after it is over"
    return Gate(GateName.RETRY, holds, message, facts)


def _paused(queue: Queue) -> Gate:
    name = GateName.QUEUE_PAUSED
    facts = {"queue": queue.name}
    if not queue.paused:
        return Gate(name, False, f"its queue '{queue.name}' is not paused", facts)
    by = f" by {shortened(queue.paused_by)}" if queue.paused_by else ""
    reason = f" ({shortened(queue.paused_reason)})" if queue.paused_reason else ""
    facts |= {"paused_by": queue.paused_by or "", "paused_reason": queue.paused_reason or ""}
    return Gate(name, True, f"its queue '{queue.name}' was paused{by}{reason}", facts)


def _line(job: Job, line: Line) -> Gate:
    pace = line.starts_per_minute
    facts = {
        "queue": job.queue,
        "ahead": line.ahead,
        "exact": line.exact,
        "first": list(line.first[:NAMED]),
        "starts_per_minute": pace,
    }
    if not line.ahead:
        return Gate(GateName.LINE, False, f"it is the next of its queue '{job.queue}'", facts)
    moves = "of which none started lately" if pace is None else f"of which {pace:g} start in a minute"
    ahead = counted(line.ahead, "job", exact=line.exact)
    return Gate(GateName.LINE, True, f"{ahead} of its queue '{job.queue}' rank before it, {moves}", facts)


def _pool(job: Job, pool: Waiting) -> Gate:
    band = band_of(job.priority)
    better = list(Band)[: list(Band).index(band)]
    before = sum(pool.visible.get(each, 0) for each in better)
    facts = {
        "pool": job.pool,
        "band": band.value,
        "tickets_of_better_bands": before,
        "tickets_of_its_band": pool.visible.get(band, 0),
        "tickets_at_work": pool.in_flight,
    }
    if not before:
        return Gate(GateName.POOL, False, f"its pool '{job.pool}' has no tickets of higher priority to serve", facts)
    tickets = counted(before, "ticket")
    return Gate(GateName.POOL, True, f"its pool '{job.pool}' has {tickets} of higher priority to serve first", facts)
