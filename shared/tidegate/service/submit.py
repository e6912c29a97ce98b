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
from tidegate.domain.spec import MAX_BATCH, JobSpec, check_horizon, dump_json, new_job
from tidegate.domain.tenant import Tenant
from tidegate.ports import Ports

from .admission import admitted, withdraw_unstored
from .allowed import check_allowed
from .announce import announce, remember_lanes
from .budgets import within_budget
from .call_back import check_waiting, wait_instead
from .door import admit
from .expectations import Expectations
from .fares import cost_of_accepting
from .payloads import blob_key, offloaded
from .policies import queue_named, tenant_named
from .tenants import check_payloads
from .unique import answer_to_duplicate, replace_blocked


@dataclass(frozen=True, slots=True)
class Submitted:
    """An accepted job; `created` is False when the same request was accepted before."""

    job: Job
    created: bool


def submit(
    ports: Ports, caller: Caller, specs: Sequence[JobSpec], *, by_rule: bool = False, internal: bool = False
) -> Sequence[Submitted | TidegateError]:
    """Accept each of up to `MAX_BATCH` jobs, or say why not; one does not depend on another.

    `by_rule` tells that a schedule asks, `internal` that Tidegate itself does, for jobs that nobody else may submit:
    neither is counted against the tenant's rate and batches, and what is internal is accepted whatever its budget.
    Raises Forbidden without the scope `submit`, InvalidInput for an empty or too long list.
    """
    caller.require(Scope.SUBMIT)
    if not 1 <= len(specs) <= MAX_BATCH:
        raise InvalidInput.field("jobs", f"must have 1 to {MAX_BATCH} entries")
    tenant, now = tenant_named(ports, caller.tenant), ports.now()
    if not (by_rule or internal):
        tenant.check_batch(len(specs))
    maker = _Maker(ports, caller, tenant, now, internal=internal)
    made: Sequence[Job | TidegateError] = [maker.made(spec) for spec in specs]
    with ports.together():
        let_in = made if internal else within_budget(ports, tenant, made, now)
        let_in = let_in if by_rule or internal else admit(ports, tenant, let_in, now)
        let_in = admitted(ports, let_in, maker.queues, now)
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


def check_job(ports: Ports, caller: Caller, spec: JobSpec) -> Job:
    """The job that `submit_one` would make; raises what is wrong with it. Stores and counts nothing."""
    caller.require(Scope.SUBMIT)
    maker = _Maker(ports, caller, tenant_named(ports, caller.tenant), ports.now(), internal=False)
    queue = _queue_or_error(ports, caller.tenant, spec.queue)
    if isinstance(queue, TidegateError):
        raise queue
    dump_json("data", spec.data)
    return maker.checked(spec, queue)


class _Maker:
    """Makes the jobs of one request; queues and usual durations are read once."""

    def __init__(self, ports: Ports, caller: Caller, tenant: Tenant, now: Ms, *, internal: bool) -> None:
        self.queues: dict[str, Queue | TidegateError] = {}
        self._ports = ports
        self._caller = caller
        self._tenant = tenant
        self._now = now
        self._internal = internal
        self._expectations = Expectations(ports)

    def made(self, spec: JobSpec) -> Job | TidegateError:
        """The job, its large data stored already; or what is wrong with it."""
        if spec.queue not in self.queues:
            self.queues[spec.queue] = _queue_or_error(self._ports, self._caller.tenant, spec.queue)
        queue = self.queues[spec.queue]
        if isinstance(queue, TidegateError):
            return queue
        try:
            return self._job(spec, queue)
        except TidegateError as error:
            return error

    def _job(self, spec: JobSpec, queue: Queue) -> Job:
        job, ports = self.checked(spec, queue), self._ports
        data, data_ref = offloaded(ports.blobs, "data", lambda: blob_key(job, f"data-{ports.new_id()}"), spec.data)
        return job if data_ref is None else replace(job, data=data, data_ref=data_ref)

    def checked(self, spec: JobSpec, queue: Queue) -> Job:
        """The job as asked for. Raises what is wrong with it."""
        ports = self._ports
        check_horizon(spec, self._now)
        if not self._internal:
            check_allowed(ports, spec)
        check_payloads(self._tenant, spec)
        check_waiting(ports, spec.task_token)
        return new_job(
            spec,
            queue,
            job_id=spec.job_id or ports.new_id(),
            owner=self._caller.user,
            now=self._now,
            expected_ms=self._expectations.steering(queue, spec.name),
            correlation=self._caller.correlation,
            cost=cost_of_accepting(),
        )


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
