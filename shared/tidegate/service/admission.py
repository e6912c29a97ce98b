"""The door of a queue with a `max_queue_size`: what does not fit is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tidegate.domain.errors import TidegateError, TooManyRequests
from tidegate.domain.job import Job, Ms
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.ports import JobKey, Ports

RETRY_AFTER_SECONDS = 2
"""The change feed takes off what has started within about a second."""
_CORRECT_AFTER_MS = 300_000
"""So long after the last admission the change feed has seen every job that was stored."""

Made = Job | TidegateError


def admitted(
    ports: Ports, made: Sequence[Made], queues: Mapping[str, Queue | TidegateError], now: Ms
) -> Sequence[Made]:
    """The jobs that their queues have room for, each in its place; TooManyRequests in the place of the others.

    Costs nothing where no queue has a `max_queue_size`, else one write for each such queue. A job that was
    accepted before is let through in any case, to be answered as such.
    """
    found = list(made)
    for name in dict.fromkeys(job.queue for job in made if isinstance(job, Job) and job.counted):
        queue = queues[name]
        if isinstance(queue, Queue) and queue.max_queue_size is not None:
            places = [place for place, job in enumerate(made) if isinstance(job, Job) and job.queue == name]
            over = _over(ports, queue, queue.max_queue_size, len(places), now)
            found = _without(ports, queue, found, places[len(places) - over :])
    return found


def withdraw_unstored(ports: Ports, jobs: Sequence[Job], existing: Sequence[Job | None]) -> None:
    """Take off the jobs that were counted, and were then not stored because they exist already."""
    pairs = zip(jobs, existing, strict=True)
    unstored = Counter(Lane(job.tenant, job.queue) for job, found in pairs if job.counted and found is not None)
    for lane, count in unstored.items():
        ports.backlogs.withdraw(lane, count)


def _over(ports: Ports, queue: Queue, limit: int, count: int, now: Ms) -> int:
    """How many of the jobs there is no room for."""
    lane = Lane(queue.tenant, queue.name)
    room = ports.backlogs.admit_if_room(lane, count, limit, now)
    if room < count and ports.backlogs.correct(lane, now - _CORRECT_AFTER_MS) > 0:
        room += ports.backlogs.admit_if_room(lane, count - room, limit, now)
    return count - room


def _without(ports: Ports, queue: Queue, made: Sequence[Made], places: Sequence[int]) -> list[Made]:
    """The same with refusals in these places, but for jobs that exist already: those are not counted again."""
    found = list(made)
    over = [(place, job) for place in places if isinstance(job := made[place], Job)]
    known = ports.jobs.get([JobKey(job.tenant, job.id) for _, job in over]) if over else []
    for (place, job), existing in zip(over, known, strict=True):
        found[place] = _refusal(queue) if existing is None else replace(job, counted=False)
    return found


def _refusal(queue: Queue) -> TooManyRequests:
    return TooManyRequests(
        f"queue '{queue.name}' is full: {queue.max_queue_size} jobs wait to be started, and that is its limit",
        queue=queue.name,
        limit=queue.max_queue_size,
        retry_after=RETRY_AFTER_SECONDS,
    )
