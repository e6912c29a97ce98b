"""What schedules make, jobs and runs alike: submitted, looked up, cancelled."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.errors import Conflict, NotFound, TidegateError, Unavailable, WrongState
from tidegate.domain.firing import goes_on
from tidegate.domain.job import Job
from tidegate.domain.schedule import Schedule
from tidegate.domain.spec import MAX_BATCH, JobSpec
from tidegate.domain.targets import ScheduledRun
from tidegate.ports import JobKey, Ports

from .control import cancel_by_rule
from .release import Engine
from .runs import submit_dag
from .submit import Submitted, submit

_log = logging.getLogger("tidegate.schedules")
_REASON = "replaced by the next run of its schedule"

Submission = JobSpec | ScheduledRun
Outcome = bool | TidegateError
"""Whether it was made now (else: before), or why it was refused."""


def id_of(asked: Submission) -> str:
    """The id that it asks for."""
    return str(asked.spec.dag_id if isinstance(asked, ScheduledRun) else asked.job_id)


def made_by(ports: Ports, schedule: Schedule, ids: Sequence[str]) -> Sequence[Job | Run | None]:
    """What the schedule made under these ids, as it stands; None where there is nothing."""
    if schedule.dag is not None:
        return [ports.dags.get(schedule.tenant, each) for each in ids]
    return ports.jobs.get([JobKey(schedule.tenant, each) for each in ids]) if ids else []


def submit_jobs(ports: Ports, owner: Caller, specs: Sequence[JobSpec]) -> Iterable[tuple[JobKey, Outcome]]:
    """Make jobs, a batch at a time."""
    for start in range(0, len(specs), MAX_BATCH):
        chunk = specs[start : start + MAX_BATCH]
        for spec, result in zip(chunk, submit(ports, owner, chunk, by_rule=True), strict=True):
            yield JobKey(owner.tenant, str(spec.job_id)), _outcome(result)


def submit_run(ports: Ports, owner: Caller, asked: ScheduledRun) -> Outcome:
    """Make a run, or finish making one that was begun. Raises Unavailable."""
    try:
        return submit_dag(ports, owner, asked.spec, asked.conditions, by_rule=True)[1]
    except Unavailable:
        raise
    except TidegateError as error:
        return _outcome(error)


def owner_of(schedule: Schedule) -> Caller:
    """Whose jobs and runs a schedule makes."""
    return Caller(schedule.tenant, schedule.owner, frozenset({Scope.SUBMIT.value}))


def cancel_made(ports: Ports, made: Job | Run) -> None:
    """Stop what the next time of its schedule replaces; nothing happens to what has ended meanwhile."""
    if isinstance(made, Run):
        if goes_on(made):
            Engine(ports).stop(made, RunState.CANCELLED, _REASON)
        return
    try:
        cancel_by_rule(ports, Caller(made.tenant, made.owner, frozenset({Scope.SUBMIT.value})), made.id, _REASON)
    except (NotFound, WrongState, Conflict):
        _log.info("the run before has ended", extra={"action": "cancel_unneeded", "tenant": made.tenant})


def _outcome(result: Submitted | TidegateError) -> Outcome:
    if isinstance(result, Submitted):
        return result.created
    # it is there: made before, and asked for otherwise since (another start, a changed schedule)
    return False if isinstance(result, Conflict) else result
