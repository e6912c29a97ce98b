"""Reading and changing what a tenant may use, and the door that its submissions pass."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Conflict, Forbidden, TidegateError, TooManyRequests
from tidegate.domain.job import Job, Ms
from tidegate.domain.limits import tenants_semaphore
from tidegate.domain.spec import JobSpec, dump_json
from tidegate.domain.tenant import Tenant
from tidegate.ports import JobKey, Ports

from .audit import Act

HOME = "home"
"""What `Caller.via` says of who works in the home itself: with its files, or with AWS credentials."""
_TRIES = 5
_PAGE = 200
_NOT_LIMITS = ("name", "version", "updated_at")


@dataclass(frozen=True, slots=True)
class TenantUse:
    """How much of its limits is used; None where there is no such limit, so that nobody counts."""

    running: int | None = None
    schedules: int | None = None


def tenant_named(ports: Ports, name: str) -> Tenant:
    """The tenant's limits; none of its own where none were ever set."""
    return ports.tenants.get(name) or Tenant(name=name)


def get_tenant(ports: Ports, caller: Caller) -> tuple[Tenant, TenantUse]:
    """The limits of the caller's tenant, and their use. Raises Forbidden."""
    caller.require(Scope.READ)
    tenant = tenant_named(ports, caller.tenant)
    schedules = None if tenant.max_schedules is None else _schedules(ports, tenant)
    running = None
    if tenant.max_running is not None:
        running = len(ports.slots.get(tenants_semaphore(tenant.name)).holders)
    return tenant, TenantUse(running, schedules)


def change_tenant(ports: Ports, caller: Caller, changes: Mapping[str, Any]) -> Tenant:
    """Change the limits of the caller's tenant that are given. Raises Forbidden, InvalidInput.

    Limits that were set in the home itself are changed there alone, so that nobody lifts those they are held to.
    """
    caller.require(Scope.ADMIN)
    at_home = caller.via == HOME
    act = Act(ports, caller, "tenant.set", caller.tenant, limits=dict(changes))
    for _ in range(_TRIES):
        seen = ports.tenants.get(caller.tenant)
        before = seen or Tenant(name=caller.tenant)
        if before.fixed and not at_home:
            raise Forbidden(f"the limits of tenant '{before.name}' are set in the home itself, and changed there alone")
        fixed = {"fixed": at_home, "version": before.version + 1, "updated_at": ports.now()}
        tenant = replace(before, **{**fixed, **changes})
        act.note()
        if ports.tenants.put_if_unchanged(tenant, seen):
            return tenant
    raise Conflict(f"the limits of tenant '{caller.tenant}' are being changed by someone else")


def limits_of(tenant: Tenant) -> dict[str, Any]:
    """What can be set, and `fixed`."""
    return {name: value for name, value in asdict(tenant).items() if name not in _NOT_LIMITS}


def check_payloads(tenant: Tenant, spec: JobSpec, field: str = "data") -> None:
    """Raises PayloadTooLarge where the tenant may not submit so much. Costs nothing where it has no such limit."""
    if tenant.max_payload_bytes is not None:
        tenant.check_payload(field, len(dump_json(field, spec.data).encode()))


def check_schedules(ports: Ports, tenant: Tenant) -> None:
    """Raises Conflict where the tenant may have no more schedules.

    They are counted before one is made: of two that are made at the very same time both may pass.
    """
    limit = tenant.max_schedules
    if limit is not None and _schedules(ports, tenant) >= limit:
        raise Conflict(f"tenant '{tenant.name}' has {limit} schedules, and that is its limit", limit=limit)


def admit(ports: Ports, tenant: Tenant, made: Sequence[Job | TidegateError], now: Ms) -> Sequence[Job | TidegateError]:
    """The jobs that the tenant's rate lets pass, each in its place; TooManyRequests in the place of the others.

    Costs nothing where the tenant has no rate, else one write. A job that was accepted before is let through in any
    case, to be answered as such.
    """
    jobs = [job for job in made if isinstance(job, Job)]
    if tenant.bucket is None or not jobs:
        return made
    admitted = ports.tenants.admit(tenant.name, tenant.bucket, len(jobs), now)
    over = jobs[admitted.passed :]
    known = ports.jobs.get([JobKey(job.tenant, job.id) for job in over]) if over else []
    refused = {job.id for job, existing in zip(over, known, strict=True) if existing is None}
    refusal = _refusal(tenant, admitted.full_at, now, 1)
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


def _schedules(ports: Ports, tenant: Tenant) -> int:
    """How many there are; no more are counted than the limit."""
    count, after, limit = 0, "", tenant.max_schedules or 0
    while count <= limit:
        page = ports.schedules.list(tenant.name, after, _PAGE)
        count += len(page)
        if len(page) < _PAGE:
            break
        after = page[-1].name
    return count
