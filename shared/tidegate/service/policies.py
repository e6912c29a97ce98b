"""The policies of queues and tenants as they stand; reading and changing queues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from tidegate.domain import spread
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import Conflict, InvalidInput, NotFound
from tidegate.domain.job import WAITING
from tidegate.domain.queue import DEFAULT_QUEUE, Queue
from tidegate.domain.tenant import Tenant
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.domain.webhook import WEBHOOK_QUEUE, parse_target
from tidegate.ports import JobKey, Ports

from .announce import send_tickets
from .audit import Act

_KEPT = 1_000
"""So many tenants' policies are made once: those of who changed nothing are asked for all the time."""
_TRIES = 5
_WOKEN = 100
"""Jobs that a resumed queue starts at once, as far as workers are free."""


def webhook_queue(tenant: str) -> Queue:
    """The queue of a tenant's deliveries, unless it has stored one of its own.

    14 retries from 5 s on, doubled each time up to 12 hours: a receiver may be away for a day.
    """
    return Queue(
        tenant=tenant,
        name=WEBHOOK_QUEUE,
        retry_limit=14,
        retry_delay=5.0,
        retry_delay_max=43_200.0,
        retry_jitter=True,
        timeout=30.0,
    )


def tenant_named(ports: Ports, name: str) -> Tenant:
    """The tenant's limits; none of its own where none were ever set."""
    return ports.tenants.get(name) or _unlimited(name)


@lru_cache(_KEPT)
def _unlimited(name: str) -> Tenant:
    return Tenant(name=name)


@lru_cache(_KEPT)
def _default_queue(tenant: str) -> Queue:
    return Queue(tenant=tenant, name=DEFAULT_QUEUE)


def queue_named(ports: Ports, tenant: str, name: str) -> Queue:
    """The queue; `default` always exists. Raises NotFound."""
    found = ports.queues.get(tenant, name)
    if found is not None:
        return found
    if name == DEFAULT_QUEUE:
        return _default_queue(tenant)
    if name == WEBHOOK_QUEUE:
        return webhook_queue(tenant)
    raise NotFound(f"there is no queue '{name}'; make it with PUT /queues/{name}", queue=name)


def get_queue(ports: Ports, caller: Caller, name: str) -> Queue:
    """A queue of the caller's tenant. Raises NotFound."""
    caller.require(Scope.READ)
    return queue_named(ports, caller.tenant, name)


def list_queues(ports: Ports, caller: Caller) -> Sequence[Queue]:
    """Every queue of the caller's tenant, by name."""
    caller.require(Scope.READ)
    queues = {queue.name: queue for queue in ports.queues.list(caller.tenant)}
    queues.setdefault(DEFAULT_QUEUE, Queue(tenant=caller.tenant, name=DEFAULT_QUEUE))
    return [queues[name] for name in sorted(queues)]


def put_queue(ports: Ports, caller: Caller, name: str, settings: Mapping[str, Any]) -> Queue:
    """Make a queue, or replace its settings; those not given get their defaults."""
    caller.require(Scope.OPERATE)
    fresh = Queue(tenant=caller.tenant, name=name, **settings)
    act = Act(ports, caller, "queue.put", name, settings=dict(settings))
    return _change(ports, caller, name, lambda seen: replace(fresh, **_kept(seen)), act, must_exist=False)


def patch_queue(ports: Ports, caller: Caller, name: str, settings: Mapping[str, Any]) -> Queue:
    """Change the given settings of a queue. They apply to jobs submitted afterwards. Raises NotFound."""
    act = Act(ports, caller, "queue.patch", name, settings=dict(settings))
    return _change(ports, caller, name, lambda seen: replace(seen, **settings), act, must_exist=True)


def pause_queue(ports: Ports, caller: Caller, name: str, reason: str | None) -> Queue:
    """Start no more jobs of the queue; running ones go on."""
    paused = {"paused": True, "paused_by": caller.user, "paused_reason": reason}
    act = Act(ports, caller, "queue.pause", name, reason=reason)
    return _change(ports, caller, name, lambda seen: replace(seen, **paused), act, must_exist=True)


def resume_queue(ports: Ports, caller: Caller, name: str) -> Queue:
    """Start jobs of the queue again: its first ones at once, by fresh tickets; the others come back by themselves."""
    resumed = {"paused": False, "paused_by": None, "paused_reason": None}
    act = Act(ports, caller, "queue.resume", name)
    queue = _change(ports, caller, name, lambda seen: replace(seen, **resumed), act, must_exist=True)
    ready = ports.jobs.head(Lane(caller.tenant, name), _WOKEN)
    found = ports.jobs.get([JobKey(caller.tenant, each.job_id) for each in ready]) if ready else []
    waiting = [ticket_for(job) for job in found if job is not None and job.state in WAITING]
    send_tickets(ports, [(ticket, ports.policy_seconds) for ticket in waiting])  # not before workers know of it
    return queue


def _kept(seen: Queue | None) -> dict[str, Any]:
    if seen is None:
        return {}
    kept = ("paused", "paused_by", "paused_reason", "created_at")
    return {field: getattr(seen, field) for field in kept}


def _change(ports: Ports, caller: Caller, name: str, change: Any, act: Act, *, must_exist: bool) -> Queue:
    caller.require(Scope.OPERATE)
    for _ in range(_TRIES):
        seen = ports.queues.get(caller.tenant, name)
        base = queue_named(ports, caller.tenant, name) if must_exist else seen
        now = ports.now()
        queue: Queue = replace(change(base), updated_at=now)
        queue = spread.changed(queue, base or Queue(tenant=caller.tenant, name=name), now)
        if queue.created_at == 0:
            queue = replace(queue, created_at=now)
        if queue.pool not in ports.pools:
            known = ", ".join(sorted(ports.pools))
            raise InvalidInput.field("pool", f"there is no pool '{queue.pool}'; this deployment has: {known}")
        _check_webhook(ports, queue)
        act.note()
        if ports.queues.put_if_unchanged(queue, seen):
            return queue
    raise Conflict(f"queue '{name}' is being changed by someone else", queue=name)


def _check_webhook(ports: Ports, queue: Queue) -> None:
    if queue.webhook is None:
        return
    if queue.name == WEBHOOK_QUEUE:
        raise InvalidInput.field("webhook", "cannot be told of its own deliveries")
    parse_target("webhook.url", queue.webhook["url"], development=ports.development)
