"""The door that the submissions of a tenant pass: no more a second than its rate."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tidegate.domain.errors import TidegateError, TooManyRequests
from tidegate.domain.job import Job, Ms
from tidegate.domain.tenant import Tenant
from tidegate.ports import JobKey, Ports


def admit(ports: Ports, tenant: Tenant, made: Sequence[Job | TidegateError], now: Ms) -> Sequence[Job | TidegateError]:
    """The jobs that the tenant's rate lets pass, each in its place; TooManyRequests in the place of the others.

    Costs nothing where the tenant has no rate, else one write. A job that was accepted before is let through in any
    case, to be answered as such.
    """
    jobs = [job for job in made if isinstance(job, Job)]
    if tenant.bucket is None or not jobs:
        return made
    admitted = ports.tenants.admit(tenant.name, tenant.bucket, len(jobs), now)
    return but_for_known(ports, made, jobs[admitted.passed :], _refusal(tenant, admitted.full_at, now, 1))


def but_for_known(
    ports: Ports, made: Sequence[Job | TidegateError], over: Sequence[Job], refusal: TooManyRequests
) -> Sequence[Job | TidegateError]:
    """What was made, with the refusal in the place of each job that is over a limit and was not accepted before."""
    known = ports.jobs.get([JobKey(job.tenant, job.id) for job in over]) if over else []
    refused = {job.id for job, existing in zip(over, known, strict=True) if existing is None}
    return [refusal if isinstance(job, Job) and job.id in refused else job for job in made]


def admit_run(ports: Ports, tenant: Tenant, jobs: int, now: Ms) -> None:
    """Raises TooManyRequests where the tenant's rate lets no run of so many jobs pass; a burst is enough for any."""
    if tenant.bucket is None:
        return
    wanted = min(jobs, tenant.bucket.burst)
    admitted = ports.tenants.admit(tenant.name, tenant.bucket, wanted, now)
    if admitted.passed < wanted:
        raise _refusal(tenant, admitted.full_at, now, wanted)


def _refusal(tenant: Tenant, full_at: int, now: Ms, wanted: int) -> TooManyRequests:
    seconds = tenant.bucket.seconds_until(full_at, now, wanted) if tenant.bucket else 0.0
    return TooManyRequests(
        f"tenant '{tenant.name}' submits more than {tenant.submit_rate:g} jobs a second, and that is its limit",
        limit=tenant.submit_rate,
        retry_after=max(1, math.ceil(seconds)),
    )
