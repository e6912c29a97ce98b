"""A stage under load, a second at a time: what its keys, queues and Lambdas take, and what that does to the order.

Jobs are numbers here, not records: what each of them writes is counted on the real adapters
(`benchmarks/cloud/counts.toml`), where it goes is decided by the product's own keys, and the limits are AWS's.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tidegate.adapters.aws.keys import SHARDS

KEY_UNITS = 1_000
"""Write units a second that one partition key takes, of a table or an index:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html"""
IN_FLIGHT = 120_000
"""Messages of a standard queue that may be received and not deleted:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html"""
MAPPING_RAMP = 300 / 60
"""Concurrent invocations that an SQS event source mapping adds each second (300 a minute), from 5 on, up to 1,250:
https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html"""
MAPPING_FIRST, MAPPING_MOST = 5, 1_250
FUNCTION_RAMP = 1_000 / 10
"""Environments that a function adds each second: https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html"""

TABLE_UNITS = 3
"""Of a job's life on its own key: created, claimed, settled. One unit each, as long as the item is under 1 KB."""
INDEX_UNITS = 2
"""And on its lane's key in the index `board`: in line, and out of it."""
LANE_READS = 6_000
"""Claims a second in one queue, however many keys it has: each asks every key, which is half a read unit (eventually
consistent, under 4 KB) of the 3,000 that a key gives in a second (the page on partition keys named above)."""
LANE_KEYS = LANE_READS * INDEX_UNITS // KEY_UNITS
"""So many keys are of use to one queue."""
REQUESTS = 3
"""That a worker makes for a job, one after the other: the head of the lane, the claim, the outcome."""
BATCH = 10
HEADROOM = 1.1
"""Keys are chosen by a hash, and jobs do not come evenly: a tenth more than the mean needs."""
CATCH_UP = 2
"""A stage is laid out for so many times as many starts as jobs come: what piled up is worked off as fast as it came."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the jobs of a stage go."""

    tenants: int = 1
    lanes: int = 1
    """Queues of each tenant."""
    shards: int = SHARDS
    """Keys of the table that each tenant's jobs are spread over."""
    keys: int = 1
    """Keys of the index that each queue's ready jobs stand on: its `shards`."""
    slots: int = MAPPING_MOST
    """Of each pool: what its mappings run at once, each by itself."""
    pools: int = 1

    @property
    def carries(self) -> float:
        """Jobs a second that its keys take, spread evenly."""
        lanes = self.tenants * self.lanes
        table = self.tenants * self.shards * KEY_UNITS / TABLE_UNITS
        return min(table, lanes * self.keys * KEY_UNITS / INDEX_UNITS, lanes * LANE_READS)


@dataclass(frozen=True, slots=True)
class Load:
    """What comes: so many jobs a second for so long, a share of them in each band, the best first."""

    rate: float = 10_000
    seconds: int = 3_600
    bands: Sequence[float] = (0.01, 0.09, 0.6, 0.3)
    handler_seconds: float = 0.1
    request_seconds: float = 0.005
    index_lag: int = 1
    """Seconds until the index shows what was written."""

    @property
    def seconds_a_job(self) -> float:
        """What a worker spends on one."""
        return self.handler_seconds + REQUESTS * self.request_seconds


@dataclass(slots=True)
class Outcome:
    """What the hour came to. Keys are told by the most that one second asked of one of them."""

    asked: int = 0
    accepted: int = 0
    started: int = 0
    table_key: float = 0
    index_key: float = 0
    in_flight: int = 0
    workers: int = 0
    backlog: int = 0
    seconds_behind: int = 0
    """In which a job that was accepted had to wait for more than a second."""
    inversions: int = 0
    """Starts of jobs while a better one of the lane was stored that the index did not show yet: at most so many."""
    throttled: int = 0
    """Writes that the index or the table did not take in their second; those of submitters are refused."""

    @property
    def over_limit(self) -> list[str]:
        """The limits that were asked for more than they give."""
        asked = (
            ("a key of the table", self.table_key, KEY_UNITS),
            ("a key of the index", self.index_key, KEY_UNITS),
            ("messages in flight", self.in_flight, IN_FLIGHT),
        )
        return [name for name, value, limit in asked if value > limit]


def layout_for(rate: float) -> Layout:
    """The fewest tenants, lanes and pools for so many jobs a second, with the product's default shards."""
    load = Load(rate=rate)
    table, index = 1 + CATCH_UP * (TABLE_UNITS - 1), 1 + CATCH_UP * (INDEX_UNITS - 1)
    tenants = math.ceil(rate * HEADROOM * table / (SHARDS * KEY_UNITS))
    lanes = math.ceil(rate * HEADROOM * index / KEY_UNITS / tenants)
    workers = math.ceil(rate * load.seconds_a_job)
    pools = math.ceil(workers / MAPPING_MOST)
    return Layout(tenants, lanes, slots=math.ceil(workers / pools), pools=pools)


def live_through(layout: Layout, load: Load, seed: int = 1) -> Outcome:
    """Play the load; all jobs go evenly to all lanes, as far as chance allows."""
    return _Stage(layout, load, seed).play()


@dataclass(slots=True)
class _Stage:
    """The present second. The lanes are alike, so one stands for all; the hottest is told by chance."""

    layout: Layout
    load: Load
    seed: int
    outcome: Outcome = field(default_factory=Outcome)

    def play(self) -> Outcome:
        """The load, and then as long again as the backlog takes, at most a day."""
        load, told = self.load, self.outcome
        rng = random.Random(self.seed)
        waiting = [0] * len(load.bands)
        hidden: deque[list[int]] = deque(maxlen=load.index_lag)
        mappings = [0.0] * len(load.bands)
        for second in range(86_400):
            coming = _coming(rng, load) if second < load.seconds else [0] * len(load.bands)
            if second >= load.seconds and not any(waiting):
                break
            self._scale(mappings, waiting, coming)
            stored, room = self._stored(coming)
            hidden.append(stored)
            waiting = [before + new for before, new in zip(waiting, stored, strict=True)]
            started = self._started(waiting, hidden, mappings, room)
            waiting = [before - gone for before, gone in zip(waiting, started, strict=True)]
            self._measure(rng, sum(coming), sum(stored), started, waiting, mappings)
        return told

    def _scale(self, mappings: list[float], waiting: Sequence[int], coming: Sequence[int]) -> None:
        """Each band's mapping adds environments while its queue has messages for more, and lets go of idle ones."""
        pools, left = self.layout.pools, FUNCTION_RAMP
        for band, (now, before) in enumerate(zip(coming, waiting, strict=True)):
            wanted = min(
                pools * min(self.layout.slots, MAPPING_MOST), math.ceil((now + before) * self.load.seconds_a_job)
            )
            if wanted <= mappings[band]:
                mappings[band] = wanted
                continue
            ramp = MAPPING_RAMP if mappings[band] else MAPPING_FIRST
            added = min(wanted - mappings[band], left, pools * ramp)
            mappings[band] += added
            left -= added

    def _stored(self, coming: Sequence[int]) -> tuple[list[int], float]:
        """What the keys take of what comes, and how many starts they take besides. Writers share alike in scarcity."""
        lanes = self.layout.tenants * self.layout.lanes
        together = sum(coming)
        share = min(1.0, self.layout.carries / together) if together else 1.0
        stored = [int(each * share) for each in coming]
        room = lanes * self.layout.keys * KEY_UNITS - sum(stored)
        return stored, min(max(room, 0), lanes * LANE_READS)

    def _started(
        self, waiting: Sequence[int], hidden: Iterable[Sequence[int]], mappings: Sequence[float], room: float
    ) -> list[int]:
        """The best of those that the index shows; those it hides start by tickets of their own, after them."""
        capacity = int(min(sum(mappings) / self.load.seconds_a_job, room))
        recent = list(hidden)
        unseen = [sum(each[band] for each in recent) for band in range(len(waiting))]
        started = [0] * len(waiting)
        for band, count in enumerate(waiting):
            started[band] = min(max(count - unseen[band], 0), capacity)
            capacity -= started[band]
        better_hidden = 0
        for band, gone in enumerate(started):
            self.outcome.inversions += min(gone, better_hidden)
            better_hidden += min(unseen[band], waiting[band])
        for band, count in enumerate(waiting):
            more = min(count - started[band], capacity)
            started[band] += more
            capacity -= more
        return started

    def _measure(
        self,
        rng: random.Random,
        asked: int,
        stored: int,
        started: Sequence[int],
        waiting: Sequence[int],
        mappings: Sequence[float],
    ) -> None:
        told, layout, done = self.outcome, self.layout, sum(started)
        keys, lanes = layout.tenants * layout.shards, layout.tenants * layout.lanes * layout.keys
        told.asked += asked
        told.accepted += stored
        told.started += done
        told.throttled += asked - stored
        told.table_key = max(told.table_key, _hottest(rng, asked + 2 * done, keys))
        told.index_key = max(told.index_key, _hottest(rng, asked + done, lanes))
        told.workers = max(told.workers, math.ceil(sum(mappings)))
        told.in_flight = max(told.in_flight, *(math.ceil(each / layout.pools) * BATCH for each in mappings))
        told.backlog = max(told.backlog, sum(waiting))
        told.seconds_behind += sum(waiting) > self.load.rate * (1 + self.load.index_lag)


def _coming(rng: random.Random, load: Load) -> list[int]:
    """How many come of each band, as chance has it."""
    return [max(0, round(rng.gauss(mean, math.sqrt(mean)))) for mean in _means(load)]


def _means(load: Load) -> Iterator[float]:
    return (load.rate * share for share in load.bands)


def _hottest(rng: random.Random, units: float, keys: int) -> float:
    """The most that one of so many keys gets when a hash spreads the units."""
    mean = units / keys
    spread = math.sqrt(mean) if keys > 1 else 0.0
    return max(mean + spread * rng.gauss(0, 1) for _ in range(keys))
