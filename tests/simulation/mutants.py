"""Deliberate breakages of the protocol. Each must be caught, or the simulation proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import pytest

from tidegate.adapters.sqlite import jobs as sqlite_jobs
from tidegate.adapters.sqlite.limits import SqliteSlots
from tidegate.adapters.sqlite.registry import SqliteFigures, SqliteLanes, SqliteTimers
from tidegate.domain import guarded, spread
from tidegate.domain.dag import joins
from tidegate.domain.dag.joins import Decision, End, Pass, Release, Wait
from tidegate.domain.dag.spec import Join
from tidegate.domain.guarded import Guard, GuardedWrite, Spot
from tidegate.domain.job import OPEN, ErrorType, Job, Sla, State
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import decode
from tidegate.execution import attempt_runner
from tidegate.execution.runner import Done, Runner
from tidegate.ports import JobKey, Ports
from tidegate.service import (
    bury,
    claim,
    deadlines,
    limits,
    looks,
    record_changes,
    release,
    reticket,
    runs,
    settle,
    sweep_slots,
    tick,
)

from . import crash_points, history
from .watch import Broken

Patch = pytest.MonkeyPatch
ACTIVE = frozenset({State.ACTIVE})
_SEEDS = 600
"""Histories within which a mutant must be caught."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One breakage, and the rules of which at least one must be seen to break."""

    name: str
    mutate: Callable[[Patch], None]
    caught_by: frozenset[Broken]
    style: str | None = None
    """Which histories to try; None: any."""
    use_case: str | None = None
    """The use case that shows it when somebody comes between its calls; None: histories show it."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What caught a mutant first."""

    where: str
    rule: Broken
    text: str


@contextmanager
def mutated(mutant: Mutant) -> Iterator[None]:
    """The project with the breakage."""
    with pytest.MonkeyPatch.context() as patch:
        mutant.mutate(patch)
        yield


def hunt(mutant: Mutant, seeds: int = _SEEDS) -> Killed | None:
    """Go on until the mutant is caught, or give up."""
    with mutated(mutant):
        for where, broken in _findings(mutant, seeds):
            for rule, text in broken:
                if rule in mutant.caught_by:
                    return Killed(where, rule, text)
    return None


def _findings(mutant: Mutant, seeds: int) -> Iterator[tuple[str, Iterable[tuple[Broken, str]]]]:
    if mutant.use_case is None:
        return ((f"seed {seed}", history.play(seed, style=mutant.style).broken) for seed in range(seeds))
    points = crash_points.visits_of(mutant.use_case, crash_points.HOMES[0])
    return ((f"{point.use_case}, {point.how} call {point.number}", point.broken) for point in points)


def _guard(patch: Patch, name: str, guard: Callable[[GuardedWrite], Guard]) -> None:
    """Let a guarded write have another guard."""
    real = getattr(guarded, name)

    def weaker(*args: Any, **kwargs: Any) -> GuardedWrite:
        write: GuardedWrite = real(*args, **kwargs)
        return replace(write, guard=guard(write))

    patch.setattr(guarded, name, weaker)


def _no_fencing(patch: Patch) -> None:
    patch.setattr(guarded, "_held", lambda job: Guard(ACTIVE))


def _no_claim_condition(patch: Patch) -> None:
    _guard(patch, "claim_if_ready", lambda write: Guard(frozenset(State)))


def _index_trusted(patch: Patch) -> None:
    _guard(patch, "claim_if_ready", lambda write: replace(write.guard, states=OPEN))


def _live_lease_ignored(patch: Patch) -> None:
    patch.setattr(guarded, "_lapsed", lambda job, now: Guard(ACTIVE, attempt=job.attempt))
    patch.setattr(Job, "lease_lapsed", lambda job, now, grace: job.state is State.ACTIVE)


def _no_grace(patch: Patch) -> None:
    real = Job.lease_lapsed
    patch.setattr(Job, "lease_lapsed", lambda job, now, grace: real(job, now))


def _started_early(patch: Patch) -> None:
    _guard(patch, "claim_if_ready", lambda write: replace(write.guard, woken_by=None))


def _no_heartbeat(patch: Patch) -> None:
    real = guarded.extend_if_held

    def forgetful(job: Job, *args: Any) -> GuardedWrite:
        write = real(job, *args)
        return replace(write, values={**write.values, "lease_until": job.lease_until})

    patch.setattr(guarded, "extend_if_held", forgetful)


def _no_reticketing(patch: Patch) -> None:
    patch.setattr(tick, "reticket_lanes", lambda ports, now: (0, 0))


def _lanes_forgotten(patch: Patch) -> None:
    patch.setattr(SqliteLanes, "touch", lambda *args: None)


def _never_woken(patch: Patch) -> None:
    patch.setattr(tick, "wake_due", lambda ports, now, by: tick.Ticked())


def _no_timers(patch: Patch) -> None:
    patch.setattr(record_changes, "_last_of_each", lambda changes: ())


def _timers_kept(patch: Patch) -> None:
    patch.setattr(SqliteTimers, "clear", lambda *args: None)


def _tickets_kept(patch: Patch) -> None:
    patch.setattr(claim, "_nothing", lambda ports, own, now, receives: claim.Later(claim.LOOK_AGAIN_SECONDS))


def _acknowledged_first(patch: Patch) -> None:
    real = Runner.serve

    def hasty(self: Runner, delivery: Any, acknowledge: Any, **kwargs: Any) -> Any:
        acknowledge(Done())
        return real(self, delivery, lambda verdict: None, **kwargs)

    patch.setattr(Runner, "serve", hasty)


def _finished_before_settled(patch: Patch) -> None:
    real = Runner._attempt

    def hasty(self: Runner, job: Job, ticket: Any, acknowledge: Any, seconds_left: float) -> Any:
        run = self._run

        def run_and_finish(*args: Any) -> Any:
            outcome = run(*args)
            acknowledge(Done())
            return outcome

        with pytest.MonkeyPatch.context() as ahead:
            ahead.setattr(self, "_run", run_and_finish)
            return real(self, job, ticket, lambda verdict: None, seconds_left)

    patch.setattr(Runner, "_attempt", hasty)


def _swapped_wake_up_lost(patch: Patch) -> None:
    real = Runner._verdict
    patch.setattr(Runner, "_verdict", lambda self, settled, own: real(self, settled, own) if own else Done())


def _no_idempotency(patch: Patch) -> None:
    real = sqlite_jobs._create

    def anew(connection: Any, job: Job, now: int) -> Job | None:
        connection.execute("DELETE FROM jobs WHERE tenant = ? AND id = ?", (job.tenant, job.id))
        return real(connection, job, now)

    patch.setattr(sqlite_jobs, "_create", anew)


def _own_claim_unknown(patch: Patch) -> None:
    patch.setattr(guarded.Lease, "is_of", lambda self, job: False)


def _unread_data_fails(patch: Patch) -> None:
    def hasty(self: Runner, attempt: Any) -> Any:
        attempt.context.load(self._store.full)
        return real(self, attempt)

    real = Runner._run
    patch.setattr(Runner, "_run", hasty)


def _no_bound(patch: Patch) -> None:
    patch.setattr(Job, "is_last_attempt", property(lambda job: False))


def _snooze_counts(patch: Patch) -> None:
    real = guarded.snooze_if_held

    def stingy(job: Job, *args: Any, **kwargs: Any) -> GuardedWrite:
        write = real(job, *args, **kwargs)
        return replace(write, values={**write.values, "attempts_allowed": job.attempts_allowed})

    patch.setattr(guarded, "snooze_if_held", stingy)


def _dead_letter_decides(patch: Patch) -> None:
    def fatal(ports: Any, body: str, source: str) -> bury.Burial:
        ticket = decode(body)
        (job,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
        if job is not None:
            failure = guarded.failure_of(job, ErrorType.SYSTEM, "delivered too often", ports.now())
            write = guarded.fail_if_held(job, failure, ports.now())
            ports.jobs.apply([replace(write, guard=Guard(OPEN))])
        return bury.Burial.SPENT

    patch.setattr(bury, "bury", fatal)


def _batches_counted_again(patch: Patch) -> None:
    real, number = SqliteFigures.add_once, iter(range(10**9))
    patch.setattr(
        SqliteFigures, "add_once", lambda self, batch, additions: real(self, f"{batch} {next(number)}", additions)
    )


def _never_promoted(patch: Patch) -> None:
    _guard(patch, "promote_if_due", lambda write: replace(write.guard, states=frozenset()))


def _cancel_anything(patch: Patch) -> None:
    _guard(patch, "cancel_if_waiting", lambda write: Guard(frozenset(State)))


def _own_job_first(patch: Patch) -> None:
    patch.setattr(claim, "_candidates", lambda ports, bearer, rounds=0: iter([bearer.ticket.job_id]))


def _left_in_the_index(patch: Patch) -> None:
    real = guarded.claim_if_ready
    patch.setattr(guarded, "claim_if_ready", lambda *args: replace(real(*args), spot=None))


def _retry_at_once(patch: Patch) -> None:
    real = guarded.retry_if_held

    def unplaced(*args: Any, **kwargs: Any) -> GuardedWrite:
        return replace(real(*args, **kwargs), spot=Spot(guarded.Place.OFF))

    patch.setattr(guarded, "retry_if_held", unplaced)


def _slots_kept(patch: Patch) -> None:
    patch.setattr(settle, "leave", lambda ports, job: None)
    patch.setattr(tick, "sweep_slots", lambda ports, now: sweep_slots.Swept())


def _no_sweep(patch: Patch) -> None:
    patch.setattr(tick, "sweep_slots", lambda ports, now: sweep_slots.Swept())


def _always_a_slot(patch: Patch) -> None:
    real = SqliteSlots.acquire_if_free
    patch.setattr(SqliteSlots, "acquire_if_free", lambda self, each, name, limit: real(self, each, name, limit + 1))


def _slots_of_the_living_freed(patch: Patch) -> None:
    patch.setattr(sweep_slots, "is_abandoned", lambda holder, job, now: True)


def _slot_forgotten(patch: Patch) -> None:
    real = guarded.reclaim_if_lapsed

    def forgetful(*args: Any) -> GuardedWrite:
        write = real(*args)
        return replace(write, values={**write.values, "slot": None})

    patch.setattr(guarded, "reclaim_if_lapsed", forgetful)


def _never_confirmed(patch: Patch) -> None:
    patch.setattr(limits, "_holds_slots", lambda ports, queue, job, name: True)


def _parked_for_good(patch: Patch) -> None:
    patch.setattr(limits, "promote", lambda *args: 0)
    patch.setattr(sweep_slots, "promote", lambda *args: 0)


def _nobody_is_expected(patch: Patch) -> None:
    patch.setattr(SqliteSlots, "expect", lambda *args: None)


def _deadlines_forgotten(patch: Patch) -> None:
    patch.setattr(record_changes, "_deadline_timers", lambda ports, changes: [])


def _started_past_its_deadline(patch: Patch) -> None:
    _guard(patch, "claim_if_ready", lambda write: replace(write.guard, unstopped_at=None))


def _note_shrinks(patch: Patch) -> None:
    _guard(patch, "note_sla_if_open", lambda write: replace(write.guard, sla_below=None))


def _deadline_ends_anything(patch: Patch) -> None:
    _guard(patch, "end_if_hard_missed", lambda write: replace(write.guard, states=frozenset(State)))


def _deadline_ends_again(patch: Patch) -> None:
    _guard(patch, "end_if_hard_missed", lambda write: replace(write.guard, states=OPEN, sla_below=None))


def _deadline_told_early(patch: Patch) -> None:
    patch.setattr(deadlines, "standing", lambda job, expected_ms, now, ahead=0: Sla.SOFT_MISSED)


def _restart_forgets(patch: Patch) -> None:
    real = guarded.restart_if_ended

    def forgetful(job: Job, now: int, *, counted: bool = False) -> GuardedWrite:
        write = real(job, now, counted=counted)
        return replace(write, values={**write.values, "sla": Sla.NONE})

    patch.setattr(guarded, "restart_if_ended", forgetful)


def _nothing_released(patch: Patch) -> None:
    patch.setattr(release.Engine, "go_on", lambda *_: None)


def _runs_never_looked_at(patch: Patch) -> None:
    patch.setattr(tick, "check_runs", lambda *_, **__: 0)


def _one_parent_is_enough(patch: Patch) -> None:
    real = joins.decide

    def hasty(join: Join, count: int | None, ends: Mapping[str, End | None]) -> Decision:
        return Release() if End.DONE in ends.values() else real(join, count, ends)

    patch.setattr(release, "decide", hasty)


def _failures_strand(patch: Patch) -> None:
    real = joins.decide

    def patient(*args: Any) -> Decision:
        decision = real(*args)
        return Wait() if isinstance(decision, Pass) and decision.broken else decision

    patch.setattr(release, "decide", patient)


def _released_again(patch: Patch) -> None:
    _guard(patch, "unblock", lambda write: Guard(frozenset(State)))
    patch.setattr(release, "_is_blocked", lambda job: True)


def _closed_early(patch: Patch) -> None:
    patch.setattr(release, "_all_ended", lambda run, states: sum(states.values()) > 1)


def _every_path_is_taken(patch: Patch) -> None:
    patch.setattr(release, "why_not_taken", lambda node, results: None)


def _entries_not_waited_for(patch: Patch) -> None:
    patch.setattr(release, "ends_of_entries", lambda looks, job, count: {})


def _one_entry_too_few(patch: Patch) -> None:
    real = release.fan_out
    patch.setattr(release, "fan_out", lambda ports, run, job, entries: real(ports, run, job, entries[:-1]))


def _nothing_collected(patch: Patch) -> None:
    patch.setattr(attempt_runner, "_collected", lambda context: {})


def _other_runs_not_told(patch: Patch) -> None:
    patch.setattr(runs, "wait_for_others", lambda ports, run, graph: None)


def _one_look_decides(patch: Patch) -> None:
    real = looks.Looks._in_turn
    patch.setattr(looks.Looks, "_in_turn", lambda self, names, last: islice(real(self, names, last), 1))


def _figures_never_enough(patch: Patch) -> None:
    patch.setattr(looks, "_may_decide", lambda vertex, counted, last: False)


def _old_keys_not_asked(patch: Patch) -> None:
    patch.setattr(spread, "asked", lambda queue: queue.shards)


def _old_keys_forgotten(patch: Patch) -> None:
    patch.setattr(spread, "changed", lambda queue, seen, now: queue)


def _keys_given_up_with_jobs_on_them(patch: Patch) -> None:
    def hasty(ports: Ports, queue: Queue, now: int) -> None:
        if queue.shards < spread.asked(queue):
            ports.queues.put_if_unchanged(replace(spread.narrowed(queue), shards_ever=queue.shards), queue)

    patch.setattr(reticket, "give_up_keys", hasty)


def _caught(*rules: Broken) -> frozenset[Broken]:
    return frozenset(rules)


B = Broken
MUTANTS: tuple[Mutant, ...] = (
    Mutant("no fencing in settle", _no_fencing, _caught(B.ZOMBIE, B.DOUBLED)),
    Mutant("no claim condition", _no_claim_condition, _caught(B.OVERWRITTEN, B.DOUBLED)),
    Mutant("the index is trusted", _index_trusted, _caught(B.STOLEN, B.ZOMBIE)),
    Mutant("claim ignores a live lease", _live_lease_ignored, _caught(B.STOLEN, B.ZOMBIE)),
    Mutant("clocks are taken to agree", _no_grace, _caught(B.STOLEN), "clocks"),
    Mutant("claim ignores the time", _started_early, _caught(B.EARLY)),
    Mutant("heartbeats extend nothing", _no_heartbeat, _caught(B.STOLEN), "calm"),
    Mutant("no re-ticketing by the clock", _no_reticketing, _caught(B.LOST)),
    Mutant("lanes are forgotten", _lanes_forgotten, _caught(B.LOST)),
    Mutant("due jobs are never woken", _never_woken, _caught(B.LOST)),
    Mutant("due jobs are never promoted", _never_promoted, _caught(B.LATE), "priority"),
    Mutant("lease timers are never set", _no_timers, _caught(B.LOST)),
    Mutant("lease timers are never cleared", _timers_kept, _caught(B.LITTER)),
    Mutant("tickets are never spent", _tickets_kept, _caught(B.LITTER)),
    Mutant("acknowledge before work", _acknowledged_first, _caught(B.LATE), "calm"),
    Mutant("acknowledge before settle", _finished_before_settled, _caught(B.LATE), "calm"),
    Mutant("retry of a swapped ticket loses its wake-up", _swapped_wake_up_lost, _caught(B.LATE), "calm"),
    Mutant("a retry stands nowhere in the index", _retry_at_once, _caught(B.MISPLACED)),
    Mutant("a started job stays in the index", _left_in_the_index, _caught(B.MISPLACED)),
    Mutant("no idempotency in create", _no_idempotency, _caught(B.OVERWRITTEN)),
    Mutant("one's own claim is not recognised", _own_claim_unknown, _caught(B.BURNED)),
    Mutant("data that cannot be read use up an attempt", _unread_data_fails, _caught(B.BURNED)),
    Mutant("retry without a bound", _no_bound, _caught(B.UNBOUNDED)),
    Mutant("a snooze uses up an attempt", _snooze_counts, _caught(B.UNBOUNDED)),
    Mutant("a dead letter decides the state", _dead_letter_decides, _caught(B.ZOMBIE, B.OVERWRITTEN)),
    Mutant("a change batch is counted again", _batches_counted_again, _caught(B.MISCOUNTED)),
    Mutant("cancel overwrites whatever is there", _cancel_anything, _caught(B.OVERWRITTEN, B.ZOMBIE),
           use_case="cancel a waiting job"),
    Mutant("slots are never given back", _slots_kept, _caught(B.LITTER, B.LOST), "limits"),
    Mutant("the clock frees no slot", _no_sweep, _caught(B.LITTER, B.LOST), "limits"),
    Mutant("one slot too many is granted", _always_a_slot, _caught(B.OVERRUN), "limits"),
    Mutant("the clock frees slots of running jobs", _slots_of_the_living_freed, _caught(B.OVERRUN), "limits"),
    Mutant("a job taken over leaves its slot behind", _slot_forgotten, _caught(B.OVERRUN), "limits"),
    Mutant("a late claim does not ask for its slots again", _never_confirmed, _caught(B.OVERRUN),
           use_case="start in the only slot"),
    Mutant("jobs set aside are never woken", _parked_for_good, _caught(B.LOST), "limits"),
    Mutant("nobody notes that a job waits for a slot", _nobody_is_expected, _caught(B.LOST), "limits"),
    Mutant("deadlines are never looked at", _deadlines_forgotten, _caught(B.OVERDUE), "deadlines"),
    Mutant("a job is started past its hard deadline", _started_past_its_deadline, _caught(B.OVERDUE), "deadlines"),
    Mutant("what is noted of deadlines shrinks", _note_shrinks, _caught(B.OVERWRITTEN),
           use_case="tick: a job at risk that runs"),
    Mutant("a hard miss overwrites an ended job", _deadline_ends_anything, _caught(B.OVERWRITTEN),
           use_case="tick: end a job that runs"),
    Mutant("a hard miss ends a job that was retried after it", _deadline_ends_again, _caught(B.HASTY),
           use_case="tick: deadlines of waiting jobs"),
    Mutant("a miss is told before it is one", _deadline_told_early, _caught(B.HASTY), "deadlines"),
    Mutant("a restart forgets what was told", _restart_forgets, _caught(B.OVERWRITTEN, B.HASTY), "deadlines"),
    Mutant("the end of a node releases nothing", _nothing_released, _caught(B.LOST), "runs"),
    Mutant("the clock looks at no run", _runs_never_looked_at, _caught(B.LOST, B.LITTER), "runs"),
    Mutant("one parent is enough for any join", _one_parent_is_enough, _caught(B.UNREADY), "runs"),
    Mutant("a failed parent strands its children", _failures_strand, _caught(B.LOST), "runs"),
    Mutant("a node that ended is released again", _released_again, _caught(B.OVERWRITTEN, B.DOUBLED), "runs"),
    Mutant("a run is closed before its jobs have ended", _closed_early, _caught(B.LOST, B.MISCOUNTED), "runs"),
    Mutant("every path of a switch is taken", _every_path_is_taken, _caught(B.UNREADY), "runs"),
    Mutant("a node with a list does not wait for its entries", _entries_not_waited_for, _caught(B.UNREADY), "runs"),
    Mutant("the last entry of a list gets no job", _one_entry_too_few, _caught(B.UNREADY), "runs"),
    Mutant("a run within a run has no results", _nothing_collected, _caught(B.MISCOUNTED), "runs"),
    Mutant("runs that wait for others are not told", _other_runs_not_told, _caught(B.LOST), "runs"),
    Mutant("a wide join is decided by the first look", _one_look_decides, _caught(B.UNREADY), "runs"),
    Mutant("a wide join never has enough", _figures_never_enough, _caught(B.LOST), "runs"),
    Mutant("claims ask none but the keys that are wanted now", _old_keys_not_asked, _caught(B.INVERTED), "shards"),
    Mutant("a change forgets the keys that there were", _old_keys_forgotten, _caught(B.LOST), "shards"),
    Mutant("keys are given up with jobs on them", _keys_given_up_with_jobs_on_them, _caught(B.LOST), "shards"),
    Mutant("a ticket starts its own job only", _own_job_first, _caught(B.INVERTED), "priority"),
)  # fmt: skip
