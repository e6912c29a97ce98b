"""A seed is a history: a home, who acts in it, what they want, and what goes wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from tidegate.adapters.sqlite.registry import SqliteQueues
from tidegate.domain.caller import Caller
from tidegate.domain.job import HardMiss, Ms
from tidegate.domain.priority import Ordering
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane
from tidegate.service import control, policies

from . import clients, dag_runs, machinery
from .cast import CALLER, EMBEDDED, LAMBDA, OTHER, PULL, Cast
from .clients import Api
from .ending import HOUR, check_end, database, on_stage, recovery_bound, supervise
from .faults import Faults, Kind, RandomFaults, storm
from .store import NO_LIMIT, Store
from .watch import Broken, Watch
from .world import World

ASKED_FOR = ("deadlines", "clocks", "runs", "shards", "busy")
"""Played where they are asked for."""
STYLES = ("storm", "calm", "priority", "limits", *ASKED_FOR)
CALM = ("calm", "priority", "clocks")
_HALF_CALM = ("shards", "busy")
_KEYS = (None, "a", "a", "b")


@dataclass(frozen=True, slots=True)
class Told:
    """What one history came to. Times are milliseconds."""

    seed: int
    style: str
    home: str
    broken: tuple[tuple[Broken, str], ...]
    faults: Counter[Kind]
    jobs: int
    calls: int
    trace: int
    worst_recovery: Ms
    blurred: int


_START_BOUND: Ms = 4_000
"""How long a job may wait for an idle worker when nothing goes wrong."""
_SHORT: Ms = 20
"""What a call, and the work of an attempt, take at most where a worker starts one job right after the other."""


def play(seed: int, say: Callable[[str], None] | None = None, style: str | None = None) -> Told:
    """Run the history of a seed, in the style that it says or in the given one."""
    world = World(seed, say)
    cast, style = _cast(world, style)
    world.note(f"seed {seed}: {style}, {cast.home.name}")
    with on_stage(cast), dag_runs.looking_closely(cast) if style == "runs" else nullcontext():
        _begin(cast, style)
        world.run()
    check_end(cast)
    watch = cast.watch
    return Told(
        seed=seed,
        style=style,
        home=cast.home.name,
        broken=tuple(watch.broken),
        faults=cast.faults.counts,
        jobs=len(watch.seen) + len(watch.erased),
        calls=sum(process.calls for process in cast.processes),
        trace=world.trace,
        worst_recovery=watch.worst_recovery,
        blurred=watch.blurred,
    )


def _cast(world: World, wanted: str | None) -> tuple[Cast, str]:
    rng = world.rng
    drawn = STYLES[0] if world.chance(0.7) else STYLES[1 + int(rng.random() * 3)]
    style = wanted or drawn
    home = (EMBEDDED, LAMBDA, PULL)[int(rng.random() * 3)]
    stormy = style not in CALM and (style not in _HALF_CALM or world.chance(0.5))
    faults = storm(world) if stormy else Faults()
    skew = (0, 1, 5, 14, 30)[int(rng.random() * 5)] * 1000 if stormy and home.skew else 0
    if style == "busy":
        home = (LAMBDA, PULL)[int(rng.random() * 2)]
    if style == "clocks":
        home, skew = (LAMBDA, PULL)[int(rng.random() * 2)], 30_000
        faults = RandomFaults(world, {Kind.DELIVERED_TWICE: 0.5, Kind.TICKET_DOUBLED: 0.5})
    faults.counts[Kind.SKEWED] += skew > 0
    watch = Watch(world, lease=round(home.lease * 1000), skew=skew, recovery_bound=recovery_bound(home))
    strict = style == "priority" or (style in _HALF_CALM and not stormy)
    watch.strict_priority, watch.strict_leases, watch.head_ms = strict, not stormy, home.head_ms
    watch.start_bound = None if stormy or skew else _START_BOUND
    store = Store(world, faults, watch, database(), home.visibility, spread=style == "shards")
    if home is EMBEDDED:
        store.max_receives = NO_LIMIT
    elif stormy and world.chance(0.3):
        store.max_receives = 4
    cast = Cast(world, home, faults, watch, store, skew, style == "clocks", batch=3 if stormy else 1)
    if style == "busy":
        store.latency, cast.batch, cast.busy = _SHORT, 10, True
    return cast, style


def _begin(cast: Cast, style: str) -> None:
    """Everybody enters."""
    world = cast.world
    queues = SqliteQueues(cast.store.database)
    queues.put_if_unchanged(Queue(tenant="main", name="slow", retry_delay=20.0, retry_limit=5), None)
    if style == "limits":
        _limit(cast, queues)
    if style == "deadlines":
        _set_deadlines(cast, queues)
    if style == "shards":
        _spread(cast, queues)
    workers = 1 if cast.watch.strict_priority else 2 + int(world.rng.random() * 3)
    machinery.everybody(cast, workers, world.between(0, round(cast.home.tick * 1000)))
    wanted = "priority" if cast.watch.strict_priority else style
    end = _runs(cast) if style == "runs" else _script(cast, wanted)
    world.spawn(lambda: supervise(cast, end))


def _runs(cast: Cast) -> Ms:
    """Runs of DAGs; answers until when things go wrong."""
    span = cast.world.between(20_000, 240_000)
    dag_runs.come_in(cast, lambda: _step(cast, "runs"), span // 2)
    return cast.world.now + span


def _limit(cast: Cast, queues: SqliteQueues) -> None:
    """Let few jobs run at once: in the default queue of each tenant, and of each key there."""
    for tenant in ("main", "other"):
        limits: dict[str, Any] = {"slots": (None, 1, 2)[int(cast.world.rng.random() * 3)]}
        limits["key_slots"] = 1 if limits["slots"] is None or cast.world.chance(0.5) else None
        if cast.world.chance(0.3):
            limits |= {"rate_limit": 3, "rate_period": "minute"}
        queue = Queue(tenant=tenant, name="default", **limits)
        queues.put_if_unchanged(queue, None)
        cast.watch.limits[Lane(tenant, "default")] = queue


def _spread(cast: Cast, queues: SqliteQueues) -> None:
    """Let the ready jobs of the default queues stand on several keys; the number changes while jobs come."""
    for tenant in ("main", "other"):
        queues.put_if_unchanged(Queue(tenant=tenant, name="default", shards=_keys(cast)), None)


def _keys(cast: Cast) -> int:
    return 1 + int(cast.world.rng.random() * 5)


def _set_deadlines(cast: Cast, queues: SqliteQueues) -> None:
    """Let jobs have deadlines, and misses have any of the effects that they may have."""
    for tenant in ("main", "other"):
        policy = list(HardMiss)[int(cast.world.rng.random() * 3)]
        ordering = Ordering.DEADLINE if cast.world.chance(0.5) else Ordering.STRICT
        default = Queue(tenant=tenant, name="default", hard_sla_seconds=100, on_hard_miss=policy, ordering=ordering)
        queues.put_if_unchanged(default, None)


def _deadlines(cast: Cast) -> Mapping[str, Any]:
    """Mostly some that a job can only just meet, or cannot."""
    soft = 0.001 + cast.world.rng.random() * 60
    hard = soft + cast.world.rng.random() * 60
    given = {"soft_sla_seconds": soft, "hard_sla_seconds": hard}
    return {name: seconds for name, seconds in given.items() if cast.world.chance(0.7)}


def _script(cast: Cast, style: str) -> Ms:
    """Who wants what, and when; answers until when things go wrong."""
    world, rng = cast.world, cast.world.rng
    span = world.between(20_000, 90_000) if cast.home is EMBEDDED else world.between(40_000, 240_000)
    more = 3 if style == "limits" else 15 if cast.busy else 0
    if cast.store.spread:
        span, more = world.between(100_000, 900_000), 6
    api, ids, latest = Api(cast), list[str](), 0
    lanes = ((CALLER, "default"), (CALLER, "default"), (CALLER, "slow"), (OTHER, "default"))
    for _ in range(1 + int(rng.random() * 5) + more):
        caller, queue = lanes[int(rng.random() * len(lanes))] if style != "priority" else lanes[0]
        known = style == "priority" or world.chance(0.7)
        size = 1 if world.chance(0.7) else 2 + int(rng.random() * 3)
        specs = [_spec(cast, queue, style, _next_id(ids, caller) if known else None) for _ in range(size)]
        latest = max([latest, *(spec.start_after or 0 for spec in specs)])
        after, within = _rush(cast, span) if cast.store.spread or cast.busy else (0, span // 2)
        cast.visit(_submission(cast, api, caller, specs, 6 if known else 1), within, after)
    for _ in range(int(rng.random() * 4) if ids and style != "calm" else 0):
        cast.visit(_wish(cast, api, ids[int(rng.random() * len(ids))], style), span)
    if cast.store.spread:
        for _ in range(1 + int(rng.random() * 4)):
            after, within = _rush(cast, span)
            cast.visit(_spreading(cast, api), within, after)
    if style not in CALM:
        if world.chance(0.1):
            cast.visit(lambda: clients.pause_for(cast, api, "default", world.between(0, 90_000)), span)
        if world.chance(0.2):
            cast.visit(lambda: _purge(cast), span)
    until_the_last_has_begun = latest - world.now + 120_000 if latest and world.chance(0.5) else 0
    return world.now + max(span, until_the_last_has_begun)


def _submission(cast: Cast, api: Api, caller: Caller, specs: list[JobSpec], tries: int) -> Callable[[], None]:
    return lambda: clients.client(cast, api, caller, specs, tries)


def _wish(cast: Cast, api: Api, job_id: str, style: str) -> Callable[[], bool]:
    """What somebody asks for one job."""
    draw, tries = cast.world.rng.random(), 1 + int(cast.world.rng.random() * 3)
    priority = int(cast.world.rng.random() * 11)
    if style == "priority" or draw < 0.35:
        return lambda: clients.operator(cast, api, lambda p: control.reprioritise(p, CALLER, job_id, priority), tries)
    if draw < 0.7:
        return lambda: clients.operator(cast, api, lambda p: control.cancel(p, CALLER, job_id), tries)
    if draw < 0.93:
        return lambda: clients.operator(cast, api, lambda p: control.retry(p, CALLER, job_id), tries)
    return lambda: clients.operator(cast, api, lambda p: control.erase(p, CALLER, job_id), tries)


def _rush(cast: Cast, span: Ms) -> tuple[Ms, Ms]:
    """One of three rushes within the span: when it begins, and how long it takes."""
    return int(cast.world.rng.random() * 3) * span // 3, 1_000 if cast.busy else 20_000


def _spreading(cast: Cast, api: Api) -> Callable[[], bool]:
    """Somebody gives the default queue of a tenant another number of keys."""
    settings = {"shards": _keys(cast)}
    caller = CALLER if cast.world.chance(0.7) else OTHER
    return lambda: clients.operator(cast, api, lambda p: policies.patch_queue(p, caller, "default", settings), 6)


def _purge(cast: Cast) -> None:
    cast.faults.counts[Kind.PURGED] += 1
    cast.store.database.rows("DELETE FROM tickets")
    cast.world.note("all tickets are gone")


def _next_id(ids: list[str], caller: Caller) -> str:
    job_id = f"c{len(ids):03d}"
    ids.append(job_id)
    return job_id


def _spec(cast: Cast, queue: str, style: str, job_id: str | None) -> JobSpec:
    """One job: mostly plain, sometimes delayed, expiring, or with a policy of its own."""
    world, rng = cast.world, cast.world.rng
    fields: dict[str, Any] = {"priority": int(rng.random() * 11)}
    if style == "limits":
        fields["concurrency_key"] = _KEYS[int(rng.random() * len(_KEYS))]
    if world.chance(0.2):
        fields["start_after"] = world.now + _delay(cast)
    if world.chance(0.1):
        fields["expire_in_seconds"] = 1 + rng.random() * 100
    if world.chance(0.3):
        fields["retry_limit"] = int(rng.random() * 4)
    if world.chance(0.2):
        fields["retry_delay"] = (0.0, 0.5, 30.0, 100.0, 1_000.0, 50_000.0)[int(rng.random() ** 2 * 6)]
    if world.chance(0.2):
        fields["timeout"] = 1 + rng.random() * 60
    if style == "deadlines":
        fields |= _deadlines(cast)
    steps = [_step(cast, style) for _ in range(1 + int(rng.random() * 3))]
    data: dict[str, Any] = {"plan": [*steps, {"does": "work", "ms": 100}]}
    if world.chance(0.05):
        data["much"] = "x" * 100_001
    return JobSpec(name="tidy" if world.chance(0.3) else "work", queue=queue, job_id=job_id, data=data, **fields)


def _delay(cast: Cast) -> Ms:
    draw = cast.world.rng.random()
    if draw < 0.75:
        return cast.world.between(0, 100_000)
    return cast.world.between(880_000, 920_000) if draw < 0.9 else cast.world.between(HOUR, 14 * HOUR)


_DOES: tuple[tuple[float, str], ...] = (
    (0.55, "work"),
    (0.75, "fail"),
    (0.79, "fail for good"),
    (0.83, "skip"),
    (0.89, "snooze"),
    (0.92, "answer much"),
    (0.95, "die"),
    (0.98, "hang"),
    (1.0, "stuck"),
)


def _step(cast: Cast, style: str) -> Mapping[str, Any]:
    """What one attempt does, and how long it takes."""
    world, draw = cast.world, cast.world.rng.random()
    does = next(does for limit, does in _DOES if draw < limit)
    if style in CALM and does in ("die", "hang", "stuck"):
        does = "work"
    length = world.rng.random()
    lease = cast.watch.lease
    ms = world.between(0, 2_000 if length < 0.6 or style == "priority" else lease if length < 0.85 else 5 * lease // 2)
    ms = ms if not cast.busy or world.chance(0.1) else world.between(0, _SHORT)
    seconds = (0, 1, 5, 100, 1_000)[int(world.rng.random() * 5)]
    return {"does": does, "ms": ms, "obeys": world.chance(0.5), "seconds": seconds}
