"""Where things are kept in the jobs table.

    item        pk                          sk      board, board_at (the sparse index)
    job         {tenant}#{shard of key}     key     see `spot_attributes`
    pointer     {tenant}#id#{shard of id}   id      never; its attribute `key` names the job's place
    unique key  {tenant}#unique#{shard}     {queue}#{unique key}; its attributes `key` and `id` name the job

A job's key orders it by creation. An id that is a UUIDv7, as the server makes them, is its own key; for any
other id a key of that shape is made, and a pointer leads from the id to it. Tenants and queues are names
without `#`, so no part can run into another.
"""

from __future__ import annotations

import hashlib
from zlib import crc32

from tidegate.domain.guard import Place, Spot
from tidegate.domain.ids import is_uuid7
from tidegate.domain.job import Job, Ms, State
from tidegate.domain.ticket import Lane

from .attributes import Item

SHARDS = 32
"""Partitions a tenant's jobs are spread over: one takes 1,000 write units a second, a job needs 3, so 10,000 jobs a
second need 30. A page of a listing asks each of them; a job is found by its key alone. With another number, jobs that
are there would be looked for elsewhere: it may only be changed for a stage that is made anew."""
DUE_SHARDS = 4

Key = tuple[str, str]
"""Partition and sort key of an item."""


def is_key(text: str) -> bool:
    """Whether `text` has the shape of a sort key: a UUIDv7 in its canonical, lower-case form."""
    return is_uuid7(text)


def key_for(job: Job) -> str:
    """The sort key of a new job: its id, or the time it was made followed by a digest of its id."""
    if is_key(job.id):
        return job.id
    digest = hashlib.sha256(job.id.encode()).hexdigest()
    variant = "89ab"[int(digest[3], 16) % 4]
    return f"{time_prefix(job.created_at)}-7{digest[:3]}-{variant}{digest[4:7]}-{digest[7:19]}"


def time_prefix(at: Ms) -> str:
    """What the keys of jobs made at `at` begin with (RFC 9562: 48 bits of milliseconds)."""
    text = f"{min(max(at, 0), 2**48 - 1):012x}"
    return f"{text[:8]}-{text[8:]}"


def job_key(tenant: str, key: str) -> Key:
    """Where a job with this sort key is kept."""
    return f"{tenant}#{crc32(key.encode()) % SHARDS:02d}", key


def job_partitions(tenant: str) -> list[str]:
    """The partitions of all the tenant's jobs."""
    return [f"{tenant}#{shard:02d}" for shard in range(SHARDS)]


def pointer_key(tenant: str, job_id: str) -> Key:
    """Where the pointer of an id that is no sort key is kept."""
    return f"{tenant}#id#{crc32(job_id.encode()) % SHARDS:02d}", job_id


def unique_key(lane: Lane, key: str) -> Key:
    """Where the record of a unique key is kept."""
    name = f"{lane.queue}#{key}"
    return f"{lane.tenant}#unique#{crc32(name.encode()) % SHARDS:02d}", name


def lane_board(lane: Lane, key: int = 0) -> str:
    """The index partition of a lane's ready jobs; of a queue with several `shards`, the one with this number."""
    return f"r#{lane.tenant}#{lane.queue}#{key}" if key else f"r#{lane.tenant}#{lane.queue}"


def parked_board(lane: Lane, key: str) -> str:
    """The index partition of a lane's jobs that wait for a slot of their concurrency key."""
    return f"p#{lane.tenant}#{lane.queue}#{key}"


def due_board(shard: int) -> str:
    """An index partition of the delayed jobs of all tenants."""
    return f"d#{shard}"


def shelf_board(tenant: str, state: State) -> str:
    """The index partition of the tenant's ended jobs of a state."""
    return f"s#{tenant}#{state.value}"


def order_text(rank: int) -> str:
    """How a rank begins the `board_at` of a ready job: texts in the order of the numbers."""
    return f"{rank:020d}"


def spot_attributes(spot: Spot, key: str, shards: int) -> Item:
    """`board` and `board_at` of a spot; empty for a job that is off the board. `shards`: so many has its lane."""
    if spot.place is Place.DUE:
        return _board(due_board(crc32(key.encode()) % DUE_SHARDS), f"{spot.order:015d}#{key}")
    if spot.lane is None:
        return {}
    if spot.place is Place.READY:
        board = lane_board(spot.lane, crc32(key.encode()) % shards)
        return _board(board, f"{order_text(spot.order)}#{key}")
    if spot.place is Place.PARKED and spot.key is not None:
        return _board(parked_board(spot.lane, spot.key), f"{order_text(spot.order)}#{key}")
    if spot.place is Place.SHELF and spot.state is not None:
        return _board(shelf_board(spot.lane.tenant, spot.state), f"{spot.order:015d}#{key}")
    return {}


def _board(board: str, board_at: str) -> Item:
    return {"board": {"S": board}, "board_at": {"S": board_at}}
