"""How the protocol of jobs is broken on purpose, one rule at a time: limits, deadlines and keys of the index too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tidegate.adapters.sqlite import jobs as sqlite_jobs
from tidegate.adapters.sqlite.limits import SqliteSlots
from tidegate.adapters.sqlite.registry import SqliteFigures, SqliteLanes, SqliteTimers
from tidegate.domain import guarded, spread
from tidegate.domain.guard import Guard, GuardedWrite, Lease, Place, Spot
from tidegate.domain.job import OPEN, ErrorType, Job, Sla, State
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import decode
from tidegate.execution.runner import Done, Runner
from tidegate.ports import JobKey, Ports
from tidegate.service import (
    bury,
    claim,
    deadlines,
    limits,
    record_changes,
    reticket,
    settle,
    sweep_slots,
    tick,
)
from tidegate.service.heads import Heads

Patch = pytest.MonkeyPatch
ACTIVE = frozenset({State.ACTIVE})


def weaken(patch: Patch, name: str, guard: Callable[[GuardedWrite], Guard]) -> None:
    """Let a guarded write have another guard."""
    real = getattr(guarded, name)

    def weaker(*args: Any, **kwargs: Any) -> GuardedWrite:
        write: GuardedWrite = real(*args, **kwargs)
        return replace(write, guard=guard(write))

    patch.setattr(guarded, name, weaker)


def no_fencing(patch: Patch) -> None:
    patch.setattr(guarded, "_held", lambda job: Guard(ACTIVE))


def no_claim_condition(patch: Patch) -> None:
    weaken(patch, "claim_if_ready", lambda write: Guard(frozenset(State)))


def index_trusted(patch: Patch) -> None:
    weaken(patch, "claim_if_ready", lambda write: replace(write.guard, states=OPEN))


def live_lease_ignored(patch: Patch) -> None:
    patch.setattr(guarded, "_lapsed", lambda job, now: Guard(ACTIVE, attempt=job.attempt))
    patch.setattr(Job, "lease_lapsed", lambda job, now, grace: job.state is State.ACTIVE)


def no_grace(patch: Patch) -> None:
    real = Job.lease_lapsed
    patch.setattr(Job, "lease_lapsed", lambda job, now, grace: real(job, now))


def started_early(patch: Patch) -> None:
    weaken(patch, "claim_if_ready", lambda write: replace(write.guard, woken_by=None))


def no_heartbeat(patch: Patch) -> None:
    real = guarded.extend_if_held

    def forgetful(job: Job, *args: Any) -> GuardedWrite:
        write = real(job, *args)
        return replace(write, values={**write.values, "lease_until": job.lease_until})

    patch.setattr(guarded, "extend_if_held", forgetful)


def no_reticketing(patch: Patch) -> None:
    patch.setattr(tick, "reticket_lanes", lambda ports, now: (0, 0))


def lanes_forgotten(patch: Patch) -> None:
    patch.setattr(SqliteLanes, "touch", lambda *args: None)


def never_woken(patch: Patch) -> None:
    patch.setattr(tick, "wake_due", lambda ports, now, by: tick.Ticked())


def no_timers(patch: Patch) -> None:
    patch.setattr(record_changes, "_last_of_each", lambda changes: ())


def timers_kept(patch: Patch) -> None:
    patch.setattr(SqliteTimers, "clear", lambda *args: None)


def tickets_kept(patch: Patch) -> None:
    patch.setattr(claim, "_nothing", lambda ports, own, now, receives: claim.Later(claim.LOOK_AGAIN_SECONDS))


def acknowledged_first(patch: Patch) -> None:
    real = Runner.serve

    def hasty(self: Runner, delivery: Any, acknowledge: Any, **kwargs: Any) -> Any:
        acknowledge(Done())
        return real(self, delivery, lambda verdict: None, **kwargs)

    patch.setattr(Runner, "serve", hasty)


def finished_before_settled(patch: Patch) -> None:
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


def swapped_wake_up_lost(patch: Patch) -> None:
    real = Runner._verdict
    patch.setattr(Runner, "_verdict", lambda self, settled, own: real(self, settled, own) if own else Done())


def no_idempotency(patch: Patch) -> None:
    real = sqlite_jobs._create

    def anew(connection: Any, job: Job, now: int) -> Job | None:
        connection.execute("DELETE FROM jobs WHERE tenant = ? AND id = ?", (job.tenant, job.id))
        return real(connection, job, now)

    patch.setattr(sqlite_jobs, "_create", anew)


def own_claim_unknown(patch: Patch) -> None:
    patch.setattr(Lease, "is_of", lambda self, job: False)


def unread_data_fails(patch: Patch) -> None:
    def hasty(self: Runner, attempt: Any) -> Any:
        attempt.context.load(self._store.full)
        return real(self, attempt)

    real = Runner._run
    patch.setattr(Runner, "_run", hasty)


def no_bound(patch: Patch) -> None:
    patch.setattr(Job, "is_last_attempt", property(lambda job: False))


def snooze_counts(patch: Patch) -> None:
    real = guarded.snooze_if_held

    def stingy(job: Job, *args: Any, **kwargs: Any) -> GuardedWrite:
        write = real(job, *args, **kwargs)
        return replace(write, values={**write.values, "attempts_allowed": job.attempts_allowed})

    patch.setattr(guarded, "snooze_if_held", stingy)


def dead_letter_decides(patch: Patch) -> None:
    def fatal(ports: Any, body: str, source: str) -> bury.Burial:
        ticket = decode(body)
        (job,) = ports.jobs.get([JobKey(ticket.tenant, ticket.job_id)])
        if job is not None:
            failure = guarded.failure_of(job, ErrorType.SYSTEM, "delivered too often", ports.now())
            write = guarded.fail_if_held(job, failure, ports.now())
            ports.jobs.apply([replace(write, guard=Guard(OPEN))])
        return bury.Burial.SPENT

    patch.setattr(bury, "bury", fatal)


def batches_counted_again(patch: Patch) -> None:
    real, number = SqliteFigures.add_once, iter(range(10**9))
    patch.setattr(
        SqliteFigures, "add_once", lambda self, batch, additions: real(self, f"{batch} {next(number)}", additions)
    )


def never_promoted(patch: Patch) -> None:
    weaken(patch, "promote_if_due", lambda write: replace(write.guard, states=frozenset()))


def cancel_anything(patch: Patch) -> None:
    weaken(patch, "cancel_if_waiting", lambda write: Guard(frozenset(State)))


def own_job_first(patch: Patch) -> None:
    patch.setattr(claim, "_candidates", lambda ports, bearer, rounds=0: iter([bearer.ticket.job_id]))


def head_never_renewed(patch: Patch) -> None:
    patch.setattr(Heads, "_is_fresh", lambda self, head: True)


def started_stays_in_the_head(patch: Patch) -> None:
    patch.setattr(Heads, "tries", lambda self, lane, job_id: None)


def left_in_the_index(patch: Patch) -> None:
    real = guarded.claim_if_ready
    patch.setattr(guarded, "claim_if_ready", lambda *args: replace(real(*args), spot=None))


def retry_at_once(patch: Patch) -> None:
    real = guarded.retry_if_held

    def unplaced(*args: Any, **kwargs: Any) -> GuardedWrite:
        return replace(real(*args, **kwargs), spot=Spot(Place.OFF))

    patch.setattr(guarded, "retry_if_held", unplaced)


def slots_kept(patch: Patch) -> None:
    patch.setattr(settle, "leave", lambda ports, job: None)
    patch.setattr(tick, "sweep_slots", lambda ports, now: sweep_slots.Swept())


def no_sweep(patch: Patch) -> None:
    patch.setattr(tick, "sweep_slots", lambda ports, now: sweep_slots.Swept())


def always_a_slot(patch: Patch) -> None:
    real = SqliteSlots.acquire_if_free
    patch.setattr(SqliteSlots, "acquire_if_free", lambda self, each, name, limit: real(self, each, name, limit + 1))


def slots_of_the_living_freed(patch: Patch) -> None:
    patch.setattr(sweep_slots, "is_abandoned", lambda holder, job, now: True)


def slot_forgotten(patch: Patch) -> None:
    real = guarded.reclaim_if_lapsed

    def forgetful(*args: Any) -> GuardedWrite:
        write = real(*args)
        return replace(write, values={**write.values, "slot": None})

    patch.setattr(guarded, "reclaim_if_lapsed", forgetful)


def never_confirmed(patch: Patch) -> None:
    patch.setattr(limits, "_holds_slots", lambda ports, queue, job, name: True)


def parked_for_good(patch: Patch) -> None:
    patch.setattr(limits, "promote", lambda *args: 0)
    patch.setattr(sweep_slots, "promote", lambda *args: 0)


def nobody_is_expected(patch: Patch) -> None:
    patch.setattr(SqliteSlots, "expect", lambda *args: None)


def deadlines_forgotten(patch: Patch) -> None:
    patch.setattr(record_changes, "_deadline_timers", lambda ports, changes: [])


def started_past_its_deadline(patch: Patch) -> None:
    weaken(patch, "claim_if_ready", lambda write: replace(write.guard, unstopped_at=None))


def note_shrinks(patch: Patch) -> None:
    weaken(patch, "note_sla_if_open", lambda write: replace(write.guard, sla_below=None))


def deadline_ends_anything(patch: Patch) -> None:
    weaken(patch, "end_if_hard_missed", lambda write: replace(write.guard, states=frozenset(State)))


def deadline_ends_again(patch: Patch) -> None:
    weaken(patch, "end_if_hard_missed", lambda write: replace(write.guard, states=OPEN, sla_below=None))


def deadline_told_early(patch: Patch) -> None:
    patch.setattr(deadlines, "standing", lambda job, expected_ms, now, ahead=0: Sla.SOFT_MISSED)


def restart_forgets(patch: Patch) -> None:
    real = guarded.restart_if_ended

    def forgetful(job: Job, now: int, *, counted: bool = False) -> GuardedWrite:
        write = real(job, now, counted=counted)
        return replace(write, values={**write.values, "sla": Sla.NONE})

    patch.setattr(guarded, "restart_if_ended", forgetful)


def old_keys_not_asked(patch: Patch) -> None:
    patch.setattr(spread, "asked", lambda queue: queue.shards)


def old_keys_forgotten(patch: Patch) -> None:
    patch.setattr(spread, "changed", lambda queue, seen, now: queue)


def keys_given_up_with_jobs_on_them(patch: Patch) -> None:
    def hasty(ports: Ports, queue: Queue, now: int) -> None:
        if queue.shards < spread.asked(queue):
            ports.queues.put_if_unchanged(replace(spread.narrowed(queue), shards_ever=queue.shards), queue)

    patch.setattr(reticket, "give_up_keys", hasty)
