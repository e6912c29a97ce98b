"""Reading and changing what a tenant may use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tidegate.domain.budget import Period
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.cost import dollars
from tidegate.domain.errors import Conflict, Forbidden
from tidegate.domain.limits import tenants_semaphore
from tidegate.domain.spec import JobSpec, dump_json
from tidegate.domain.tenant import Tenant
from tidegate.ports import Ports

from .audit import Act
from .budgets import standings
from .policies import tenant_named

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
    spent_in_day: float | None = None
    """Dollars."""
    spent_in_month: float | None = None


def get_tenant(ports: Ports, caller: Caller) -> tuple[Tenant, TenantUse]:
    """The limits of the caller's tenant, and their use. Raises Forbidden."""
    caller.require(Scope.READ)
    tenant = tenant_named(ports, caller.tenant)
    schedules = None if tenant.max_schedules is None else _schedules(ports, tenant)
    running = None
    if tenant.max_running is not None:
        running = len(ports.slots.get(tenants_semaphore(tenant.name)).holders)
    spent = {each.period: dollars(each.spent) for each in standings(ports, tenant, ports.now())}
    return tenant, TenantUse(running, schedules, spent.get(Period.DAY), spent.get(Period.MONTH))


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
