"""Gather what is known around a job, and let the domain say why it does not run, or why it ended.

Nothing is stored for it: each answer reads what the job's state makes worth reading, all of it bounded.
"""

from __future__ import annotations

from dataclasses import replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.joins import End
from tidegate.domain.dag.run import BUILT_IN, entries_of, node_job_id, node_of_item
from tidegate.domain.errors import NotFound
from tidegate.domain.job import TERMINAL, WAITING, Job, Ms, State
from tidegate.domain.limits import Semaphore, parse_holder, tenants_semaphore, window_end, window_of
from tidegate.domain.queue import Queue
from tidegate.domain.ticket import Lane
from tidegate.domain.why.before import Before, Parent
from tidegate.domain.why.explain import Why, explain
from tidegate.domain.why.limits import Limits, RateUse, SlotsUse
from tidegate.domain.why.line import Line, Waiting
from tidegate.domain.why.waiting import Surroundings
from tidegate.domain.why.workers import Workforce
from tidegate.ports import Ports, Worker

from .budgets import standings
from .control import visible_job
from .entries import ends_of_entries
from .looks import Looks
from .policies import queue_named, tenant_named
from .record_changes import STARTS_SLOT_MS, hour_series, starts_fields
from .release import Engine
from .workers import ALIVE_MS

KEY_COUNTED = 100
LINE_COUNTED = 1_000
"""Jobs of a lane, or parked ones of its key, that are counted one by one; of more only that there are more is told."""


def why(ports: Ports, caller: Caller, job_id: str) -> Why:
    """Why the job does not run, still runs, or ended as it did. Raises NotFound."""
    caller.require(Scope.READ)
    job = visible_job(ports, caller, job_id)
    return explain(job, surroundings(ports, job))


def surroundings(ports: Ports, job: Job) -> Surroundings:
    """What matters to a job in its state."""
    now = ports.now()
    if job.state in TERMINAL:
        skipped = job.state is State.SKIPPED
        return Surroundings(now=now, before=_before(ports, job) if skipped else None)
    if job.state not in WAITING:
        return Surroundings(now=now)
    ready = not job.blocked and (job.wake_at is None or job.wake_at <= now)
    queue = _queue(ports, job)
    return Surroundings(
        now=now,
        queue=queue,
        before=_before(ports, job),
        line=_line(ports, job, now) if ready else None,
        limits=_limits(ports, job, queue, now) if ready and queue is not None else Limits(),
        workers=_workers(ports, job, now),
        pool=_pool(ports, job) if ready else None,
    )


def _queue(ports: Ports, job: Job) -> Queue | None:
    try:
        return queue_named(ports, job.tenant, job.queue)
    except NotFound:
        return None


def _before(ports: Ports, job: Job) -> Before | None:
    """What is before a job of a run; nothing for the job of an entry, which never waits for its run."""
    if job.dag_id is None or job.node is None or node_of_item(job.node) is not None:
        return None
    run = ports.dags.get(job.tenant, job.dag_id)
    if run is None:
        return None
    engine = Engine(ports)
    vertex = engine.graph(run).vertex(job.node)
    looks = Looks(ports, run, whatever_is_counted=True)
    seen = looks.before(job.node, vertex)
    parents = {node: Parent(node, node_job_id(run.id, node), stand.state) for node, stand in seen.items()}
    ends = {node: stand.end for node, stand in seen.items()}
    entries = entries_of(job)
    open_entries = [] if entries is None else list(ends_of_entries(looks, job, entries).values())
    return Before(
        dag_id=run.id,
        node=job.node,
        run_state=run.state,
        stopping=run.stopping,
        join=vertex.join,
        join_count=vertex.join_count,
        total=len(vertex.depends_on),
        seen=len(seen),
        open=tuple(parents[node] for node, end in ends.items() if end is None),
        broke=tuple(parents[node] for node, end in ends.items() if end is End.BROKEN),
        entries=entries,
        entries_open=open_entries.count(None),
    )


def _line(ports: Ports, job: Job, now: Ms) -> Line:
    """Who ranks before a ready job in its lane, and how fast the lane moves."""
    head = ports.jobs.head(Lane(job.tenant, job.queue), LINE_COUNTED + 1)
    ahead = []
    for ready in head:
        if ready.job_id == job.id or ready.rank > job.rank:
            break
        ahead.append(ready.job_id)
    starts, seconds = _pace(ports, job, now)
    counted = ahead[:LINE_COUNTED]
    return Line(len(counted), len(ahead) <= LINE_COUNTED, tuple(counted[:10]), starts, seconds)


def _pace(ports: Ports, job: Job, now: Ms) -> tuple[int, float]:
    """How many jobs of the job's queue started lately, and within how many seconds."""
    times = (now - STARTS_SLOT_MS, now)
    series = ports.figures.between(job.tenant, *(hour_series(at) for at in times))
    starts, begun = 0, now
    for at in times:
        totals = series.get(hour_series(at), {})
        count, first = starts_fields(job.queue, at)
        starts += totals.get(count, 0)
        begun = min(begun, totals.get(first, now))
    return starts, (now - begun) / 1000


def _limits(ports: Ports, job: Job, queue: Queue, now: Ms) -> Limits:
    """What is in use of each limit that queue and tenant have: at most one request for each."""
    lane = Lane(job.tenant, job.queue)
    slots = None if queue.slots is None else _slots(ports, Semaphore(lane), queue.slots)
    key = None
    if queue.key_slots is not None and job.concurrency_key is not None:
        key = _slots(ports, Semaphore(lane, job.concurrency_key), queue.key_slots)
        parked = ports.jobs.parked(lane, job.concurrency_key, KEY_COUNTED + 1)
        before = sum((ready.rank, ready.job_id) < (job.rank, job.id) for ready in parked)
        key = replace(key, before=min(before, KEY_COUNTED), exact=before <= KEY_COUNTED)
    rate = None
    if queue.rate_limit is not None:
        taken = ports.rates.taken(lane, window_of(queue.rate_period, now))
        rate = RateUse(queue.rate_limit, taken, queue.rate_period, window_end(queue.rate_period, now))
    limits = tenant_named(ports, job.tenant)
    most = limits.max_running
    tenant = None if most is None else _slots(ports, tenants_semaphore(job.tenant), most)
    return Limits(slots, key, rate, tenant, tuple(standings(ports, limits, now)))


def _slots(ports: Ports, semaphore: Semaphore, limit: int) -> SlotsUse:
    holders = sorted(ports.slots.get(semaphore).holders)
    return SlotsUse(limit, tuple(parse_holder(each).job_id for each in holders))


def _workers(ports: Ports, job: Job, now: Ms) -> Workforce:
    """Who would take the job, as the workers of its pool last said."""
    alive = [
        worker
        for worker in ports.workers.list(now - ALIVE_MS)
        if not worker.stopped and worker.pool == job.pool and worker.tenant in ("", job.tenant)
    ]
    serving = [worker for worker in alive if _serves(worker, job)]
    others = [worker for worker in alive if worker not in serving]
    return Workforce(
        serving=len(serving),
        places=sum(worker.concurrency for worker in serving),
        busy=sum(len(worker.running) for worker in serving),
        others=len(others),
        names=tuple(sorted({name for worker in others for name in worker.names})),
        on_demand=job.pool in ports.lambda_pools,
    )


def _serves(worker: Worker, job: Job) -> bool:
    known = not worker.names or job.name in worker.names or job.name in BUILT_IN
    return known and (not worker.queues or job.queue in worker.queues)


def _pool(ports: Ports, job: Job) -> Waiting | None:
    if job.pool not in ports.pools:
        return None
    depth = ports.tickets.depth(job.pool)
    visible = {band: each.visible for band, each in depth.items()}
    return Waiting(visible, sum(each.in_flight for each in depth.values()))
