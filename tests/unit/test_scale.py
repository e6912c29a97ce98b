"""The model of a stage under load: its limits bind where they should, and its main conclusions stay true."""

from __future__ import annotations

import pytest
from benchmarks.cloud.counts import committed
from benchmarks.cloud.flows import LONG_RUN
from benchmarks.scale.model import (
    HEADROOM,
    IN_FLIGHT,
    INDEX_UNITS,
    KEY_UNITS,
    LANE_KEYS,
    LANE_READS,
    MAPPING_MOST,
    REQUESTS,
    TABLE_UNITS,
    Layout,
    Load,
    layout_for,
    live_through,
)
from benchmarks.scale.tables import hour, needed

from tidegate.domain.queue import MAX_SHARDS


def test_a_job_writes_and_asks_what_was_counted_on_the_real_adapters() -> None:
    counts = committed()
    created, run = counts["submit one"], counts[LONG_RUN]
    assert created["writes"] + run["writes"] == TABLE_UNITS + INDEX_UNITS
    assert run["calls"] == REQUESTS


def test_ten_thousand_jobs_a_second_for_an_hour_pass_no_limit() -> None:
    """In the layout that the model asks for. Lambda scales up from nothing meanwhile."""
    load = Load()
    told = live_through(layout_for(load.rate), load)
    assert told.over_limit == []
    assert told.throttled == 0
    assert told.started == told.accepted == told.asked > 35_900_000
    assert told.seconds_behind < 15 * 60
    assert told.inversions < 0.1 * told.started


def test_the_default_shards_carry_ten_thousand_jobs_a_second_of_one_tenant() -> None:
    rate = 10_000
    assert Layout(lanes=40).carries >= rate
    assert live_through(Layout(lanes=40), Load(rate=rate / HEADROOM, seconds=60)).throttled == 0


def test_one_queue_carries_five_hundred() -> None:
    """It is one key of the index, and its limit is what holds a lane back."""
    assert Layout().carries == KEY_UNITS / INDEX_UNITS == 500
    told = live_through(Layout(), Load(rate=1_000, seconds=300))
    assert "a key of the index" in told.over_limit
    assert told.throttled == pytest.approx(150_000, rel=0.01)
    assert told.started == told.accepted == pytest.approx(150_000, rel=0.01)


def test_one_queue_of_twelve_keys_carries_six_thousand_and_more_keys_do_not_help() -> None:
    """Every claim asks every key, so their reads bound what starts in one queue."""
    assert LANE_KEYS <= MAX_SHARDS
    assert Layout(keys=LANE_KEYS).carries == Layout(keys=MAX_SHARDS).carries == LANE_READS == 6_000
    assert live_through(Layout(keys=LANE_KEYS), Load(rate=5_000 / HEADROOM, seconds=120)).over_limit == []


def test_more_queues_do_not_help_beyond_the_keys_of_the_table() -> None:
    told = live_through(Layout(lanes=80), Load(rate=20_000, seconds=60))
    assert told.over_limit == ["a key of the table"]
    assert told.accepted < 0.54 * told.asked


def test_messages_in_flight_and_the_order_are_counted() -> None:
    """An index that never lags inverts nothing; what Lambda runs bounds what is in flight."""
    load = Load(rate=1_000, seconds=120)
    assert live_through(layout_for(load.rate), load).in_flight <= MAPPING_MOST * 10 < IN_FLIGHT
    prompt = Load(rate=1_000, seconds=120, index_lag=0)
    assert live_through(layout_for(1_000), prompt).inversions == 0
    assert live_through(layout_for(1_000), load).inversions > 0


def test_it_is_the_same_every_time_and_is_told() -> None:
    load = Load(rate=2_000, seconds=30)
    assert hour(load, 3.61).markdown() == hour(load, 3.61).markdown()
    assert "none |" in hour(load).markdown()
    assert [row[0] for row in needed().rows] == [500, 1_000, 5_000, 10_000, 50_000]
