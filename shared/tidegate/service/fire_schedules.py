"""Make the jobs of schedules, each of their times once.

    due entry ──▶ decide ──▶ (put the decision on record) ──▶ submit ──▶ move on
        ▲                                                        │
        └──── a crash anywhere: the entry is still due ◀─────────┘

A job's id is made from its schedule and its time, so what is done again after a crash, by a doubled tick or by two
clocks at once makes nothing twice. A decision that somebody might take differently later (after downtime, or because
of an overlap) is put on record before it is carried out: whoever comes then carries out that one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tidegate.domain.dag.run import Run
from tidegate.domain.errors import TidegateError, Unavailable
from tidegate.domain.firing import Decision, decide
from tidegate.domain.job import Job, Ms
from tidegate.domain.schedule import (
    Fate,
    Firing,
    Overlap,
    Schedule,
    run_id,
    start_of,
    target_for,
    watched,
    with_firings,
)
from tidegate.domain.spec import JobSpec
from tidegate.domain.targets import ScheduledRun
from tidegate.ports import JobKey, Ports, ScheduleKey

from .backfill import next_part
from .budgets import reached
from .policies import queue_named, tenant_named
from .scheduled import Outcome, Submission, cancel_made, id_of, made_by, owner_of, submit_jobs, submit_run

_log = logging.getLogger("tidegate.schedules")
_PAGE = 200
_MAX_ROUNDS = 500
_BUDGET_MS = 35_000
"""Of one tick, so that the rest of its work is done too; what is left goes on with the next one."""
_BROKEN_MS = 300_000
"""A schedule that cannot be decided about is looked at again so much later."""
_MIN_KEPT_MS = 3_600_000
"""A scheduled job is kept at least so long, or a tick repeated after a crash might make it a second time."""

Outcomes = Mapping[JobKey, Outcome]
"""By the id of the job or run, in its tenant."""


@dataclass(frozen=True, slots=True)
class _Step:
    """What becomes of one schedule in one round."""

    seen: Schedule
    """As it is stored."""
    planned: Schedule
    """With the decision on record (`releasing`)."""
    after: Schedule
    """As it stands once the jobs are made."""
    runs: Mapping[Ms, Submission]
    fills: Mapping[Ms, Submission] = field(default_factory=dict)
    """Of times gone by, for its backfill."""
    certain: bool = True
    """The decision need not be on record."""

    def asked(self) -> list[Submission]:
        """All that it makes."""
        return [*self.runs.values(), *self.fills.values()]


def fire_schedules(ports: Ports, by: Ms) -> Sequence[str]:
    """Release the job or run of every schedule's time until `by`, each to start at its own second.

    Answers the ids of those that are new.

    Bounded in time; what is left is still due. Raises Unavailable.
    """
    end = ports.now() + _BUDGET_MS
    ids: list[str] = []
    for _ in range(_MAX_ROUNDS):
        keys = ports.schedules.due(by, _PAGE)
        made, moved = _round(ports, keys, by, end) if keys else ([], 0)
        ids += made
        if not moved or ports.now() > end:
            break
    return ids


def fire_one(ports: Ports, schedule: Schedule) -> None:
    """Release what a schedule that was just changed has to run before the next tick."""
    by = ports.now() + round(ports.clock_seconds * 1000)
    if schedule.look_at is not None and schedule.look_at <= by:
        _round(ports, [_key(schedule)], by, ports.now() + _BUDGET_MS)


def _round(ports: Ports, keys: Sequence[ScheduleKey], by: Ms, end: Ms) -> tuple[list[str], int]:
    """Take each schedule one step further; answers the ids of what was made, and how many schedules moved on.

    After `end` no more runs are begun: their schedules are still due.
    """
    found = [each for each in ports.schedules.get(keys) if each is not None]
    due = [each for each in found if each.look_at is not None and each.look_at <= by]
    steps = _on_record(ports, _steps(ports, due, ports.now(), by))
    outcomes = _submitted(ports, steps, end)
    taken = [step for step in steps if all(JobKey(step.seen.tenant, id_of(each)) in outcomes for each in step.asked())]
    changes = [(_concluded(step, outcomes), step.seen) for step in taken]
    stored = ports.schedules.replace_if_unchanged(changes) if changes else []
    return [key.job_id for key, outcome in outcomes.items() if outcome is True], sum(stored)


def _steps(ports: Ports, schedules: Sequence[Schedule], now: Ms, by: Ms) -> list[_Step]:
    previous = _previous(ports, schedules)
    held = {tenant: ports.schedules.hold_of(tenant) is not None for tenant in {each.tenant for each in schedules}}
    return [
        _step_or_put_off(ports, each, now, by, previous.get(_key(each)), held=held[each.tenant]) for each in schedules
    ]


def _previous(ports: Ports, schedules: Iterable[Schedule]) -> Mapping[ScheduleKey, Job | Run]:
    """What the last times made, where overlap matters."""
    asked = [each for each in schedules if each.overlap is not Overlap.ALLOW and each.last_job_id is not None]
    found: dict[ScheduleKey, Job | Run | None] = {}
    of_jobs = [each for each in asked if each.dag is None]
    jobs = ports.jobs.get([JobKey(each.tenant, str(each.last_job_id)) for each in of_jobs]) if of_jobs else []
    found |= {_key(schedule): job for schedule, job in zip(of_jobs, jobs, strict=True)}
    found |= {_key(each): made_by(ports, each, [str(each.last_job_id)])[0] for each in asked if each.dag is not None}
    return {key: made for key, made in found.items() if made is not None}


def _step_or_put_off(
    ports: Ports, schedule: Schedule, now: Ms, by: Ms, previous: Job | Run | None, *, held: bool
) -> _Step:
    """One that cannot be decided about, its zone being gone for example, is looked at again later."""
    try:
        return _step(ports, schedule, now, by, previous, held=held)
    except Unavailable:
        raise
    except TidegateError as error:
        _log.error("schedule %s: %s", schedule.name, error.message, extra=_extra(schedule, "schedule_broken"))
        broken = replace(schedule, look_at=now + _BROKEN_MS, last_error=error.message)
        return _Step(schedule, schedule, broken, {})


def _step(ports: Ports, schedule: Schedule, now: Ms, by: Ms, previous: Job | Run | None, *, held: bool) -> _Step:
    if schedule.releasing:  # decided before, perhaps by someone who died since
        decision = Decision(schedule.releasing, next_run=schedule.next_run, queued=schedule.queued)
    else:
        decision = decide(schedule, now, by, ports.cron.next_match, previous=previous, held=held)
    if decision.cancel_previous and previous is not None:
        cancel_made(ports, previous)
    planned = replace(
        with_firings(schedule, decision.passed),
        next_run=decision.next_run,
        queued=decision.queued,
        releasing=decision.release,
    )
    kept = _kept_until(ports, schedule, now)
    runs = {at: _kept(_asked(schedule, at), kept) for at in decision.release}
    filling = next_part(ports, schedule, now, by, held=held or _spent(ports, schedule, now))
    after = watched(replace(planned, backfill=filling.backfill), undecided_until=by + 1 if decision.waits else None)
    fills = {at: _kept(each, kept) for at, each in filling.specs.items()}
    return _Step(schedule, planned, after, runs, fills, decision.certain)


def _spent(ports: Ports, schedule: Schedule, now: Ms) -> bool:
    """Whether a backfill waits until its tenant may spend again: it asks for jobs that nobody is in a hurry for."""
    return schedule.backfill is not None and reached(ports, tenant_named(ports, schedule.tenant), now) is not None


def _asked(schedule: Schedule, at: Ms) -> Submission:
    return target_for(schedule, at, run_id(schedule.id, at), start_of(schedule, at))


def _kept(asked: Submission, until: Ms | None) -> Submission:
    """Runs are kept for good; a job at least until then."""
    return asked if isinstance(asked, ScheduledRun) else replace(asked, keep_until=until)


def _kept_until(ports: Ports, schedule: Schedule, now: Ms) -> Ms | None:
    if schedule.job is None:
        return None
    try:
        queue = queue_named(ports, schedule.tenant, schedule.job.queue)
    except TidegateError:
        return None
    return now + _MIN_KEPT_MS if queue.keep_seconds * 1000 < _MIN_KEPT_MS else None


def _on_record(ports: Ports, steps: Sequence[_Step]) -> list[_Step]:
    """The steps that may be taken: those on record that need it. Who was overtaken is left out."""
    uncertain = [step for step in steps if not step.certain]
    records = [
        (replace(step.planned, version=step.seen.version + 1, look_at=step.seen.look_at), step.seen)
        for step in uncertain
    ]
    stored = ports.schedules.replace_if_unchanged(records) if records else []
    recorded = zip(uncertain, records, stored, strict=True)
    return [step for step in steps if step.certain] + [
        replace(step, seen=record) for step, (record, _), is_stored in recorded if is_stored
    ]


def _submitted(ports: Ports, steps: Sequence[_Step], end: Ms) -> Outcomes:
    outcomes: dict[JobKey, Outcome] = {}
    by_owner: dict[tuple[str, str], list[_Step]] = {}
    for step in steps:
        by_owner.setdefault((step.seen.tenant, step.seen.owner), []).append(step)
    for group in by_owner.values():
        specs = [each for step in group for each in step.asked() if isinstance(each, JobSpec)]
        outcomes |= dict(submit_jobs(ports, owner_of(group[0].seen), specs))
    runs = [(step.seen, each) for step in steps for each in step.asked() if isinstance(each, ScheduledRun)]
    for schedule, run in runs:
        if outcomes and ports.now() > end:
            break
        outcomes[JobKey(schedule.tenant, id_of(run))] = submit_run(ports, owner_of(schedule), run)
    return outcomes


def _concluded(step: _Step, outcomes: Outcomes) -> Schedule:
    """The schedule as it stands once its jobs are made."""
    refused, past_refused = (_refused(step, made, outcomes) for made in (step.runs, step.fills))
    fired = [at for at in step.runs if at not in refused]
    past = (Firing(at, Fate.REFUSED if at in past_refused else Fate.BACKFILLED) for at in step.fills)
    now = (Firing(at, Fate.REFUSED if at in refused else Fate.FIRED) for at in step.runs)
    done = with_firings(step.after, (*past, *now))
    if fired:
        last = fired[-1]
        done = replace(done, last_run=last, last_job_id=id_of(step.runs[last]), fired=done.fired + len(fired))
    if step.runs:
        done = replace(done, last_error=next((error.message for error in refused.values()), None))
    if refused:
        _log.warning("run refused: %s", done.last_error, extra=_extra(done, "run_refused"))
    return replace(done, releasing=(), version=step.seen.version + 1)


def _refused(step: _Step, made: Mapping[Ms, Submission], outcomes: Outcomes) -> Mapping[Ms, TidegateError]:
    results = {at: outcomes[JobKey(step.seen.tenant, id_of(spec))] for at, spec in made.items()}
    return {at: result for at, result in results.items() if isinstance(result, TidegateError)}


def _key(schedule: Schedule) -> ScheduleKey:
    return ScheduleKey(schedule.tenant, schedule.name)


def _extra(schedule: Schedule, action: str) -> dict[str, str]:
    return {"action": action, "tenant": schedule.tenant, "schedule": schedule.name}
