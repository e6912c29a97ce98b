"""What becomes of a submission whose unique key belongs to another job."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tidegate.domain.caller import Caller
from tidegate.domain.errors import Conflict, NotFound, TidegateError, WrongState
from tidegate.domain.job import Job, UniquePolicy
from tidegate.ports import Ports

from .control import cancel_by_rule

_ROUNDS = 5


def replace_blocked(
    ports: Ports, caller: Caller, jobs: Sequence[Job], existing: Sequence[Job | None]
) -> Sequence[Job | None]:
    """Cancel the jobs that others replace, and store those others after all; answers as `JobStore.create` does."""
    pairs = zip(jobs, existing, strict=True)
    return [found if found is None else _after_replacing(ports, caller, job, found) for job, found in pairs]


def answer_to_duplicate(caller: Caller, job: Job, other: Job) -> Job | TidegateError:
    """The answer to the submission of `job`, which was not stored because `other` has its unique key.

    Another user's job is not shown to callers who may not see it.
    """
    visible = other.owner == caller.user or caller.sees_all_users()
    if visible and job.policy is UniquePolicy.ALLOW_DUPLICATE:
        return other
    shown = {"job_id": other.id, "state": str(other.state)} if visible else {}
    which = f"job '{other.id}'" if visible else "a job of another user"
    text = f"{which} has the unique key '{job.unique_key}' in queue '{job.queue}'"
    return Conflict(text, unique_key=job.unique_key, policy=str(job.policy), **shown)


def _after_replacing(ports: Ports, caller: Caller, job: Job, other: Job | None) -> Job | None:
    """Stop what stands in the way, until nothing does. What the caller may not stop stays in the way."""
    for _ in range(_ROUNDS):
        if other is None or other.id == job.id or job.policy is not UniquePolicy.REPLACE:
            return other
        try:
            with suppress(WrongState):  # it has ended by itself
                cancel_by_rule(ports, caller, other.id, f"replaced by job {job.id}")
        except NotFound:
            return other
        (other,) = ports.jobs.create([job])
    return other
