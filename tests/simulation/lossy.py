"""The job store and the tickets as a process sees them: what lags, gets lost, comes late or twice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tidegate.domain.guarded import GuardedWrite, Outcome, Place
from tidegate.domain.job import Job, Ms
from tidegate.domain.priority import Band
from tidegate.domain.ticket import Lane, Ticket
from tidegate.ports import Delivery, Depth, JobKey, JobPage, JobQuery, Ready

from .faults import Kind
from .watch import Seen
from .wire import Wire

MAX_LAG_MS = 60_000


class Jobs:
    """`JobStore`: the watch sees every applied write, and the index may answer as of a while ago."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._store = wire.store

    def create(self, jobs: Sequence[Job]) -> Sequence[Job | None]:
        return self._wire.many("jobs.create", jobs, self._create)

    def get(self, keys: Sequence[JobKey]) -> Sequence[Job | None]:
        return self._wire.call("jobs.get", lambda: self._store.jobs.get(keys))

    def apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        return self._wire.many("jobs.apply", writes, self._apply)

    def head(self, lane: Lane, limit: int, from_rank: int = 0) -> Sequence[Ready]:
        return self._wire.call("jobs.head", lambda: self._head(lane, limit, from_rank))

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
                self._store.watch.created(job)
        self._store.stir("change", self._wire.world.now + 500)
        return existing

    def _apply(self, writes: Sequence[GuardedWrite]) -> Sequence[Outcome]:
        outcomes = self._store.jobs.apply(writes)
        for write, outcome in zip(writes, outcomes, strict=True):
            if outcome.applied and outcome.job is not None:
                job = outcome.job
                self._wire.world.note(f"    {job.id} {job.state} attempt {job.attempt} by {self._wire.process.name}")
                self._store.watch.applied(self._wire.process, write, job)
        self._store.stir("change", self._wire.world.now + 500)
        return outcomes

    def _erase(self, key: JobKey) -> bool:
        erased = self._store.jobs.erase_if_ended(key)
        if erased:
            self._store.watch.was_erased(key)
            self._store.stir("change", self._wire.world.now + 500)
        return erased

    def _head(self, lane: Lane, limit: int, from_rank: int) -> Sequence[Ready]:
        if not self._wire.faults.strikes(Kind.INDEX_LAG):
            return self._store.jobs.head(lane, limit, from_rank)
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
