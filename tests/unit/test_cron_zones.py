"""Cron in real time zones, against cronsim as oracle, and on the days of the changes one by one."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim

from tidegate.adapters.cron import ZonedCron
from tidegate.domain.cron import parse_cron

CRON = ZonedCron()
ZONES = (
    "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Asia/Gaza", "America/Santiago",
    "Atlantic/Azores", "Asia/Beirut", "Antarctica/Troll", "Pacific/Chatham", "America/Havana", "Asia/Kolkata", "UTC",
)  # fmt: skip


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def ours(text: str, zone: str, start: datetime, end: datetime) -> list[str]:
    found, rule, at = [], parse_cron(text), CRON.next_match(parse_cron(text), zone, ms(start) - 1)
    while at is not None and at < ms(end):
        found.append(CRON.local(zone, at))
        at = CRON.next_match(rule, zone, at)
    return found


def oracle(text: str, zone: str, start: datetime, end: datetime) -> list[str]:
    found = []
    for moment in CronSim(text, start.astimezone(ZoneInfo(zone)) - timedelta(seconds=1)):
        if moment >= end:
            break
        found.append(moment.isoformat(timespec="seconds"))
    return list(dict.fromkeys(found))


def random_rule(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return f"{rng.choice(['*/10', '7', '30', '0', '15,45'])} * * * *"
    minute = rng.choice(["0", "30", "15", "0,30", "5-50/15"])
    hour = rng.choice(["0", "1", "2", "3", "0-5", "1,2,3", "0,6,12,18", "23"])
    return f"{minute} {hour} {rng.choice(['*', '*', '1-7', '31', '1,15'])} {rng.choice(['*', '*', '3', '10-11'])} *"


def test_the_same_times_as_cronsim(capsys: pytest.CaptureFixture[str]) -> None:
    """Both follow Debian's cron for fixed times and for every-hour rules, around every change of four years."""
    rng, times, rules = random.Random(11), 0, 0
    for _ in range(150):
        text, zone = random_rule(rng), rng.choice(ZONES)
        if zone == "Australia/Lord_Howe" and text.split()[1] == "*":
            continue  # see test_half_an_hour_back
        start = datetime(rng.randint(2024, 2027), rng.choice([2, 3, 4, 9, 10, 11]), rng.randint(1, 25), tzinfo=UTC)
        end = start + timedelta(days=9 if " * * * *" in text else 40)
        found = ours(text, zone, start, end)
        assert found == oracle(text, zone, start, end), (text, zone)
        times, rules = times + len(found), rules + 1
    with capsys.disabled():
        print(f"\n  {times} times of {rules} rules in {len(ZONES)} zones: all as cronsim has them")  # noqa: T201
    assert times > 5_000


def day(text: str, zone: str, date: str) -> list[str]:
    """The local times of one day."""
    start = datetime.fromisoformat(date).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = (datetime.fromisoformat(date) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return [each[11:] for each in ours(text, zone, start, end)]


@pytest.mark.parametrize(
    ("text", "zone", "date", "expected"),
    [
        # times that do not exist run once, at the jump
        ("30 2 * * *", "Europe/Berlin", "2026-03-29", ["03:00:00+02:00"]),
        ("0,15,30 2 * * *", "America/New_York", "2026-03-08", ["03:00:00-04:00"]),
        ("0,30 2,3 * * *", "Europe/Berlin", "2026-03-29", ["03:00:00+02:00", "03:30:00+02:00"]),
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04", ["02:30:00+11:00"]),
        ("0 0 * * *", "America/Havana", "2026-03-08", ["01:00:00-04:00"]),
        ("0 0 * * *", "Asia/Beirut", "2026-03-29", ["01:00:00+03:00"]),
        # times that come twice run once, at the first
        ("30 2 * * *", "Europe/Berlin", "2026-10-25", ["02:30:00+02:00"]),
        ("30 1 * * *", "America/New_York", "2026-11-01", ["01:30:00-04:00"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05", ["01:45:00+11:00"]),
        # every-hour rules follow the hours that pass
        ("0 * * * *", "Europe/Berlin", "2026-10-25", [
            "00:00:00+02:00", "01:00:00+02:00", "02:00:00+02:00", "02:00:00+01:00",
            *(f"{hour:02d}:00:00+01:00" for hour in range(3, 24)),
        ]),
        ("30 * * * *", "Europe/Berlin", "2026-03-29", [
            "00:30:00+01:00", "01:30:00+01:00", *(f"{hour:02d}:30:00+02:00" for hour in range(3, 24)),
        ]),
    ],
)  # fmt: skip
def test_days_of_a_change(text: str, zone: str, date: str, expected: list[str]) -> None:
    assert day(text, zone, date) == expected


def test_half_an_hour_back() -> None:
    """Lord Howe goes back by 30 minutes, so that 01:30 comes twice. A rule for every hour runs in both, as cronsim does
    for several minutes of the hour; for a single one cronsim steps 60 minutes at once and misses the second."""
    start, end = datetime(2025, 4, 5, 13, tzinfo=UTC), datetime(2025, 4, 5, 16, 30, tzinfo=UTC)
    both = ["2025-04-06T00:30:00+11:00", "2025-04-06T01:30:00+11:00", "2025-04-06T01:30:00+10:30"]
    assert ours("30 * * * *", "Australia/Lord_Howe", start, end) == [*both, "2025-04-06T02:30:00+10:30"]
    assert [each for each in oracle("30,31 * * * *", "Australia/Lord_Howe", start, end) if ":30:00+" in each] == [
        *both,
        "2025-04-06T02:30:00+10:30",
    ]
    assert both[2] not in oracle("30 * * * *", "Australia/Lord_Howe", start, end)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Australia/Lord_Howe", "Africa/Casablanca"])
def test_where_cronsim_differs_by_intent(zone: str) -> None:
    """Debian's cron, and cronsim with it, take `*/10 2` for a rule that follows elapsed time: on the day of the jump it
    does not run at all, and in the doubled hour it runs twice as often. Here only rules for every hour do so."""
    year = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)]
    found = ours("*/10 2 * * *", zone, *year)
    assert len({each[:10] for each in found}) >= 365
    theirs = oracle("*/10 2 * * *", zone, *year)
    assert set(found) != set(theirs)
    assert len(found) <= 6 * 366


def test_every_day_of_a_named_time_runs_exactly_once_in_every_zone() -> None:
    """However a zone shifts its clock, a daily time is one moment of each local day."""
    for zone in ZONES:
        for text in ("0 0 * * *", "30 0 * * *", "30 1 * * *", "45 2 * * *", "59 23 * * *"):
            found = ours(text, zone, datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 12, 31, 12, tzinfo=UTC))
            days = [each[:10] for each in found]
            assert len(days) == len(set(days)) == 364, (zone, text)


def test_the_next_time_is_after_the_given_one_to_the_millisecond() -> None:
    rule, noon = parse_cron("0 12 * * *"), ms(datetime(2026, 7, 1, 12, tzinfo=UTC))
    assert CRON.next_match(rule, "UTC", noon - 1) == noon
    assert CRON.next_match(rule, "UTC", noon) == noon + 86_400_000
    jump = ms(datetime(2026, 3, 29, 1, tzinfo=UTC))
    rule = parse_cron("30 2 * * *")
    assert CRON.next_match(rule, "Europe/Berlin", jump - 1) == jump
    assert CRON.next_match(rule, "Europe/Berlin", jump) == ms(datetime(2026, 3, 30, 0, 30, tzinfo=UTC))


def test_leap_days_come_even_after_eight_years() -> None:
    at = CRON.next_match(parse_cron("0 0 29 2 *"), "UTC", ms(datetime(2096, 3, 1, tzinfo=UTC)))
    assert at == ms(datetime(2104, 2, 29, tzinfo=UTC))


def test_either_day_field_will_do_when_both_are_given() -> None:
    found = ours("0 0 13 * FRI", "UTC", datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    assert [each[8:10] for each in found] == ["06", "13", "20", "27"]
