"""On how many keys of the index the ready jobs of a queue stand, and how that number changes while it is used.

A key takes so many writes a second (on DynamoDB 1,000: 500 jobs), so a queue may ask for several. Whoever claims asks
all keys on which jobs may stand, and takes the best: the order stays exact.

A change of the number loses nothing, though processes go by a policy that is some seconds old:

- for `SETTLED_MS` jobs are put only where every process looks, whichever of the two policies it knows
- the keys that are no longer wanted are asked until the clock, `EMPTY_AFTER_MS` after the change, has seen them empty
- all keys that a queue ever had are looked at by the clock: a process that slept for longer than all that, in the
  middle of a write, may still put a job there
"""

from __future__ import annotations

from dataclasses import replace

from .job import Ms
from .queue import Queue

SETTLED_MS: Ms = 120_000
"""Longer than any process goes by an old policy, were its clock and another's a minute apart."""
EMPTY_AFTER_MS: Ms = 600_000


def written(queue: Queue, now: Ms) -> int:
    """On how many keys jobs are put."""
    return queue.shards if now >= queue.shards_from else min(queue.shards, queue.shards_before)


def asked(queue: Queue) -> int:
    """On how many keys jobs may stand: so many are asked by whoever looks for the best."""
    return max(queue.shards, queue.shards_asked)


def ever(queue: Queue) -> int:
    """The most keys that the queue ever had."""
    return max(asked(queue), queue.shards_ever)


def changed(queue: Queue, seen: Queue, now: Ms) -> Queue:
    """`queue`, which comes after `seen`, with what must be remembered of a change of its number of keys."""
    kept = {name: getattr(seen, name) for name in ("shards_asked", "shards_before", "shards_from", "shards_ever")}
    if queue.shards == seen.shards:
        return replace(queue, **kept)
    return replace(
        queue,
        shards_asked=max(queue.shards, asked(seen)),
        shards_before=written(seen, now),
        shards_from=now + SETTLED_MS,
        shards_ever=max(queue.shards, ever(seen)),
    )


def left_behind(queue: Queue, now: Ms) -> range:
    """The keys that are no longer wanted and may be given up as soon as they are seen to be empty."""
    given_up = queue.shards_from - SETTLED_MS + EMPTY_AFTER_MS <= now
    return range(queue.shards, asked(queue)) if given_up else range(0)


def narrowed(queue: Queue) -> Queue:
    """The queue once the keys it left behind are empty."""
    return replace(queue, shards_asked=queue.shards)
