"""What the model says, as tables."""

from __future__ import annotations

from benchmarks.report import Table

from .model import (
    CATCH_UP,
    HEADROOM,
    INDEX_UNITS,
    KEY_UNITS,
    LANE_KEYS,
    LANE_READS,
    TABLE_UNITS,
    Layout,
    Load,
    layout_for,
    live_through,
)


def hour(load: Load, dollars_per_million: float | None = None) -> Table:
    """An hour of one load in several layouts; dollars are those of what was accepted."""
    table = Table(
        f"On paper: {load.rate:,.0f} jobs/s for {load.seconds // 60} minutes, by AWS's published limits",
        ("", "carries, jobs/s", "accepted", "hottest key of the table, WU/s", "of the index, WU/s", "workers",
         "in flight", "longest backlog", "seconds behind", "inversions at most", "$", "over its limit"),
    )  # fmt: skip
    right = layout_for(load.rate)
    for name, layout in (
        ("one queue of one tenant", Layout()),
        (f"one queue of {LANE_KEYS} keys", Layout(keys=LANE_KEYS)),
        (f"{right.lanes * right.tenants} queues of one tenant", Layout(1, right.lanes * right.tenants)),
        (f"{right.lanes} queues of each of {right.tenants} tenants", right),
    ):
        told = live_through(layout, load)
        cost = None if dollars_per_million is None else round(told.accepted / 1e6 * dollars_per_million)
        table.add(
            name, layout.carries, f"{told.accepted / told.asked:.1%}", told.table_key, told.index_key, told.workers,
            told.in_flight, told.backlog, told.seconds_behind, told.inversions, cost,
            ", ".join(told.over_limit) or "none",
        )  # fmt: skip
    table.notes.append(
        f"A job writes {TABLE_UNITS} units to its key of the table and {INDEX_UNITS} to its lane's key of the index; "
        f"a key takes {KEY_UNITS:,} a second. Each claim asks every key of its queue, so that one queue starts at most "
        f"{LANE_READS:,} a second: {LANE_KEYS} keys are of use. "
        f"The last layout is planned for {HEADROOM - 1:.0%} more than the mean needs, and for {CATCH_UP} starts a job "
        f"that comes. A handler takes {load.handler_seconds:g} s, the index lags by {load.index_lag} s; no Lambda runs "
        "at first."
    )
    return table


def needed(rates: tuple[int, ...] = (500, 1_000, 5_000, 10_000, 50_000)) -> Table:
    """What each rate needs."""
    table = Table("On paper: what a rate needs", ("jobs/s", "tenants", "queues of each", "pools", "slots of each"))
    for rate in rates:
        layout = layout_for(rate)
        table.add(rate, layout.tenants, layout.lanes, layout.pools, layout.slots)
    return table
