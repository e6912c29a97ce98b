"""Expressions, read strictly; times, ids, jitter, and what a run asks for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from support.clock import START_MS
from support.schedules import SCHEDULE_ID, make_schedule
from tidegate.domain.cron import MACROS, parse_cron
from tidegate.domain.errors import InvalidInput
from tidegate.domain.schedule import (
    AtRule,
    EveryRule,
    JobTemplate,
    Schedule,
    is_uuid,
    next_time,
    parse_rule,
    run_id,
    spec_for,
    start_of,
    started,
)

SECOND, HOUR = 1_000, 3_600_000


def never(*_: Any) -> None:
    return None


@pytest.mark.parametrize(
    "text",
    [
        "0 2 * * *", "0 * * * *", "0 */6 * * *", "30 14 * * *", "0 0 * * 0", "0 0 1 * *",
        *MACROS, "@DAILY", "0 0 29 2 *", "0 0 31 2 1", "0 0 31 1,2 *", "*/59 * * * *", "0 0 * jan-mar SUN,7",
        "1,2,3-9/2 0-23 1-31 1-12 0-7", "  0   2 * * *  ",
    ],
)  # fmt: skip
def test_these_are_cron_expressions(text: str) -> None:
    assert len(parse_cron(text).text.split()) == 5


@pytest.mark.parametrize(
    "text",
    [
        "", "* * * *", "* * * * * *", "0 0 2 * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *",
        "* * * 0 *", "* * * 13 *", "* * * * 8", "-1 * * * *", "1-0 * * * *", "* * * * FRI-MON", "*/0 * * * *",
        "*/60 * * * *", "5/15 * * * *", "1-5/9 * * * *", "0 0 31 2 *", "0 0 30 feb *", "0 0 31 4,6,9,11 *", "0 0 L * *",
        "0 0 LW * *", "0 0 15W * *", "0 0 * * 1#2", "0 0 * * 5L", "0 0 ? * *", "H * * * *", "R * * * *", "@reboot",
        "@every 5m", "1,,2 * * * *", "1, * * * *", "* * * * MONDAY", "1.5 * * * *", "１ * * * *", "every", "every 0s",
        "every 500ms", "every 367d", "every -5m", "every 5", "every m", "every 1m1h", "at", "at noon",
        "at 2030-01-01T00:00:00", "at 1969-12-31T23:59:59Z", "0 0 * * * #", "* * * * *\n* * * * *",
    ],
)  # fmt: skip
def test_these_are_not(text: str) -> None:
    with pytest.raises(InvalidInput, match="expression"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("1d", 86_400), ("1d 2h 3m 4s", 93_784), ("366d", 366 * 86_400)],
)
def test_intervals(text: str, seconds: int) -> None:
    assert parse_rule(f"every {text}") == EveryRule(seconds * SECOND)


def test_once() -> None:
    assert parse_rule("at 2033-05-18T05:33:20+02:00") == AtRule(START_MS)
    schedule = make_schedule(expression="at 2033-05-18T03:33:20Z")
    assert next_time(schedule, START_MS - 1, never) == START_MS
    assert next_time(schedule, START_MS, never) is None


def test_a_rule_for_every_hour_is_told_from_one_that_names_hours() -> None:
    hourly = {"0 * * * *", "*/5 * * * *", "0 */1 * * *", "0 0-23 * * *"}
    assert all(parse_cron(text).is_hourly for text in hourly)
    assert not any(parse_cron(text).is_hourly for text in ("0 */2 * * *", "* 2 * * *", "0 0 * * *"))


def test_intervals_are_counted_from_the_start_which_is_the_first_time() -> None:
    started_at = make_schedule(expression="every 10s", starts_at=START_MS + 3_500)
    assert next_time(started_at, START_MS, never) == START_MS + 3_500
    assert next_time(started_at, START_MS + 3_500, never) == START_MS + 13_500
    assert next_time(started_at, START_MS + 10**10, never) == START_MS + 10**10 + 3_500


def test_intervals_are_counted_from_the_creation_in_whole_seconds() -> None:
    schedule = make_schedule(expression="every 10s", created_at=START_MS + 1)
    assert next_time(schedule, START_MS, never) == START_MS + 11 * SECOND
    assert next_time(schedule, START_MS + 11 * SECOND, never) == START_MS + 21 * SECOND


def test_nothing_runs_before_the_start_or_after_the_end() -> None:
    schedule = make_schedule(expression="every 1h", starts_at=START_MS + HOUR, ends_at=START_MS + 3 * HOUR)
    times, at = [], next_time(schedule, 0, never)
    while at is not None:
        times.append(at - START_MS)
        at = next_time(schedule, at, never)
    assert times == [HOUR, 2 * HOUR, 3 * HOUR]


def test_starting_anew_never_goes_back_before_the_last_run() -> None:
    schedule = make_schedule(expression="every 1m", last_run=START_MS + 60_000)
    assert started(schedule, START_MS + 30_000, never).next_run == START_MS + 120_000
    assert started(replace(schedule, enabled=False), START_MS, never).look_at is None


def test_a_runs_id_is_a_uuid_of_its_time_and_of_nothing_else() -> None:
    ids = {run_id(SCHEDULE_ID, START_MS + n) for n in range(1_000)}
    assert len(ids) == 1_000
    assert all(is_uuid(each) and each[14] == "7" and each[19] in "89ab" for each in ids)
    assert run_id(SCHEDULE_ID, START_MS) == run_id(SCHEDULE_ID, START_MS)
    assert run_id(SCHEDULE_ID, START_MS) != run_id(SCHEDULE_ID.replace("a", "b"), START_MS)
    assert sorted(ids) == [run_id(SCHEDULE_ID, START_MS + n) for n in range(1_000)]
    assert int(run_id(SCHEDULE_ID, START_MS).replace("-", "")[:12], 16) == START_MS


def test_jitter_is_spread_and_always_the_same() -> None:
    schedule = make_schedule(jitter_seconds=10)
    delays = [start_of(schedule, START_MS + n) - START_MS - n for n in range(2_000)]
    assert delays == [start_of(schedule, START_MS + n) - START_MS - n for n in range(2_000)]
    assert min(delays) >= 0
    assert max(delays) <= 10_000
    assert sum(delay < 5_000 for delay in delays) == pytest.approx(1_000, abs=120)
    assert start_of(make_schedule(), START_MS) == START_MS


def test_what_a_run_asks_for() -> None:
    job = JobTemplate(
        name="train", data={"x": 1}, tags=("a",), metadata={"k": "v"}, soft_sla_seconds=60, hard_sla_seconds=90
    )
    spec = spec_for(make_schedule(job=job), START_MS, "id", START_MS + 5)
    assert (spec.name, spec.data, spec.job_id, spec.start_after) == ("train", {"x": 1}, "id", START_MS + 5)
    assert spec.tags == ("a", "schedule:nightly")
    assert spec.metadata == {
        "k": "v",
        "schedule": "nightly",
        "schedule_id": SCHEDULE_ID,
        "scheduled_for": "2033-05-18T03:33:20Z",
    }
    assert (spec.soft_sla, spec.hard_sla) == (START_MS + 60_000, START_MS + 90_000)
    by_hand = spec_for(make_schedule(job=job), None, None, None)
    assert (by_hand.start_after, by_hand.soft_sla, "scheduled_for" in by_hand.metadata) == (None, None, False)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("name", {"name": "a b"}),
        ("name", {"name": SCHEDULE_ID}),
        ("expression", {"expression": "0 0 31 2 *"}),
        ("jitter_seconds", {"jitter_seconds": -1}),
        ("jitter_seconds", {"jitter_seconds": 3601}),
        ("jitter_seconds", {"jitter_seconds": float("nan")}),
        ("misfire_window_seconds", {"misfire_window_seconds": 31 * 86_400}),
        ("ends_at", {"starts_at": 2, "ends_at": 1}),
    ],
)
def test_a_schedule_checks_itself(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=field):
        make_schedule(**changes)


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("tags", {"tags": tuple("abcdefghijklmnopqrst")}),
        ("metadata", {"metadata": {str(n): "" for n in range(18)}}),
        ("soft_sla_seconds", {"soft_sla_seconds": 0}),
        ("hard_sla_seconds", {"hard_sla_seconds": float("inf")}),
        ("data", {"data": "x" * 65_536}),
        ("data", {"data": float("nan")}),
        ("priority", {"priority": 11}),
        ("name", {"name": ""}),
        ("timeout", {"timeout": 0}),
    ],
)
def test_a_template_checks_itself(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match=field):
        JobTemplate(**{"name": "work", **changes})


def test_the_largest_allowed_template_makes_a_job() -> None:
    job = JobTemplate(name="w", tags=tuple("abcdefghijklmnopqrs"), metadata={str(n): "" for n in range(17)})
    assert spec_for(make_schedule("n" * 64, job=job), START_MS, "x", START_MS).name == "w"
    assert isinstance(make_schedule(), Schedule)
