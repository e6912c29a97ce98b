"""Policies, remembered for a few seconds: read on every submission and claim, changed rarely."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from tidegate.domain.bucket import Bucket
from tidegate.domain.job import Ms
from tidegate.domain.queue import Queue
from tidegate.domain.tenant import Tenant
from tidegate.ports import Admitted, Ports, Queues, Tenants

from .caching_definitions import CachedDefinitions

V = TypeVar("V")
_REMEMBERED = 10_000


class Memory:
    """What was read, each for so long."""

    def __init__(self, now: Callable[[], Ms]) -> None:
        self._now = now
        self._seen: dict[Hashable, tuple[Ms, Any]] = {}

    def remember(self, key: Hashable, seconds: float, read: Callable[[], V]) -> V:
        """See `Remember`."""
        now = self._now()
        found = self._seen.get(key)
        if found is not None and 0 <= now - found[0] < round(seconds * 1000):
            value: V = found[1]
            return value
        value = read()
        if len(self._seen) >= _REMEMBERED:
            self._seen.clear()
        self._seen[key] = (now, value)
        return value

    def forget(self, key: Hashable) -> None:
        """Read it anew the next time."""
        self._seen.pop(key, None)


def remembering(ports: Ports, now: Callable[[], Ms], seconds: float) -> Ports:
    """The same ports, with what changes rarely remembered for so long."""
    return replace(
        ports,
        queues=CachedQueues(ports.queues, now, seconds),
        tenants=CachedTenants(ports.tenants, now, seconds),
        definitions=CachedDefinitions(ports.definitions, now, seconds),
        remember=Memory(now).remember,
        policy_seconds=seconds,
    )


class CachedQueues:
    """`Queues` that answers `get` from memory for `seconds`. A change made here is seen here at once."""

    def __init__(self, queues: Queues, now: Callable[[], Ms], seconds: float) -> None:
        self._queues = queues
        self._seconds = seconds
        self._memory = Memory(now)

    def get(self, tenant: str, name: str) -> Queue | None:
        """See `Queues.get`; up to `seconds` old."""
        return self._memory.remember((tenant, name), self._seconds, lambda: self._queues.get(tenant, name))

    def list(self, tenant: str) -> Sequence[Queue]:
        """See `Queues.list`."""
        return self._queues.list(tenant)

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        """See `Queues.put_if_unchanged`."""
        self._memory.forget((queue.tenant, queue.name))
        return self._queues.put_if_unchanged(queue, seen)


class CachedTenants:
    """`Tenants` that answers `get` from memory for `seconds`. A change made here is seen here at once."""

    def __init__(self, tenants: Tenants, now: Callable[[], Ms], seconds: float) -> None:
        self._tenants = tenants
        self._seconds = seconds
        self._memory = Memory(now)

    def get(self, name: str) -> Tenant | None:
        """See `Tenants.get`; up to `seconds` old."""
        return self._memory.remember(name, self._seconds, lambda: self._tenants.get(name))

    def put_if_unchanged(self, tenant: Tenant, seen: Tenant | None) -> bool:
        """See `Tenants.put_if_unchanged`."""
        self._memory.forget(tenant.name)
        return self._tenants.put_if_unchanged(tenant, seen)

    def admit(self, name: str, bucket: Bucket, wanted: int, now: Ms) -> Admitted:
        """See `Tenants.admit`."""
        return self._tenants.admit(name, bucket, wanted, now)
