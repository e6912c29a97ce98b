"""Deliberate breakages of the protocol. Each must be caught, or the simulation proves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from . import breakages as jobs
from . import crash_points, history
from . import run_breakages as runs
from .watch import Broken

Patch = pytest.MonkeyPatch
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


def _caught(*rules: Broken) -> frozenset[Broken]:
    return frozenset(rules)


B = Broken
MUTANTS: tuple[Mutant, ...] = (
    Mutant("no fencing in settle", jobs.no_fencing, _caught(B.ZOMBIE, B.DOUBLED), "deadlines"),
    Mutant("no claim condition", jobs.no_claim_condition, _caught(B.OVERWRITTEN, B.DOUBLED)),
    Mutant("the index is trusted", jobs.index_trusted, _caught(B.STOLEN, B.ZOMBIE)),
    Mutant("claim ignores a live lease", jobs.live_lease_ignored, _caught(B.STOLEN, B.ZOMBIE)),
    Mutant("clocks are taken to agree", jobs.no_grace, _caught(B.STOLEN), "clocks"),
    Mutant("claim ignores the time", jobs.started_early, _caught(B.EARLY)),
    Mutant("heartbeats extend nothing", jobs.no_heartbeat, _caught(B.STOLEN), "calm"),
    Mutant("no re-ticketing by the clock", jobs.no_reticketing, _caught(B.LOST)),
    Mutant("lanes are forgotten", jobs.lanes_forgotten, _caught(B.LOST)),
    Mutant("due jobs are never woken", jobs.never_woken, _caught(B.LOST)),
    Mutant("due jobs are never promoted", jobs.never_promoted, _caught(B.LATE), "priority"),
    Mutant("lease timers are never set", jobs.no_timers, _caught(B.LOST)),
    Mutant("lease timers are never cleared", jobs.timers_kept, _caught(B.LITTER)),
    Mutant("tickets are never spent", jobs.tickets_kept, _caught(B.LITTER)),
    Mutant("acknowledge before work", jobs.acknowledged_first, _caught(B.LATE), "calm"),
    Mutant("acknowledge before settle", jobs.finished_before_settled, _caught(B.LATE), "calm"),
    Mutant("retry of a swapped ticket loses its wake-up", jobs.swapped_wake_up_lost, _caught(B.LATE), "calm"),
    Mutant("a retry stands nowhere in the index", jobs.retry_at_once, _caught(B.MISPLACED)),
    Mutant("a started job stays in the index", jobs.left_in_the_index, _caught(B.MISPLACED)),
    Mutant("no idempotency in create", jobs.no_idempotency, _caught(B.OVERWRITTEN)),
    Mutant("one's own claim is not recognised", jobs.own_claim_unknown, _caught(B.BURNED)),
    Mutant("data that cannot be read use up an attempt", jobs.unread_data_fails, _caught(B.BURNED), "limits"),
    Mutant("retry without a bound", jobs.no_bound, _caught(B.UNBOUNDED)),
    Mutant("a snooze uses up an attempt", jobs.snooze_counts, _caught(B.UNBOUNDED)),
    Mutant("a dead letter decides the state", jobs.dead_letter_decides, _caught(B.ZOMBIE, B.OVERWRITTEN)),
    Mutant("a change batch is counted again", jobs.batches_counted_again, _caught(B.MISCOUNTED)),
    Mutant("cancel overwrites whatever is there", jobs.cancel_anything, _caught(B.OVERWRITTEN, B.ZOMBIE),
           use_case="cancel a waiting job"),
    Mutant("slots are never given back", jobs.slots_kept, _caught(B.LITTER, B.LOST), "limits"),
    Mutant("the clock frees no slot", jobs.no_sweep, _caught(B.LITTER, B.LOST), "limits"),
    Mutant("one slot too many is granted", jobs.always_a_slot, _caught(B.OVERRUN), "limits"),
    Mutant("the clock frees slots of running jobs", jobs.slots_of_the_living_freed, _caught(B.OVERRUN), "limits"),
    Mutant("a job taken over leaves its slot behind", jobs.slot_forgotten, _caught(B.OVERRUN), "limits"),
    Mutant("a late claim does not ask for its slots again", jobs.never_confirmed, _caught(B.OVERRUN),
           use_case="start in the only slot"),
    Mutant("jobs set aside are never woken", jobs.parked_for_good, _caught(B.LOST), "limits"),
    Mutant("nobody notes that a job waits for a slot", jobs.nobody_is_expected, _caught(B.LOST), "limits"),
    Mutant("deadlines are never looked at", jobs.deadlines_forgotten, _caught(B.OVERDUE), "deadlines"),
    Mutant("a job is started past its hard deadline", jobs.started_past_its_deadline, _caught(B.OVERDUE), "deadlines"),
    Mutant("what is noted of deadlines shrinks", jobs.note_shrinks, _caught(B.OVERWRITTEN),
           use_case="tick: a job at risk that runs"),
    Mutant("a hard miss overwrites an ended job", jobs.deadline_ends_anything, _caught(B.OVERWRITTEN),
           use_case="tick: end a job that runs"),
    Mutant("a hard miss ends a job that was retried after it", jobs.deadline_ends_again, _caught(B.HASTY),
           use_case="tick: deadlines of waiting jobs"),
    Mutant("a miss is told before it is one", jobs.deadline_told_early, _caught(B.HASTY), "deadlines"),
    Mutant("a restart forgets what was told", jobs.restart_forgets, _caught(B.OVERWRITTEN, B.HASTY), "deadlines"),
    Mutant("the end of a node releases nothing", runs.nothing_released, _caught(B.LOST), "runs"),
    Mutant("the clock looks at no run", runs.runs_never_looked_at, _caught(B.LOST, B.LITTER), "runs"),
    Mutant("one parent is enough for any join", runs.one_parent_is_enough, _caught(B.UNREADY), "runs"),
    Mutant("a failed parent strands its children", runs.failures_strand, _caught(B.LOST), "runs"),
    Mutant("a node that ended is released again", runs.released_again, _caught(B.OVERWRITTEN, B.DOUBLED), "runs"),
    Mutant("a run is closed before its jobs have ended", runs.closed_early, _caught(B.LOST, B.MISCOUNTED), "runs"),
    Mutant("every path of a switch is taken", runs.every_path_is_taken, _caught(B.UNREADY), "runs"),
    Mutant("a node with a list does not wait for its entries", runs.entries_not_waited_for, _caught(B.UNREADY), "runs"),
    Mutant("the last entry of a list gets no job", runs.one_entry_too_few, _caught(B.UNREADY), "runs"),
    Mutant("a run within a run has no results", runs.nothing_collected, _caught(B.MISCOUNTED), "runs"),
    Mutant("runs that wait for others are not told", runs.other_runs_not_told, _caught(B.LOST), "runs"),
    Mutant("a wide join is decided by the first look", runs.one_look_decides, _caught(B.UNREADY), "runs"),
    Mutant("a wide join never has enough", runs.figures_never_enough, _caught(B.LOST), "runs"),
    Mutant("claims ask none but the keys that are wanted now", jobs.old_keys_not_asked, _caught(B.INVERTED), "shards"),
    Mutant("a change forgets the keys that there were", jobs.old_keys_forgotten, _caught(B.LOST), "shards"),
    Mutant("keys are given up with jobs on them", jobs.keys_given_up_with_jobs_on_them, _caught(B.LOST), "shards"),
    Mutant("the head of a lane is never asked for again", jobs.head_never_renewed, _caught(B.INVERTED), "busy"),
    Mutant("what was started stays in the head", jobs.started_stays_in_the_head, _caught(B.WASTED), "busy"),
    Mutant("a ticket starts its own job only", jobs.own_job_first, _caught(B.INVERTED), "priority"),
)  # fmt: skip
