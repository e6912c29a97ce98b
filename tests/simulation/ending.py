"""How a history ends: the faults stop, everything comes to rest within bounds, and the books are checked."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from tidegate.adapters.sqlite.database import Database
from tidegate.adapters.sqlite.registry import SqliteFigures
from tidegate.domain.events import SLA_EVENTS
from tidegate.domain.job import Ms, State
from tidegate.service.record_changes import MISSED

from .cast import Cast, Home, on_virtual_time
from .dag_runs import faults_at_the_end, runs_are_watched
from .machinery import quiet_until
from .store import Store, open_store
from .watch import Broken, Watch
from .world import World

HOUR: Ms = 3_600_000
_DRAIN: Ms = HOUR // 2
"""How long after the last job ended, and the last ticket could be seen, tickets and timers must be gone."""
_SECOND_LOOK: Ms = 300_000
"""The longest that the clock waits for an effect: a ticket it sent for a lapsed lease may be lost too."""
_SLACK: Ms = 30_000


def recovery_bound(home: Home) -> Ms:
    """How long, once nothing goes wrong any more, a job may be nobody's while a worker is idle.

    Two clocks may be wrong by `skew` in opposite directions, and a tick may just have passed.
    """
    return _SECOND_LOOK + round((home.tick + home.grace + 2 * home.skew) * 1000) + _SLACK


@cache
def database() -> Database:
    """The database of this process."""
    return open_store()


@contextmanager
def on_stage(cast: Cast) -> Iterator[None]:
    """The project's code lives in the world of `cast`: on its time, without log lines. What it raises breaks a rule."""
    disabled, collecting = logging.root.manager.disable, gc.isenabled()
    logging.disable(logging.CRITICAL)
    gc.disable()
    try:
        with on_virtual_time(cast):
            yield
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        cast.watch.breaks(Broken.RAISED, f"{error!r} in {where.name}")
    finally:
        logging.disable(disabled)
        if collecting:
            gc.enable()


def supervise(cast: Cast, end: Ms) -> None:
    """Stop the faults in time, then wait for quiet."""
    world, watch = cast.world, cast.watch
    world.sleep(end - world.now)
    cast.faults.stop()
    world.sleep(max(0, max(process.frozen_until for process in cast.processes) - world.now))
    world.note("from now on all goes well")
    watch.calm()
    litter_at: Ms | None = None
    while not world.over:
        watch.check_stalls()
        waits = max(5_000, min(quiet_until(cast) - world.now, HOUR))
        if cast.clients or any(watch.open()) or runs_are_watched(cast):
            litter_at = None
        else:
            litter_at = litter_at or _last_of_all(cast) + _DRAIN
            if not _litter(cast):
                return _finish(world)
            if world.now > litter_at:
                watch.breaks(Broken.LITTER, f"after {_DRAIN / 60_000:.0f} minutes: {_litter(cast)}")
        if any(rule in (Broken.LOST, Broken.LITTER) for rule, _ in watch.broken):
            return _finish(world)
        world.sleep(waits)
    return None


def _finish(world: World) -> None:
    world.over = True


def _last_of_all(cast: Cast) -> Ms:
    last = "SELECT MAX(at) FROM (SELECT MAX(visible_at) AS at FROM tickets UNION SELECT MAX(at) FROM timers)"
    return max(cast.world.now, cast.store.one(last) or 0)


def _litter(cast: Cast) -> dict[str, int]:
    """What is not tidied up."""
    counts = {
        table: cast.store.one(f"SELECT COUNT(*) FROM {table}") for table in ("tickets", "timers", "changes", "slots")
    }
    counts["dead letters"] = len(cast.store.dead)
    return {name: n for name, n in counts.items() if n}


def check_end(cast: Cast) -> None:
    """Every accepted job is there and has ended, and the figures are what a recount gives."""
    watch, store = cast.watch, cast.store
    for key in sorted(watch.answered - watch.seen.keys()):
        watch.breaks(Broken.LOST, f"{key.job_id} was accepted and is gone")
    for seen in watch.open():
        watch.breaks(Broken.LOST, f"{seen.job.id} is still {seen.job.state}")
    if any(rule is not Broken.MISPLACED and rule is not Broken.INVERTED for rule, _ in watch.broken):
        return
    figures = SqliteFigures(store.database)
    for tenant in ("main", "other"):
        rows = store.database.rows("SELECT state, COUNT(*) FROM jobs WHERE tenant = ? GROUP BY state", (tenant,))
        counted, recount = dict(figures.read(tenant, "states")), dict(rows)
        if counted != recount:
            watch.breaks(Broken.MISCOUNTED, f"{tenant}: {counted}, recounted {recount}")
    summed = "SELECT field, SUM(amount) FROM figures WHERE series LIKE 'hour#%' GROUP BY field"
    hours = {field: n for field, n in store.database.rows(summed) if field in set(State)}
    entered = {state.value: n for state, n in watch.entered.items()}
    if hours != entered:
        watch.breaks(Broken.MISCOUNTED, f"hours: {hours}, in truth {entered}")
    announced = dict(store.database.rows(_ANNOUNCED))
    if announced != entered:
        watch.breaks(Broken.MISCOUNTED, f"events: {announced}, in truth {entered}")
    _check_deadlines(watch, store)
    for wrong in faults_at_the_end(cast):
        watch.breaks(Broken.MISCOUNTED, wrong)


def _check_deadlines(watch: Watch, store: Store) -> None:
    """All that was to be told of deadlines was counted once, and announced once."""
    told = {name: n for name, n in watch.deadlines.items() if n}
    summed = "SELECT field, SUM(amount) FROM figures WHERE series LIKE 'sla#%' GROUP BY field"
    counted = {field: n for field, n in store.database.rows(summed) if n}
    names = {"met": "met", **{SLA_EVENTS[sla]: name for sla, name in MISSED.items()}}
    if counted != {names[name]: n for name, n in told.items() if name in names}:
        watch.breaks(Broken.MISCOUNTED, f"deadlines: {counted}, in truth {told}")
    announced = dict(store.database.rows(_DEADLINES_ANNOUNCED))
    if announced != {name: n for name, n in told.items() if name != "met"}:
        watch.breaks(Broken.MISCOUNTED, f"events of deadlines: {announced}, in truth {told}")


_DEADLINES_ANNOUNCED = """
    SELECT json_extract(event, '$.type') AS type, COUNT(*) FROM events WHERE type LIKE 'job.sla.%' GROUP BY type
"""
_ANNOUNCED = """
    SELECT json_extract(event, '$.state') AS state, COUNT(*) FROM events
    WHERE state IS NOT NULL AND state IS NOT json_extract(event, '$.old_state')
        AND json_extract(event, '$.type') NOT LIKE 'dag.%' GROUP BY state
"""
