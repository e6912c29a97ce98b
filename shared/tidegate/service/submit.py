"""Take jobs in: store each, then send its ticket.

A crash between the two leaves a job without a ticket; the clock finds it in its lane.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Conflict, InvalidInput, NotFound, TidegateError
from tidegate.domain.job import Job, Ms
from tidegate.domain.queue import Queue
from tidegate.domain.spec import MAX_BATCH, JobSpec, check_horizon, new_job
from tidegate.domain.tenant import Tenant
from tidegate.ports import Ports

from .admission import admitted, withdraw_unstored
from .announce import announce, remember_lanes
from .call_back import check_waiting, wait_instead
from .expectations import Expectations
from .payloads import blob_key, offloaded
from .policies import queue_named
from .tenants import admit, check_payloads, tenant_named
from .unique import answer_to_duplicate, replace_blocked


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job; `created` is False when the same request was accepted before."""

    job: Job
    created: bool


def submit(
    ports: Ports, caller: Caller, specs: Sequence[JobSpec], *, by_rule: bool = False
) -> Sequence[Submitted | TidegateError]:
    """Accept each of up to `MAX_BATCH` jobs, or say why not; one does not depend on another.

    `by_rule`: a schedule asks, which is not counted against the tenant's rate and batches.
    Raises Forbidden without the scope `submit`, InvalidInput for an empty or too long list.
    """
    caller.require(Scope.SUBMIT)
    if not 1 <= len(specs) <= MAX_BATCH:
        raise InvalidInput.field("jobs", f"must have 1 to {MAX_BATCH} entries")
    tenant = tenant_named(ports, caller.tenant)
    if not by_rule:
        tenant.check_batch(len(specs))
    now = ports.now()
    queues: dict[str, Queue | TidegateError] = {}
    expectations = Expectations(ports)
    made: Sequence[Job | TidegateError] = [
        _made(ports, caller, tenant, spec, queues, expectations, now) for spec in specs
    ]
    with ports.together():
        let_in = made if by_rule else admit(ports, tenant, made, now)
        let_in = admitted(ports, let_in, queues, now)
        _forget_refused(ports, made, let_in)
        made = let_in
        jobs = [job for job in made if isinstance(job, Job)]
        remember_lanes(ports, jobs)
        stored = replace_blocked(ports, caller, jobs, ports.jobs.create(jobs)) if jobs else []
        withdraw_unstored(ports, jobs, stored)
        existing = iter(stored)
        results = [_result(ports, caller, job, next(existing)) if isinstance(job, Job) else job for job in made]
        announce(ports, [each.job for each in results if isinstance(each, Submitted) and each.created])
    return results


def submit_one(ports: Ports, caller: Caller, spec: JobSpec) -> Submitted:
    """Accept one job; raises what is wrong with it."""
    (result,) = submit(ports, caller, [spec])
    if isinstance(result, TidegateError):
        raise result
    return result


def _made(
    ports: Ports,
    caller: Caller,
    tenant: Tenant,
    spec: JobSpec,
    queues: dict[str, Queue | TidegateError],
    expectations: Expectations,
    now: Ms,
) -> Job | TidegateError:
    if spec.queue not in queues:
        queues[spec.queue] = _queue_or_error(ports, caller.tenant, spec.queue)
    queue = queues[spec.queue]
    if isinstance(queue, TidegateError):
        return queue
    try:
        check_horizon(spec, now)
        check_payloads(tenant, spec)
        check_waiting(ports, spec.task_token)
        job_id, expected = spec.job_id or ports.new_id(), expectations.steering(queue, spec.name)
        job = new_job(spec, queue, job_id=job_id, owner=caller.user, now=now, expected_ms=expected)
        data, data_ref = offloaded(ports.blobs, "data", lambda: blob_key(job, f"data-{ports.new_id()}"), spec.data)
    except TidegateError as error:
        return error
    return job if data_ref is None else replace(job, data=data, data_ref=data_ref)


def _forget_refused(ports: Ports, made: Sequence[Job | TidegateError], let_in: Sequence[Job | TidegateError]) -> None:
    """Of a job that was not let in nothing stays: not its large data either."""
    for before, after in zip(made, let_in, strict=True):
        if isinstance(before, Job) and before.data_ref is not None and not isinstance(after, Job):
            ports.blobs.delete(before.data_ref)


def _queue_or_error(ports: Ports, tenant: str, name: str) -> Queue | TidegateError:
    try:
        return queue_named(ports, tenant, name)
    except NotFound as error:
        return InvalidInput.field("queue", error.message)


def _result(ports: Ports, caller: Caller, job: Job, existing: Job | None) -> Submitted | TidegateError:
    if existing is None:
        return Submitted(job, created=True)
    if job.data_ref is not None:
        ports.blobs.delete(job.data_ref)
    if existing.id != job.id:
        answer = answer_to_duplicate(caller, job, existing)
        return Submitted(answer, created=False) if isinstance(answer, Job) else answer
    if existing.fingerprint == job.fingerprint and existing.owner == job.owner:
        if job.task_token not in (None, existing.task_token):
            existing = wait_instead(ports, existing, job.task_token)
        return Submitted(existing, created=False)
    return Conflict(f"job '{job.id}' exists already and was asked for differently", job_id=job.id)
