"""What people do to jobs: look, stop, restart, move, erase."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tidegate.domain import guarded
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import OPEN_RUNS
from tidegate.domain.errors import Conflict, NotFound, TidegateError, Unavailable, WrongState
from tidegate.domain.guard import GuardedWrite
from tidegate.domain.job import RESTARTABLE, TERMINAL, WAITING, Job, State
from tidegate.domain.ticket import Lane
from tidegate.domain.uniqueness import stands_in_way, takes_key
from tidegate.ports import JobKey, JobPage, JobQuery, Ports

from .announce import announce, remember_lanes
from .audit import Act, audited
from .expectations import Expectations
from .log_chunks import log_eraser
from .payloads import with_payloads
from .policies import queue_named
from .ranks import rank_now
from .record_changes import QUEUE, STATES

_TRIES = 5
Results = Sequence[Job | TidegateError]
"""What became of each of many jobs: the job as it is now, or why nothing was done to it."""


def get_job(ports: Ports, caller: Caller, job_id: str) -> Job:
    """The job with its data and result. Raises NotFound, also for jobs the caller may not see."""
    caller.require(Scope.READ)
    job = visible_job(ports, caller, job_id)
    try:
        return with_payloads(ports.blobs, job)
    except NotFound as error:
        raise Unavailable(f"a large value of job '{job_id}' is missing from the blob store") from error


def list_jobs(ports: Ports, caller: Caller, query: JobQuery) -> JobPage:
    """A page of the jobs that the caller may see; large values are left out (`data_ref`, `result_ref`)."""
    caller.require(Scope.READ)
    owner = query.owner if caller.sees_all_users() else caller.user
    return ports.jobs.page(replace(query, tenant=caller.tenant, owner=owner))


def total_count(ports: Ports, caller: Caller, query: JobQuery) -> int | None:
    """How many jobs the query has in all its pages; None where only reading them all could tell.

    Exact where the home can count; else from the counters, seconds late, which know tenant, state and queue.
    """
    caller.require(Scope.READ)
    owner = query.owner if caller.sees_all_users() else caller.user
    query = replace(query, tenant=caller.tenant, owner=owner, cursor=None)
    counted = ports.upkeep.count(query)
    if counted is not None:
        return counted
    if query != JobQuery(tenant=query.tenant, states=query.states, queue=query.queue, limit=query.limit):
        return None
    totals = ports.figures.read(query.tenant, STATES if query.queue is None else QUEUE + query.queue)
    return sum(max(0, totals.get(state.value, 0)) for state in query.states or frozenset(State))


def cancel(ports: Ports, caller: Caller, job_id: str, reason: str | None = None) -> Job:
    """Stop a job: at once while it waits, cooperatively while it runs.

    Raises NotFound, WrongState when it has ended otherwise. Cancelling again changes nothing.
    """
    return _only(cancel_each(ports, caller, [job_id], reason))


def cancel_by_rule(ports: Ports, caller: Caller, job_id: str, reason: str) -> Job:
    """`cancel` as a schedule or a unique key has it done: no act of a person, so it is not in the audit log."""
    return _only(_cancel_each(ports, caller, [job_id], reason, None))


def retry(ports: Ports, caller: Caller, job_id: str, *, counted: bool = False) -> Job:
    """Start an ended job over with a fresh set of attempts.

    `counted`: with the retries that it has left instead, as long as there are some.
    Raises NotFound, WrongState, Conflict when its unique key belongs to another job meanwhile.
    """
    return _only(retry_each(ports, caller, [job_id], counted=counted))


def reprioritise(ports: Ports, caller: Caller, job_id: str, priority: int) -> Job:
    """Give a waiting job another priority; it moves in its lane at once. Raises NotFound, WrongState."""
    return _only(reprioritise_each(ports, caller, [job_id], priority))


def cancel_each(ports: Ports, caller: Caller, job_ids: Sequence[str], reason: str | None = None) -> Results:
    """`cancel` for each job; in the place of one that cannot be, why."""
    return _cancel_each(ports, caller, job_ids, reason, Act(ports, caller, "job.cancel", reason=reason))


def _cancel_each(ports: Ports, caller: Caller, job_ids: Sequence[str], reason: str | None, act: Act | None) -> Results:
    caller.require(Scope.SUBMIT)
    why = reason or f"cancelled by {caller.user}"

    def write(job: Job) -> GuardedWrite | None:
        if job.state is State.CANCELLED or (job.state is State.ACTIVE and job.cancel_requested):
            return None
        if job.state in WAITING:
            return guarded.cancel_if_waiting(job, why, ports.now())
        if job.state is State.ACTIVE:
            return guarded.request_cancel_if_active(job, why, ports.now())
        raise WrongState(f"job '{job.id}' has ended: {job.state}", job_id=job.id, state=str(job.state))

    return _change_each(ports, caller, job_ids, write, act)


def retry_each(ports: Ports, caller: Caller, job_ids: Sequence[str], *, counted: bool = False) -> Results:
    """`retry` for each job; in the place of one that cannot be, why."""
    caller.require(Scope.SUBMIT)

    def write(job: Job) -> GuardedWrite:
        if job.state not in RESTARTABLE:
            allowed = ", ".join(sorted(RESTARTABLE))
            raise WrongState(f"job '{job.id}' is {job.state}; only {allowed} can be retried", state=str(job.state))
        _check_key(ports, job)
        remember_lanes(ports, [job])
        return guarded.restart_if_ended(job, ports.now(), counted=counted)

    act = Act(ports, caller, "job.retry")
    return _announced(ports, _change_each(ports, caller, job_ids, write, act))


def reprioritise_each(ports: Ports, caller: Caller, job_ids: Sequence[str], priority: int) -> Results:
    """`reprioritise` for each job; in the place of one that cannot be, why."""
    caller.require(Scope.SUBMIT)
    expectations = Expectations(ports)

    def write(job: Job) -> GuardedWrite:
        if job.state not in WAITING:
            raise WrongState(f"job '{job.id}' is {job.state}: it no longer waits", state=str(job.state))
        queue = queue_named(ports, job.tenant, job.queue)
        rank = rank_now(queue, job, priority, expectations)
        return guarded.move_if_waiting(job, priority, rank, ports.now())

    act = Act(ports, caller, "job.reprioritise", priority=priority)
    return _announced(ports, _change_each(ports, caller, job_ids, write, act))


def erase(ports: Ports, caller: Caller, job_id: str) -> Job:
    """Delete an ended job and its large values; answers it as it was. Raises NotFound, WrongState.

    One of an open run stays: others of the run wait for what it came to, and are counted with it.
    """
    caller.require(Scope.SUBMIT)
    job = visible_job(ports, caller, job_id)
    run = None if job.dag_id is None else ports.dags.get(job.tenant, job.dag_id)
    if run is not None and run.state in OPEN_RUNS and job.state in TERMINAL:
        raise WrongState(f"job '{job_id}' belongs to the run '{run.id}', which goes on", state=str(job.state))
    erase_log = log_eraser(ports, job)
    if job.state in TERMINAL:
        audited(ports, caller, "job.erase", job_id, state=job.state.value, owner=job.owner)
    if job.state not in TERMINAL or not ports.jobs.erase_if_ended(JobKey(job.tenant, job.id)):
        raise WrongState(f"job '{job_id}' is {job.state}: cancel it first", state=str(job.state))
    for ref in (job.data_ref, job.result_ref):
        if ref is not None:
            ports.blobs.delete(ref)
    erase_log()
    return job


def _check_key(ports: Ports, job: Job) -> None:
    """Say which job has the unique key that `job` would need again; the store itself refuses it in any case."""
    if not takes_key(job):
        return
    holder = ports.unique_keys.holder(Lane(job.tenant, job.queue), job.unique_key or "")
    (other,) = ports.jobs.get([JobKey(job.tenant, holder or job.id)])
    if other is not None and stands_in_way(job, other):
        raise Conflict(f"another job has the unique key '{job.unique_key}' now", unique_key=job.unique_key)


def visible_job(ports: Ports, caller: Caller, job_id: str) -> Job:
    """The job as stored, large values left out. Raises NotFound, also for jobs the caller may not see."""
    return _only(_visible_each(ports, caller, [job_id]))


def _visible_each(ports: Ports, caller: Caller, job_ids: Sequence[str]) -> Results:
    found = ports.jobs.get([JobKey(caller.tenant, job_id) for job_id in job_ids])
    return [
        NotFound(f"there is no job '{job_id}'", job_id=job_id)
        if job is None or (job.owner != caller.user and not caller.sees_all_users())
        else job
        for job_id, job in zip(job_ids, found, strict=True)
    ]


def _change_each(
    ports: Ports, caller: Caller, job_ids: Sequence[str], write: Callable[[Job], GuardedWrite | None], act: Act | None
) -> Results:
    """Apply to each job the write that fits it as it is, looking again at those that changed meanwhile.

    `act` is noted before the first of them is applied.
    """
    results: dict[str, Job | TidegateError] = {}
    left: Sequence[str] = list(dict.fromkeys(job_ids))
    for _ in range(_TRIES):
        wanted: dict[str, GuardedWrite] = {}
        for job_id, found in zip(left, _visible_each(ports, caller, left), strict=True):
            change = _wanted(found, write)
            if isinstance(change, GuardedWrite):
                wanted[job_id] = change
            else:
                results[job_id] = change
        if act is not None and wanted:
            act.note_on(list(wanted))
        outcomes = ports.jobs.apply(list(wanted.values())) if wanted else []
        applied = zip(wanted, outcomes, strict=True)
        results |= {job_id: each.job for job_id, each in applied if each.applied and each.job is not None}
        left = [job_id for job_id in wanted if job_id not in results]
        if not left:
            break
    results |= {job_id: Conflict(f"job '{job_id}' keeps changing", job_id=job_id) for job_id in left}
    return [results[job_id] for job_id in job_ids]


def _wanted(
    found: Job | TidegateError, write: Callable[[Job], GuardedWrite | None]
) -> GuardedWrite | Job | TidegateError:
    """The write that fits a job; the job where none is needed, or why there is none."""
    if isinstance(found, TidegateError):
        return found
    try:
        return write(found) or found
    except TidegateError as error:
        return error


def _announced(ports: Ports, results: Results) -> Results:
    jobs = [each for each in results if isinstance(each, Job)]
    if jobs:
        announce(ports, jobs)
    return results


def _only(results: Results) -> Job:
    (result,) = results
    if isinstance(result, TidegateError):
        raise result
    return result
