"""What runs by itself: the clock, the change feed, and the reader of dead letters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tidegate_functions.changes.handler as changes

from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Ms
from tidegate.local import background
from tidegate.ports import Ports
from tidegate.runtime import App
from tidegate.service import bury, tick

from .cast import EMBEDDED, LONG, SETTINGS, Cast
from .faults import Kind
from .ports import Feed, ports_of
from .wire import Wire
from .workers import event_source, puller
from .world import Crash, Process


def everybody(cast: Cast, workers: int, clock_after: Ms) -> None:
    """Workers, change feed, reader of dead letters, and the clock, which begins after so many milliseconds."""
    for _ in range(workers):
        cast.forever("worker", event_source(cast) if cast.home.by_lambda else puller(cast))
    cast.forever("feed", pump(cast) if cast.home is EMBEDDED else stream(cast))
    cast.forever("digger", grave_digger(cast))
    cast.world.spawn(lambda: clock(cast), clock_after)


def clock(cast: Cast) -> None:
    """Tick for ever: with a crash, a skip or a double now and then; long quiet spells are passed over."""
    world, period = cast.world, round(cast.home.tick * 1000)
    box: list[tuple[Process, Ports]] = []
    last: list[Ms | None] = [None]

    def once() -> None:
        if not box or not box[0][0].alive:
            box[:] = [cast.start("clock")]
            last[:] = [None]
        process, ports = box[0]
        try:
            begun = process.now()
            tick.tick(ports, cast.home.tick, last[0])
            last[0] = begun if cast.home is EMBEDDED else None
        except (Unavailable, Crash) as error:
            world.note(f"{process.name} gave up: {type(error).__name__}")

    while True:
        begun = world.now
        if not cast.faults.strikes(Kind.TICK_SKIPPED):
            if cast.faults.strikes(Kind.TICK_DOUBLED):
                world.spawn(once, world.between(0, 500))
            once()
        spent = 0 if cast.home is EMBEDDED else world.now - begun
        quiet = quiet_until(cast) - world.now - 2 * period - 2 * cast.skew
        world.sleep(min(quiet, 3_600_000) // period * period if quiet > 3 * period else max(0, period - spent))


def quiet_until(cast: Cast) -> Ms:
    """When something happens next, as far as the clock and the workers are concerned."""
    if cast.clients or cast.store.dead or cast.store.one(_PRESSING):
        return cast.world.now
    return cast.store.one(_NEXT) or cast.world.now


_PRESSING = """
    SELECT EXISTS (SELECT 1 FROM changes) OR EXISTS (SELECT 1 FROM jobs WHERE place IN ('ready', 'parked'))
        OR EXISTS (SELECT 1 FROM dags WHERE watched = 1)
"""
_NEXT = """
    SELECT MIN(at) FROM (
        SELECT MIN(visible_at) AS at FROM tickets
        UNION ALL SELECT MIN(at) FROM timers
        UNION ALL SELECT MIN(place_order) FROM jobs WHERE place = 'due'
        UNION ALL SELECT MIN(lease_until) FROM jobs WHERE state = 'ACTIVE'
    )
"""


def handle(cast: Cast, app: App, records: Sequence[dict[str, Any]]) -> bool:
    """Call the function `changes` with a batch; answers whether all of it was handled."""
    with cast.runs(app):
        return not changes.handler({"Records": records}, None)["batchItemFailures"]


def pump_once(cast: Cast, process: Process) -> None:
    """Let the embedded home's pump hand over a batch."""
    wire = Wire(cast.store, process)
    ports, feed = ports_of(wire, transactions=True), Feed(wire)
    with cast.runs(App(ports, SETTINGS, feed)):
        background.pump_changes(ports, feed)


def stream(cast: Cast) -> Callable[[Process, Ports], None]:
    """DynamoDB's stream, its batches not bisected: one comes again as it was until it is handled."""
    world, faults, store = cast.world, cast.faults, cast.store
    pending: list[Sequence[dict[str, Any]]] = []

    def life(process: Process, ports: Ports) -> None:
        app = App(ports, SETTINGS)
        while True:
            if not pending and (records := store.feed.read(1 + int(world.rng.random() * 20))):
                pending.append(records)
            if not pending:
                store.wait("change", process, world.now + LONG)
                continue
            if faults.strikes(Kind.BATCH_LATE):
                process.sleep(world.between(0, 60_000))
            if handle(cast, app, pending[0]):
                if faults.strikes(Kind.BATCH_DOUBLED):
                    handle(cast, app, pending[0])
                store.feed.drop(pending.pop(0))
            process.sleep(world.between(100, 1_000))

    return life


def pump(cast: Cast) -> Callable[[Process, Ports], None]:
    """The embedded home's pump, the project's own: what it reads anew after an error may have grown."""
    store = cast.store

    def life(process: Process, _: Ports) -> None:
        while True:
            if cast.faults.strikes(Kind.BATCH_LATE):
                process.sleep(cast.world.between(0, 20_000))
            try:
                pump_once(cast, process)
            except Unavailable as error:
                cast.world.note(f"{process.name}: {error}")
            process.sleep(100)
            if not store.one("SELECT EXISTS (SELECT 1 FROM changes)"):
                store.wait("change", process, cast.world.now + LONG)

    return life


def grave_digger(cast: Cast) -> Callable[[Process, Ports], None]:
    """The function that reads dead letters; a letter comes again until it is dealt with."""
    dead = cast.store.dead

    def life(process: Process, ports: Ports) -> None:
        while True:
            if not dead:
                cast.store.wait("letter", process, cast.world.now + LONG)
                continue
            letter = dead[0]
            try:
                bury.bury(ports, letter.body, letter.source)
                dead.remove(letter)
            except Unavailable:
                process.sleep(1_000)

    return life
