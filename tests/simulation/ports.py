"""Every port as a process sees it: the project's SQLite adapters at the other end of a wire."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
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
from tidegate.domain.guard import GuardedWrite, Outcome, Place, spot_of
from tidegate.domain.job import Job, Ms
from tidegate.domain.logs import LogChunk, LogOf, LogPlace
from tidegate.domain.priority import Band
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane, Ticket
from tidegate.ports import (
    Addition,
    Delivery,
    Depth,
    Glimpse,
    JobKey,
    JobPage,
    JobQuery,
    Ports,
    Ready,
    RunPage,
    Timer,
    Watched,
)

from .faults import Kind
from .shards import Shards
from .slots import Slots
from .watch import Seen
from .wire import Wire

MAX_LAG_MS = 60_000


class Jobs:
    """`JobStore`: the watch sees every applied write, and the index may answer as of a while ago.

    Where queues are spread over several keys, a job is found on the key alone that its writer chose, by the policy
    that it knew.
    """

    def __init__(self, wire: Wire, queues: CachedQueues) -> None:
        self._wire = wire
        self._store = wire.store
        self._shards = Shards(wire, queues)

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        self._shards.choose([(Lane(job.tenant, job.queue), spot_of(job), job.id) for job in jobs])
        return self._wire.many("jobs.create", jobs, self._create)

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        return self._wire.call("jobs.get", lambda: self._store.jobs.get(keys))

    def glimpse(self, keys: Sequence[JobKey]) -> Sequence[Glimpse | None]:
        return self._wire.call("jobs.glimpse", lambda: self._store.jobs.glimpse(keys))

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        self._shards.choose([(each.spot.lane, each.spot, each.job_id) for each in writes if each.spot is not None])
        return self._wire.many("jobs.apply", writes, self._apply)

    def head(
        self, lane: Lane, limit: int, from_rank: int = 0, names: Collection[str] = (), keys: range | None = None
    ) -> Sequence[Ready]:
        asked = self._shards.asked(lane, keys)
        look = partial(self._head, names=names)
        return self._wire.call("jobs.head", lambda: self._shards.on(asked, lane, limit, from_rank, look))

    def parked(self, lane: Lane, key: str, limit: int) -> Sequence[Ready]:
        return self._wire.call("jobs.parked", lambda: self._parked(lane, key, limit))

    def due(self, by: Ms, limit: int) -> Sequence[JobKey]:
        return self._wire.call("jobs.due", lambda: self._due(by, limit))

    def page(self, query: JobQuery) -> JobPage:
        return self._wire.call("jobs.page", lambda: self._store.jobs.page(query))

    def erase_if_ended(self, key: JobKey) -> bool:
        return self._wire.call("jobs.erase", lambda: self._erase(key))

    def _create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        existing = self._store.jobs.create(jobs)
        for job, found in zip(jobs, existing, strict=True):
            if found is None:
                self._shards.put(job.tenant, job.id)
                self._wire.tell(partial(self._store.watch.created, job))
        self._store.stir("change", self._wire.world.now + 500)
        return existing

    def _apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        outcomes = self._store.jobs.apply(writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if outcome.applied and outcome.job is not None:
                job = outcome.job
                self._shards.put(job.tenant, job.id)
                self._wire.world.note(f"    {job.id} {job.state} attempt {job.attempt} by {self._wire.process.name}")
                self._wire.tell(partial(self._store.watch.applied, self._wire.process, write, job))
            elif outcome.job is not None:
                self._wire.tell(partial(self._store.watch.refused, self._wire.process, write, outcome.job))
        self._store.stir("change", self._wire.world.now + 500)
        return outcomes

    def _erase(self, key: JobKey) -> bool:
        erased = self._store.jobs.erase_if_ended(key)
        if erased:
            self._store.watch.was_erased(key)
            self._store.stir("change", self._wire.world.now + 500)
        return erased

    def _head(self, lane: Lane, limit: int, from_rank: int, names: Collection[str]) -> Sequence[Ready]:
        if names or not self._wire.faults.strikes(Kind.INDEX_LAG):
            return self._store.jobs.head(lane, limit, from_rank, names)
        found = self._lagging(self._store.watch.lanes[lane], Place.READY)
        return [Ready(order, key.job_id) for order, _, key in found if order >= from_rank][:limit]

    def _parked(self, lane: Lane, key: str, limit: int) -> Sequence[Ready]:
        if not self._wire.faults.strikes(Kind.INDEX_LAG):
            return self._store.jobs.parked(lane, key, limit)
        jobs = {each: seen for each, seen in self._store.watch.lanes[lane].items() if seen.job.concurrency_key == key}
        found = self._lagging(jobs, Place.PARKED)
        return [Ready(order, each.job_id) for order, _, each in found[:limit]]

    def _due(self, by: Ms, limit: int) -> Sequence[JobKey]:
        if not self._wire.faults.strikes(Kind.INDEX_LAG):
            return self._store.jobs.due(by, limit)
        found = self._lagging(self._store.watch.seen, Place.DUE)
        return [key for order, _, key in found if order <= by][:limit]

    def _lagging(self, jobs: Mapping[JobKey, Seen], place: Place) -> list[tuple[int, int, JobKey]]:
        """The index as of a while ago, for each entry another: what came is not there yet, what left still is."""
        world, found = self._wire.world, []
        longest = world.between(0, MAX_LAG_MS)
        for key, seen in jobs.items():
            spot = self._store.watch.index(world.now - world.between(0, longest), seen)
            if spot.place is place:
                found.append((spot.order, seen.order, key))
        return sorted(found)


class Tickets:
    """`Tickets`: lossy, late, doubled."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._store = wire.store
        self._real = wire.store.tickets

    def send(self, tickets: Sequence[tuple[Ticket, float]]) -> None:
        self._wire.many("tickets.send", tickets, self._send)

    def receive(self, pool: str, limit: int, wait: float) -> Sequence[Delivery]:
        end = self._wire.world.now + round(wait * 1000)
        while True:
            deliveries = self._wire.call("tickets.receive", lambda: self._receive(pool, limit))
            if deliveries or self._wire.world.now >= end:
                return deliveries
            self._wait(end)

    def finish(self, deliveries: Sequence[Delivery]) -> None:
        self._wire.many("tickets.finish", deliveries, self._finish)

    def again(self, delivery: Delivery, seconds: float) -> None:
        self._wire.call("tickets.again", lambda: self._again(delivery, seconds))

    def depth(self, pool: str) -> Mapping[Band, Depth]:
        return self._wire.call("tickets.depth", lambda: self._real.depth(pool))

    def visible(self, pool: str, most: int) -> int:
        return self._wire.call("tickets.depth", lambda: self._real.visible(pool, most))

    def _send(self, tickets: Sequence[tuple[Ticket, float]]) -> Sequence[None]:
        faults, world = self._wire.faults, self._wire.world
        for ticket, seconds in tickets:
            if not 0 <= seconds <= 900:
                raise ValueError(f"a ticket cannot be delayed by {seconds} s")
            if faults.strikes(Kind.TICKET_LOST):
                continue
            for _ in range(2 if faults.strikes(Kind.TICKET_DOUBLED) else 1):
                late = world.between(0, 60_000) / 1000 if faults.strikes(Kind.TICKET_LATE) else 0.0
                self._real.send([(ticket, seconds + late)])
                self._store.stir("ticket", world.now + round((seconds + late) * 1000))
        return [None] * len(tickets)

    def _receive(self, pool: str, limit: int) -> Sequence[Delivery]:
        faults, kept = self._wire.faults, []
        for delivery in self._real.receive(pool, limit, 0):
            if delivery.receives > self._store.max_receives:
                self._real.finish([delivery])
                self._store.dead.append(delivery)
                self._store.stir("letter", self._wire.world.now)
                faults.counts[Kind.DEAD_LETTER] += 1
                continue
            if faults.strikes(Kind.THROTTLED):
                continue
            if faults.strikes(Kind.DELIVERED_TWICE):
                seconds = self._wire.world.between(0, 20_000) / 1000
                self._real.again(delivery, seconds)
                self._store.stir("ticket", self._wire.world.now + round(seconds * 1000))
            kept.append(delivery)
        return kept

    def _finish(self, deliveries: Sequence[Delivery]) -> Sequence[None]:
        if not self._wire.faults.strikes(Kind.FINISH_LOST):
            self._real.finish(deliveries)
        return [None] * len(deliveries)

    def _again(self, delivery: Delivery, seconds: float) -> None:
        if not 0 <= seconds <= 43_200:
            raise ValueError(f"a ticket cannot be hidden for {seconds} s")
        self._real.again(delivery, seconds)
        self._store.stir("ticket", self._wire.world.now + round(seconds * 1000))

    def _wait(self, end: Ms) -> None:
        """Sleep until a ticket can be seen."""
        store, world = self._store, self._wire.world
        seen = store.next_ticket()
        store.watch.idle(+1)
        try:
            store.wait("ticket", self._wire.process, max(world.now + 1, end if seen is None else min(end, seen)))
        finally:
            store.watch.idle(-1)


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

    def drop(self, tenant: str, series: str) -> None:
        self._wire.call("figures.drop", lambda: self._real.drop(tenant, series))

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

    def let_go(self, watched: Watched, resumed: int, keep_until: Ms | None = None) -> None:
        self._wire.call("dags.let_go", lambda: self._real.let_go(watched, resumed, keep_until))

    def outlived(self, by: Ms, limit: int) -> Sequence[Watched]:
        return self._wire.call("dags.outlived", lambda: self._real.outlived(by, limit))

    def erase_if_unchanged(self, outlived: Watched, seen: Run | None) -> bool:
        return self._wire.call("dags.erase", lambda: self._real.erase_if_unchanged(outlived, seen))


class Feed:
    """`Feed`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._real = wire.store.feed

    def read(self, limit: int) -> Sequence[dict[str, Any]]:
        return self._wire.call("feed.read", lambda: self._real.read(limit))

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        self._wire.call("feed.drop", lambda: self._real.drop(records))

    def wait(self, seconds: float) -> None:
        self._wire.process.sleep(round(seconds * 1000))


def ports_of(
    wire: Wire, *, remembers: float = 0.0, grace: float = 0.0, head_ms: Ms = 0, transactions: bool = False
) -> Ports:
    """All ports as one process sees them, which `remembers` queue policies for so many seconds.

    `grace` is how many seconds it waits beyond a lease before it takes a job over, `head_ms` how old the head of a lane
    may be that it claims by.

    Without `transactions` nothing is grouped: every call is a commit of its own, as in the cloud.
    """
    process = wire.process
    queues = CachedQueues(Queues(wire), process.now, remembers)
    return Ports(
        jobs=Jobs(wire, queues),
        tickets=Tickets(wire),
        blobs=Blobs(wire),
        queues=queues,
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
        head_ms=head_ms,
        new_id=wire.store.new_id,
        rng=random.Random(wire.world.rng.random()),
        together=wire.together if transactions else nullcontext,
    )
