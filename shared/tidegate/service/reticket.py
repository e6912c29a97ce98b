"""Lost tickets: jobs that stand ready in their lanes, and that nobody was told of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tidegate.domain import guarded, spread
from tidegate.domain.job import WAITING, Job, Ms
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane, ticket_for
from tidegate.ports import JobKey, Ports

from .announce import send_tickets
from .limits import room_for_starts
from .policies import queue_named

_HEAD = 25
"""Jobs of each lane that are looked at one by one."""
_MOST = 2_000
"""Ready jobs of a lane that are counted, and tickets that a pool is sent at once: some 200 requests."""
_LOST_AFTER_MS = 60_000
"""A job at the head of its lane for so long has no ticket under way, or the workers are saturated."""
_LANE_IDLE_MS = 3 * 3_600_000


@dataclass(frozen=True, slots=True)
class _Line:
    """A lane of which jobs wait too long: those of its head. `most` of its jobs could start within a minute."""

    lane: Lane
    stuck: Sequence[Job]
    most: int

    @property
    def is_long(self) -> bool:
        """Whether more jobs may wait behind the head."""
        return len(self.stuck) == _HEAD < self.most


def reticket_lanes(ports: Ports, lanes: Sequence[tuple[Lane, Ms]], now: Ms) -> tuple[int, int]:
    """Send tickets for jobs that wait at the head of their lane too long; answers how many, and how many expired.

    `lanes` are those that are known, and when they were last touched.
    Of a lane that is longer than its head only as many more as the pool's queues lack: a ticket starts any job of
    its lane, so where there are as many tickets as ready jobs it is the workers who are behind. Paused queues get none.
    """
    expired = 0
    lines: defaultdict[str, list[_Line]] = defaultdict(list)
    policies = _policies(ports, lanes)
    for lane, touched in lanes:
        policy = policies.get(lane)
        if policy is not None:
            give_up_keys(ports, policy, now)
        head = ports.jobs.head(lane, _HEAD, keys=range(1 if policy is None else spread.ever(policy)))
        if not head:
            if now - touched > _LANE_IDLE_MS:
                ports.lanes.drop_if_untouched(lane, touched)
            continue
        stuck, late = _stuck(ports, lane, [ready.job_id for ready in head], now)
        expired += late
        queue = queue_named(ports, lane.tenant, lane.queue)
        if stuck and not queue.paused and stuck[0].pool in ports.pools:
            most = room_for_starts(ports, queue, _MOST)
            lines[stuck[0].pool].append(_Line(lane, stuck[:most], most))
    return sum(_send(ports, pool, found) for pool, found in lines.items()), expired


def give_up_keys(ports: Ports, queue: Queue, now: Ms) -> None:
    """Let claims ask no more for keys that the queue does without, once no job stands there."""
    left = spread.left_behind(queue, now)
    if left and not ports.jobs.head(Lane(queue.tenant, queue.name), 1, keys=left):
        ports.queues.put_if_unchanged(spread.narrowed(queue), queue)


def _policies(ports: Ports, lanes: Sequence[tuple[Lane, Ms]]) -> Mapping[Lane, Queue]:
    """The policies of those lanes' queues that have one."""
    tenants = dict.fromkeys(lane.tenant for lane, _ in lanes)
    return {Lane(tenant, queue.name): queue for tenant in tenants for queue in ports.queues.list(tenant)}


def _send(ports: Ports, pool: str, lines: Sequence[_Line]) -> int:
    more = _more(ports, pool, [line for line in lines if line.is_long])
    jobs = [*(job for line in lines for job in line.stuck), *more]
    send_tickets(ports, [(ticket_for(job), 0.0) for job in jobs])
    return len(jobs)


def _more(ports: Ports, pool: str, lines: Sequence[_Line]) -> list[Job]:
    """Jobs behind the heads, as many as the pool lacks tickets: of each line, for whose they were is unknown."""
    if not lines:
        return []
    tickets = ports.tickets.visible(pool, _MOST)
    if tickets >= _MOST:
        return []
    ready = {line.lane: [ready.job_id for ready in ports.jobs.head(line.lane, line.most)] for line in lines}
    lacking = max(0, min(sum(map(len, ready.values())) - tickets, _MOST))
    found = [job for lane, ids in ready.items() for job in _jobs(ports, lane, ids[_HEAD:][:lacking])]
    return [job for job in found if job.state in WAITING]


def _stuck(ports: Ports, lane: Lane, job_ids: Sequence[str], now: Ms) -> tuple[list[Job], int]:
    """Those that wait too long, the best first; those that waited longer than they may are expired, and counted."""
    waiting = [job for job in _jobs(ports, lane, job_ids) if job.state in WAITING]
    late = [job for job in waiting if job.expires_at is not None and job.expires_at <= now]
    if late:
        ports.jobs.apply([guarded.expire_if_waiting(job, now) for job in late])
    return [job for job in waiting if job not in late and now - job.updated_at >= _LOST_AFTER_MS], len(late)


def _jobs(ports: Ports, lane: Lane, job_ids: Sequence[str]) -> list[Job]:
    found = ports.jobs.get([JobKey(lane.tenant, job_id) for job_id in job_ids]) if job_ids else ()
    return [job for job in found if job is not None]
