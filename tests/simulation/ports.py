"""Every port as a process sees it: the project's SQLite adapters at the other end of a wire."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from tidegate.adapters.caching import CachedQueues, CachedTenants
from tidegate.adapters.cron import ZonedCron
from tidegate.adapters.sqlite.audit import SqliteAudit
from tidegate.adapters.sqlite.dags import SqliteDags
from tidegate.adapters.sqlite.definitions import SqliteDefinitions
from tidegate.adapters.sqlite.events import SqliteEvents
from tidegate.adapters.sqlite.limits import SqliteBacklogs, SqliteRates
from tidegate.adapters.sqlite.logs import SqliteLogs
from tidegate.adapters.sqlite.registry import SqliteFigures, SqliteLanes, SqliteQueues, SqliteTimers, SqliteTokens
from tidegate.adapters.sqlite.schedules import SqliteSchedules
from tidegate.adapters.sqlite.tenants import SqliteTenants
from tidegate.adapters.sqlite.unique_keys import SqliteUniqueKeys
from tidegate.adapters.sqlite.upkeep import SqliteUpkeep
from tidegate.adapters.sqlite.webhook_secrets import SqliteWebhookSecrets
from tidegate.adapters.sqlite.workers import SqliteWorkers
from tidegate.adapters.unsupervised import ClockAlone
from tidegate.domain.dag.run import Run, RunState
from tidegate.domain.errors import NotFound
from tidegate.domain.events import AnyEvent
from tidegate.domain.job import Ms
from tidegate.domain.logs import LogChunk, LogOf, LogPlace
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import (
    Addition,
    Ports,
    RunPage,
    Timer,
    Watched,
)

from .lossy import Jobs, Tickets
from .slots import Slots
from .wire import Wire


class Blobs:
    """`Blobs` in memory."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._blobs = wire.store.blobs

    def put(self, key: str, content: bytes) -> None:
        self._wire.call("blobs.put", lambda: self._blobs.__setitem__(key, content))

    def get(self, key: str) -> bytes:
        content = self._wire.call("blobs.get", lambda: self._blobs.get(key))
        if content is None:
            raise NotFound("there is no such blob", key=key)
        return content

    def delete(self, key: str) -> None:
        self._wire.call("blobs.delete", lambda: self._blobs.pop(key, None))


class Logs:
    """`Logs`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteLogs(wire.store.database)

    def append(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> None:
        self._wire.call("logs.append", lambda: self._real.append(log, chunk, keep_until))

    def append_if_free(self, log: LogOf, chunk: LogChunk, keep_until: Ms | None) -> bool:
        return self._wire.call("logs.append_if_free", lambda: self._real.append_if_free(log, chunk, keep_until))

    def read(self, log: LogOf, after: LogPlace | None, limit: int) -> Sequence[LogChunk]:
        return self._wire.call("logs.read", lambda: self._real.read(log, after, limit))

    def last(self, log: LogOf) -> LogChunk | None:
        return self._wire.call("logs.last", lambda: self._real.last(log))

    def erase(self, tenant: str, job_id: str) -> None:
        self._wire.call("logs.erase", lambda: self._real.erase(tenant, job_id))


class Events:
    """`EventBus`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteEvents(wire.store.database)

    def publish(self, events: Sequence[AnyEvent]) -> None:
        self._wire.call("events.publish", lambda: self._real.publish(events))


class Queues:
    """`Queues`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteQueues(wire.store.database)

    def get(self, tenant: str, name: str) -> Queue | None:
        return self._wire.call("queues.get", lambda: self._real.get(tenant, name))

    def list(self, tenant: str) -> Sequence[Queue]:
        return self._wire.call("queues.list", lambda: self._real.list(tenant))

    def put_if_unchanged(self, queue: Queue, seen: Queue | None) -> bool:
        return self._wire.call("queues.put", lambda: self._real.put_if_unchanged(queue, seen))


class Lanes:
    """`Lanes`; each process remembers for itself what it touched."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteLanes(wire.store.database)

    def touch(self, lane: Lane, now: Ms) -> None:
        self._wire.call("lanes.touch", lambda: self._real.touch(lane, now))

    def all(self) -> Sequence[tuple[Lane, Ms]]:
        return self._wire.call("lanes.all", self._real.all)

    def drop_if_untouched(self, lane: Lane, seen: Ms) -> None:
        self._wire.call("lanes.drop", lambda: self._real.drop_if_untouched(lane, seen))


class Timers:
    """`Timers`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteTimers(wire.store.database)

    def set(self, timers: Sequence[Timer]) -> None:
        self._wire.many("timers.set", timers, self._set)

    def due(self, by: Ms, limit: int) -> Sequence[Timer]:
        return self._wire.call("timers.due", lambda: self._real.due(by, limit))

    def clear(self, timers: Sequence[Timer]) -> None:
        self._wire.many("timers.clear", timers, self._clear)

    def _set(self, timers: Sequence[Timer]) -> Sequence[Timer]:
        self._real.set(timers)
        return timers

    def _clear(self, timers: Sequence[Timer]) -> Sequence[Timer]:
        self._real.clear(timers)
        return timers


class Figures:
    """`Figures`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteFigures(wire.store.database)

    def add_once(self, batch: str, additions: Sequence[Addition]) -> bool:
        return self._wire.call("figures.add_once", lambda: self._real.add_once(batch, additions))

    def read(self, tenant: str, series: str) -> Mapping[str, int]:
        return self._wire.call("figures.read", lambda: self._real.read(tenant, series))

    def between(self, tenant: str, first: str, last: str) -> Mapping[str, Mapping[str, int]]:
        return self._wire.call("figures.between", lambda: self._real.between(tenant, first, last))


class Dags:
    """`Dags`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = SqliteDags(wire.store.database)

    def create_if_absent(self, run: Run) -> Run | None:
        return self._wire.call("dags.create", lambda: self._real.create_if_absent(run))

    def get(self, tenant: str, dag_id: str) -> Run | None:
        return self._wire.call("dags.get", lambda: self._real.get(tenant, dag_id))

    def put_if_unchanged(self, run: Run, seen: Run) -> bool:
        return self._wire.call("dags.put", lambda: self._real.put_if_unchanged(run, seen))

    def page(self, tenant: str, states: frozenset[RunState], limit: int, cursor: str | None) -> RunPage:
        return self._wire.call("dags.page", lambda: self._real.page(tenant, states, limit, cursor))

    def watched(self, after: Watched | None, limit: int) -> Sequence[Watched]:
        return self._wire.call("dags.watched", lambda: self._real.watched(after, limit))

    def due(self, by: Ms, limit: int) -> Sequence[Watched]:
        return self._wire.call("dags.due", lambda: self._real.due(by, limit))

    def id_under(self, tenant: str, key: str) -> str | None:
        return self._wire.call("dags.key", lambda: self._real.id_under(tenant, key))

    def keep_under(self, tenant: str, key: str, dag_id: str) -> str:
        return self._wire.call("dags.keep", lambda: self._real.keep_under(tenant, key, dag_id))

    def let_go(self, watched: Watched, resumed: int) -> None:
        self._wire.call("dags.let_go", lambda: self._real.let_go(watched, resumed))


class Feed:
    """`Feed`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = wire.store.feed

    def read(self, limit: int) -> Sequence[dict[str, Any]]:
        return self._wire.call("feed.read", lambda: self._real.read(limit))

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        self._wire.call("feed.drop", lambda: self._real.drop(records))


def ports_of(wire: Wire, *, remembers: float = 0.0, grace: float = 0.0, transactions: bool = False) -> Ports:
    """All ports as one process sees them, which `remembers` queue policies for so many seconds.

    `grace` is how many seconds it waits beyond a lease before it takes a job over.

    Without `transactions` nothing is grouped: every call is a commit of its own, as in the cloud.
    """
    process = wire.process
    return Ports(
        jobs=Jobs(wire),
        tickets=Tickets(wire),
        blobs=Blobs(wire),
        queues=CachedQueues(Queues(wire), process.now, remembers),
        tenants=CachedTenants(SqliteTenants(wire.store.database), process.now, remembers),
        definitions=SqliteDefinitions(wire.store.database),
        webhook_secrets=SqliteWebhookSecrets(wire.store.database),
        lanes=Lanes(wire),
        slots=Slots(wire),
        rates=SqliteRates(wire.store.database),
        backlogs=SqliteBacklogs(wire.store.database),
        unique_keys=SqliteUniqueKeys(wire.store.database),
        timers=Timers(wire),
        figures=Figures(wire),
        logs=Logs(wire),
        events=Events(wire),
        dags=Dags(wire),
        schedules=SqliteSchedules(wire.store.database),
        cron=ZonedCron(),
        upkeep=SqliteUpkeep(wire.store.database, process.now),
        supervisors=ClockAlone(),
        tokens=SqliteTokens(wire.store.database),
        audit=SqliteAudit(wire.store.database),
        workers=SqliteWorkers(wire.store.database),
        now=process.now,
        lease_grace_ms=round(grace * 1000),
        new_id=wire.store.new_id,
        rng=random.Random(wire.world.rng.random()),
        together=wire.together if transactions else nullcontext,
    )
