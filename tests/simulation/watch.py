"""The invariants. `Watch` sees every applied write at the moment it takes effect and remembers what broke a rule."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from tidegate.domain.events import SLA_EVENTS
from tidegate.domain.guard import OFF, RESCUE_MS, GuardedWrite, Place, Spot, spot_of
from tidegate.domain.guarded import MAX_FAILURES_KEPT, MISSED_HARD
from tidegate.domain.job import RESTARTABLE, TERMINAL, TRANSITIONS, WAITING, Job, Ms, Sla, State
from tidegate.domain.queue import Queue
from tidegate.domain.sla import deadlines, is_stopped
from tidegate.domain.ticket import Lane, decode
from tidegate.ports import JobKey
from tidegate.service.claim import CLEAN_UP_TRIES

from .run_book import RunsBook
from .world import Process, World


class Broken(StrEnum):
    """A rule that was broken."""

    LOST = "lost"
    """An accepted job is gone, or did not end within the bound on recovery."""
    DOUBLED = "doubled"
    """A second completion was recorded."""
    OVERWRITTEN = "overwritten"
    """An ended job changed without anybody having asked for it, or a move was none of the table of transitions."""
    STOLEN = "stolen"
    """A lease was taken that was live, or a job that a live worker holds."""
    ZOMBIE = "zombie"
    """Somebody else than the holder of a live lease changed the job."""
    BURNED = "burned"
    """An attempt was used up without its handler having begun, though its worker lived and one call at most failed."""
    UNBOUNDED = "unbounded"
    """More attempts than allowed."""
    MISPLACED = "misplaced"
    """A job stands in the index where it does not belong."""
    INVERTED = "inverted"
    """A job started before a better one of its lane."""
    WASTED = "wasted"
    """A worker tried to start a job that it had just started itself, for another one's ticket."""
    EARLY = "early"
    """A job started before its time."""
    LATE = "late"
    """Nobody started a job in time though somebody could."""
    LITTER = "litter"
    """Tickets or timers were left behind."""
    OVERRUN = "overrun"
    """More jobs ran at once than their queue allows."""
    OVERDUE = "overdue"
    """A job was started past its hard deadline, or nobody ended it within the bound on recovery."""
    HASTY = "hasty"
    """A deadline was told, or acted upon, that was not past, or that had been dealt with."""
    UNREADY = "unready"
    """A node of a run was let go, or skipped, before what it waits for allowed that."""
    RAISED = "raised"
    """The project raised what nobody expects."""
    MISCOUNTED = "miscounted"
    """The figures are not what a recount gives."""


@dataclass(slots=True)
class Seen:
    """A stored job as the watch knows it."""

    job: Job
    order: int
    """When it was made, among all jobs: equal ranks start in this order."""
    spot: Spot
    history: list[tuple[Ms, Spot]]
    """Where it stood in the index, and since when."""
    ready_since: Ms = 0
    holder: Process | None = None
    granted_at: Ms = 0
    """The true time at which the holder last wished for its lease."""
    runs: int | None = None
    """The attempt whose handler was last begun."""
    loose_from: Ms | None = 0
    """Since when the job is, or from when it will be, nobody's though it could run; None while somebody has it."""
    busy_then: Ms = 0
    completions: int = 0
    asked_to_restart: int = 0


@dataclass(slots=True)
class Watch:
    """What happened to every job, and which rules broke. Durations are milliseconds."""

    world: World
    lease: Ms
    skew: Ms
    """How wrong the worst clock is."""
    strict_priority: bool = False
    """One worker, and nothing goes wrong: the best ready job starts."""
    head_ms: Ms = 0
    """How old the head of a lane may be that a worker claims by."""
    blurred: int = 0
    """Jobs that started before a better one that was ready for less."""
    strict_leases: bool = False
    """Nothing goes wrong: a job whose worker lives is nobody else's."""
    start_bound: Ms | None = None
    """How long a job may wait for an idle worker; None: not to be checked."""
    recovery_bound: Ms = 0
    calm_from: Ms | None = None
    """Since when nothing goes wrong any more."""
    broken: list[tuple[Broken, str]] = field(default_factory=list)
    seen: dict[JobKey, Seen] = field(default_factory=dict)
    answered: set[JobKey] = field(default_factory=set)
    erased: set[JobKey] = field(default_factory=set)
    entered: Counter[State] = field(default_factory=Counter)
    deadlines: Counter[str] = field(default_factory=Counter)
    """What there was to be told of deadlines, by the names of the figures."""
    worst_recovery: Ms = 0
    worst_under_fire: Ms = 0
    looked_at: dict[Process, Ms] = field(default_factory=dict)
    """When each worker began to look for a job."""
    tickets: dict[Process, str] = field(default_factory=dict)
    """For which job's ticket."""
    troubles_then: dict[Process, tuple[int, int]] = field(default_factory=dict)
    """How many of its calls had failed then, and how many been slow."""
    lanes: defaultdict[Lane, dict[JobKey, Seen]] = field(default_factory=lambda: defaultdict(dict))
    book: RunsBook = field(default_factory=RunsBook)
    """The runs of DAGs that were asked for."""
    limits: dict[Lane, Queue] = field(default_factory=dict)
    """The lanes with limits, which do not change meanwhile."""
    _idle: int = 0
    _busy: Ms = 0
    _busy_at_calm: Ms = 0
    _counted_until: Ms = 0

    def breaks(self, rule: Broken, text: str) -> None:
        """Remember that a rule is broken."""
        self.broken.append((rule, text))
        self.world.note(f"!! {rule}: {text}")

    # What the ports tell.

    def created(self, job: Job) -> None:
        """A job was stored as a new one."""
        key = JobKey(job.tenant, job.id)
        if key in self.seen:
            self.breaks(Broken.OVERWRITTEN, f"{job.id} was made again")
        if (wrong := self.book.wrongly_made(job, self.jobs()) if self.book.specs else None) is not None:
            self.breaks(Broken.UNREADY, wrong)
        now, spot = self.world.now, spot_of(job)
        seen = Seen(job, len(self.seen) + len(self.erased), spot, [(now, spot)], ready_since=now)
        seen.loose_from, seen.busy_then = None if job.blocked else max(now, job.wake_at or 0), self.busy()
        self.seen[key] = self.lanes[Lane(job.tenant, job.queue)][key] = seen
        self.entered[job.state] += 1

    def was_erased(self, key: JobKey) -> None:
        """A job was deleted."""
        seen = self.seen.pop(key)
        del self.lanes[Lane(seen.job.tenant, seen.job.queue)][key]
        self.erased.add(key)
        self.answered.discard(key)

    def applied(self, process: Process, write: GuardedWrite, job: Job) -> None:
        """A guarded write took effect; `job` is what it made of the job."""
        seen = self.seen[JobKey(job.tenant, job.id)]
        before = seen.job
        self._check_move(process, seen, before, job)
        self._check_deadlines(process, before, job)
        wrong = self.book.wrongly_moved(before, job, self.jobs()) if before.blocked else None
        if wrong is not None:
            self.breaks(Broken.UNREADY, wrong)
        if before.state is State.ACTIVE:
            self._check_holder(process, seen, before, job)
        if job.state is State.ACTIVE and job.attempt != before.attempt:
            self._check_start(process, seen, before, job)
        if before.state is not job.state:
            self.entered[job.state] += 1
        seen.job = job
        self._place(seen, write.spot)
        self._follow(process, seen, before, job)

    def refused(self, process: Process, write: GuardedWrite, job: Job) -> None:
        """A guarded write changed nothing; `job` stood in the way of it."""
        own = self.tickets.get(process) == job.id
        if self.strict_priority and write.next_attempt and job.state is not State.CREATED and not own:
            self.breaks(Broken.WASTED, f"{job.id} ({job.state}) by {process.name}")

    # Who does what.

    def begins(self, process: Process, body: str) -> None:
        """A worker starts to look for a job, with a ticket."""
        self.looked_at[process], self.tickets[process] = self.world.now, decode(body).job_id
        self.troubles_then[process] = (process.failed, process.held_up)

    def runs(self, job: Job) -> None:
        """The handler of an attempt begins. Attempts count as running until they end in the table."""
        seen = self.seen.get(JobKey(job.tenant, job.id))
        if seen is None or seen.job.attempt != job.attempt:
            return  # lost already: it can change nothing any more
        seen.runs = job.attempt
        lane = Lane(job.tenant, job.queue)
        queue = self.limits.get(lane)
        if queue is None:
            return
        running = [each.job for each in self.lanes[lane].values() if _runs(each)]
        keyed = [each for each in running if each.concurrency_key == job.concurrency_key]
        if queue.slots is not None and len(running) > queue.slots:
            self.breaks(Broken.OVERRUN, f"{len(running)} jobs of {job.queue}: {job.id}")
        if queue.key_slots is not None and job.concurrency_key is not None and len(keyed) > queue.key_slots:
            self.breaks(Broken.OVERRUN, f"{len(keyed)} jobs of {job.queue}, {job.concurrency_key}: {job.id}")

    def lets_go(self, process: Process, but: Job | None = None) -> None:
        """A worker is dead, or done with its jobs one way or the other, `but` one that it claimed ahead."""
        for seen in self.seen.values():
            if but is not None and seen.job.id == but.id:
                continue
            if seen.holder is process and seen.job.state is State.ACTIVE and seen.loose_from is None:
                if seen.runs != seen.job.attempt and self._had_no_excuse(process):
                    self.breaks(Broken.BURNED, f"{seen.job.id} attempt {seen.job.attempt} by {process.name}")
                seen.loose_from, seen.busy_then = self.world.now, self.busy()
                seen.holder = None

    def idle(self, change: int) -> None:
        """A worker has nothing to do (+1), or something again (−1)."""
        self.busy()
        self._idle += change

    def busy(self) -> Ms:
        """For how long, all in all, no worker was idle."""
        if self._idle <= 0:
            self._busy += self.world.now - self._counted_until
        self._counted_until = self.world.now
        return self._busy

    # What is checked from time to time, and at the end.

    def jobs(self) -> dict[JobKey, Job]:
        """All jobs as they stand."""
        return {key: seen.job for key, seen in self.seen.items()}

    def open(self) -> Iterator[Seen]:
        """All jobs that have not ended."""
        return (seen for seen in self.seen.values() if seen.job.state not in TERMINAL)

    def check_stalls(self) -> None:
        """Nothing that could run is nobody's for longer than the bound on recovery."""
        for seen in self.open():
            since = self.world.now - self.recovery_bound
            if self.calm_from is not None and self.calm_from < since and is_stopped(seen.job, since):
                self.breaks(Broken.OVERDUE, f"{seen.job.id} is {seen.job.state}, due until {seen.job.hard_sla}")
            stall = self._stall(seen, self.calm_from)
            if stall > self.recovery_bound:
                text = f"{seen.job.id} is {seen.job.state} at {seen.spot.place} and nobody's for {stall / 1000:.0f} s"
                self.breaks(Broken.LOST, text)
        for text in self.book.stalled(self.jobs(), self.calm_from, self.world.now) if self.book.specs else ():
            self.breaks(Broken.LOST, text)

    def calm(self) -> None:
        """From now on nothing goes wrong, so recovery is bounded."""
        self.calm_from = self.world.now
        self._busy_at_calm = self.busy()

    def excuse(self) -> None:
        """Waiting up to now does not count: a queue was paused."""
        for seen in self.seen.values():
            if seen.loose_from is not None:
                seen.loose_from = max(seen.loose_from, self.world.now)

    def _held_up(self, lane: Lane) -> bool:
        """Whether jobs of a limited lane may have to wait for one that runs."""
        return lane in self.limits and any(each.job.state is State.ACTIVE for each in self.lanes[lane].values())

    def index(self, at: Ms, seen: Seen) -> Spot:
        """Where a job stood in the index at a time."""
        return next((spot for since, spot in reversed(seen.history) if since <= at), OFF)

    def _stall(self, seen: Seen, since: Ms | None) -> Ms:
        waits = seen.job.state in WAITING
        if seen.loose_from is None or (waits and self._held_up(Lane(seen.job.tenant, seen.job.queue))):
            return 0
        if since is None or since <= seen.loose_from:
            return max(0, self.world.now - seen.loose_from - (self.busy() - seen.busy_then))
        return max(0, self.world.now - since - (self.busy() - max(seen.busy_then, self._busy_at_calm)))

    def _check_move(self, process: Process, seen: Seen, before: Job, job: Job) -> None:
        name = f"{job.id} {before.state} -> {job.state} by {process.name}"
        if before.state in TERMINAL:
            again = before.state in RESTARTABLE or (before.state is State.SKIPPED and job.blocked)
            if not again or job.state is not State.CREATED or process.role != "api":
                self.breaks(Broken.OVERWRITTEN, name)
        elif job.state is not before.state and job.state not in TRANSITIONS[before.state]:
            self.breaks(Broken.OVERWRITTEN, name)
        if job.state is State.COMPLETED:
            seen.completions += 1
            if seen.completions > 1:
                self.breaks(Broken.DOUBLED, name)
        if job.attempt > job.attempts_allowed + (CLEAN_UP_TRIES if job.cancel_requested else 0):
            self.breaks(Broken.UNBOUNDED, f"{job.id} attempt {job.attempt} of {job.attempts_allowed}")

    def _check_deadlines(self, process: Process, before: Job, job: Job) -> None:
        """What is noted of deadlines only grows and is true; only a miss ends a job. Counts what is to be told."""
        now, due = process.now(), deadlines(job)
        name = f"{job.id} {before.sla.name} -> {job.sla.name} by {process.name}"
        if job.sla < before.sla:
            self.breaks(Broken.OVERWRITTEN, name)
        if before.state in TERMINAL:
            return
        if job.reason == MISSED_HARD and job.state in TERMINAL and not is_stopped(before, now):
            self.breaks(Broken.HASTY, f"{name}: ended")
        missed = max(Sla.AT_RISK, due.missed_at(now))
        if job.sla > max(before.sla, missed):
            self.breaks(Broken.HASTY, name)
        ended = job.completed_at if job.state in TERMINAL else None
        after = job.sla if ended is None else max(job.sla, due.missed_at(ended))
        self.deadlines.update(SLA_EVENTS[sla] for sla in due.told(before.sla, after))
        self.deadlines["met"] += job.state is State.COMPLETED and due.first is not None and after < Sla.SOFT_MISSED
        if before.failures != job.failures[: len(before.failures)] and len(job.failures) < MAX_FAILURES_KEPT:
            self.breaks(Broken.OVERWRITTEN, f"{job.id}: a failure is gone from its history")

    def _check_holder(self, process: Process, seen: Seen, before: Job, job: Job) -> None:
        """Only its holder changes a running job, unless the lease lapsed or all that changes is the wish to stop it."""
        if process is seen.holder and job.attempt == before.attempt:
            return
        same = (job.state, job.attempt, job.lease_until) == (before.state, before.attempt, before.lease_until)
        if same and (process.role == "api" or job.sla > before.sla):
            return
        if same and job.dag_id is not None and job.cancel_requested:
            return  # its run is stopped, by whoever saw the reason
        if job.reason == MISSED_HARD and job.state in TERMINAL:
            return  # `_check_deadlines` judges it
        name = f"{job.id} attempt {before.attempt} of {seen.holder.name if seen.holder else 'nobody'} by {process.name}"
        lease_until = before.lease_until or 0
        if lease_until > process.now():
            self.breaks(Broken.ZOMBIE, f"{name}: {before.state} -> {job.state}")
        if lease_until > self.world.now + self.skew:
            self.breaks(Broken.STOLEN, name)
        elif self._is_live(seen):
            self.breaks(Broken.STOLEN, name)  # whatever the clocks of the two say
        elif self.strict_leases and seen.holder is not None and seen.holder.alive:
            self.breaks(Broken.STOLEN, name)

    def _is_live(self, seen: Seen) -> bool:
        """Whether the holder runs, and has kept its lease as it should."""
        holder = seen.holder
        return holder is not None and holder.alive and self.world.now - seen.granted_at < self.lease // 2

    def _check_start(self, process: Process, seen: Seen, before: Job, job: Job) -> None:
        if before.wake_at is not None and before.wake_at > process.now():
            self.breaks(Broken.EARLY, f"{job.id} by {before.wake_at - process.now()} ms")
        if before.state in WAITING and is_stopped(before, job.started_at or 0):
            self.breaks(Broken.OVERDUE, f"{job.id} was started at {job.started_at}, due until {job.hard_sla}")
        stall = self._stall(seen, None)
        name = f"{job.id} attempt {job.attempt} after {stall / 1000:.1f} s"
        if self.start_bound is not None and stall > self.start_bound:
            self.breaks(Broken.LATE, name)
        if self.strict_priority and before.state in WAITING:
            since = self.looked_at.get(process, 0)
            for other in self.lanes[Lane(job.tenant, job.queue)].values():
                first = other.order < seen.order if seen.spot.place is Place.READY else False
                ahead = other.job.rank < before.rank or (other.job.rank == before.rank and first)
                if ahead and other.spot.place is Place.READY and other.ready_since < since and not self._expired(other):
                    self._inverted(f"{job.id} (rank {before.rank}) before {other.job.id}", since - other.ready_since)

    def _inverted(self, text: str, by: Ms) -> None:
        """A job started before a better one that had been ready for so long when the worker looked."""
        if by > self.head_ms:
            self.breaks(Broken.INVERTED, text)
        else:
            self.blurred += 1

    def _expired(self, seen: Seen) -> bool:
        return seen.job.expires_at is not None and seen.job.expires_at <= self.world.now

    def _place(self, seen: Seen, spot: Spot | None) -> None:
        """Take over the job's place in the index, which must be the one it belongs to."""
        job = seen.job
        if spot is not None and spot != seen.spot:
            seen.spot, seen.ready_since = spot, self.world.now
            seen.history.append((self.world.now, spot))
        place, order = seen.spot.place, seen.spot.order
        if job.state not in WAITING or job.blocked:
            right = place not in (Place.READY, Place.DUE)
        elif job.wake_at is None:
            right = place in (Place.READY, Place.PARKED) and order == job.rank
        else:
            right = place is Place.DUE and order in (job.wake_at, job.wake_at + RESCUE_MS)
        if not right:
            where = f"{place} {order}"
            self.breaks(Broken.MISPLACED, f"{job.id} {job.state}, rank {job.rank}, wakes at {job.wake_at}: {where}")

    def _follow(self, process: Process, seen: Seen, before: Job, job: Job) -> None:
        """Note who has the job now, and since when nobody has."""
        now = self.world.now
        if job.state is State.ACTIVE:
            if job.attempt != before.attempt:
                self._recovered(seen)
                seen.holder, seen.loose_from = process, None
            if job.lease_until is not None and seen.holder is not None:
                seen.granted_at = job.lease_until - self.lease - seen.holder.skew
        elif job.state in TERMINAL:
            self._recovered(seen)
            seen.holder = seen.loose_from = None
        elif job.blocked:
            seen.holder = seen.loose_from = None
        elif before.state not in WAITING or before.blocked:
            seen.holder, seen.loose_from, seen.busy_then = None, max(now, job.wake_at or 0), self.busy()
        if before.state is State.ACTIVE and job.state is not State.ACTIVE:
            self._slot_left(Lane(job.tenant, job.queue))

    def _slot_left(self, lane: Lane) -> None:
        """What waited for a slot of a limited lane can start from now on."""
        for seen in self.lanes[lane].values() if lane in self.limits else ():
            if seen.loose_from is not None and seen.job.state in WAITING:
                seen.loose_from, seen.busy_then = max(seen.loose_from, self.world.now), self.busy()

    def _had_no_excuse(self, process: Process) -> bool:
        """Whether all went well for a worker since it began to look for a job, but for one failed call at most."""
        if process not in self.troubles_then or not process.alive or self.world.over:
            return False
        failed, held_up = self.troubles_then[process]
        return process.held_up == held_up and process.failed <= failed + 1

    def _recovered(self, seen: Seen) -> None:
        stall = self._stall(seen, self.calm_from)
        if self.calm_from is None:
            self.worst_under_fire = max(self.worst_under_fire, stall)
        else:
            self.worst_recovery = max(self.worst_recovery, stall)


def _runs(seen: Seen) -> bool:
    return seen.job.state is State.ACTIVE and seen.runs == seen.job.attempt
