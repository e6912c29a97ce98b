"""`Schedules` and `Cron`, in both homes."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytest

from support.aws import Cloud
from support.clock import START_MS
from support.homes import Home
from support.schedules import SCHEDULE_ID, make_schedule
from tidegate.domain.cron import parse_cron
from tidegate.domain.dag.spec import FailurePolicy
from tidegate.domain.errors import InvalidInput
from tidegate.domain.schedule import Backfill, DagTemplate, Fate, Firing, JobTemplate, Misfire, Overlap, Schedule
from tidegate.ports import Hold, Ports, ScheduleKey

KEY = ScheduleKey("acme", "nightly")
PLAIN = make_schedule()
JOB = JobTemplate(
    name="train",
    data={"a": [1, 2.5, None, {"ü": ""}]},
    queue="mail",
    priority=0,
    tags=("x", "y"),
    metadata={"k": ""},
    expire_in_seconds=60.5,
    soft_sla_seconds=1.5,
    hard_sla_seconds=2.5,
    timeout=0.5,
    retry_limit=0,
    retry_delay=0.25,
    retry_backoff=False,
    retry_delay_max=9.0,
    retry_jitter=False,
)
CHANGED: Mapping[str, Any] = {
    "owner": "bob",
    "expression": "0 2 * * MON-FRI",
    "timezone": "Europe/Berlin",
    "job": JOB,
    "enabled": False,
    "paused_by": "ann",
    "paused_reason": "",
    "starts_at": START_MS,
    "ends_at": START_MS + 9,
    "jitter_seconds": 2.5,
    "misfire": Misfire.RUN_ALL,
    "misfire_window_seconds": 0.5,
    "overlap": Overlap.QUEUE_ONE,
    "created_at": START_MS + 1,
    "updated_at": START_MS + 2,
    "version": 7,
    "next_run": START_MS + 3,
    "look_at": START_MS + 4,
    "queued": True,
    "releasing": (START_MS, START_MS + 1),
    "last_run": START_MS + 5,
    "last_job_id": "j",
    "last_error": "nö",
    "fired": 3,
    "recent": (Firing(START_MS, Fate.FIRED), Firing(START_MS + 1, Fate.MISSED)),
    "backfill": Backfill(1, 2, 3, 4, 5, "ann"),
}
FULL = replace(PLAIN, **CHANGED)
DAG = DagTemplate(
    name="etl",
    nodes=(
        {"id": "a", "job": {"name": "work", "data": {"ü": None}}},
        {"id": "b", "job": {"name": "x"}, "depends_on": ["a"]},
    ),
    definition="etl@3",
    failure_policy=FailurePolicy.CONTINUE,
    soft_sla_seconds=1.5,
    hard_sla_seconds=2.5,
    tags=("x", "y"),
    metadata={"k": ""},
)
OF_RUNS = replace(FULL, job=None, dag=DAG)


def stored(ports: Ports, key: ScheduleKey = KEY) -> Schedule | None:
    (found,) = ports.schedules.get([key])
    return found


def due(ports: Ports, by: int, limit: int = 100) -> list[str]:
    return [key.name for key in ports.schedules.due(START_MS + by, limit)]


class TestSchedules:
    def test_the_full_schedule_differs_in_every_field(self) -> None:
        full = {"dag": DAG, **{each.name: getattr(FULL, each.name) for each in fields(Schedule) if each.name != "dag"}}
        assert {name for name, value in full.items() if getattr(PLAIN, name) == value} == {"id", "tenant", "name"}
        least = DagTemplate(name="", nodes=())
        assert not [each.name for each in fields(DagTemplate) if getattr(DAG, each.name) == getattr(least, each.name)]
        plain = JobTemplate(name="work")
        assert not [each.name for each in fields(JobTemplate) if getattr(JOB, each.name) == getattr(plain, each.name)]

    @pytest.mark.parametrize("schedule", [PLAIN, FULL, OF_RUNS], ids=["plain", "full", "runs"])
    def test_a_schedule_is_read_as_it_was_stored(self, ports: Ports, schedule: Schedule) -> None:
        assert ports.schedules.create(schedule)
        assert stored(ports) == schedule
        assert ports.schedules.name_of("acme", SCHEDULE_ID) == "nightly"

    @pytest.mark.parametrize("name", CHANGED)
    def test_every_field_can_be_changed_and_changed_back(self, ports: Ports, name: str) -> None:
        ports.schedules.create(PLAIN)
        changed = replace(PLAIN, **{"version": 2, name: CHANGED[name]})
        back = replace(PLAIN, version=changed.version + 1)
        assert list(ports.schedules.replace_if_unchanged([(changed, PLAIN)])) == [True]
        assert stored(ports) == changed
        assert list(ports.schedules.replace_if_unchanged([(back, changed)])) == [True]
        assert stored(ports) == back

    def test_names_and_ids_are_unique_in_a_tenant(self, ports: Ports) -> None:
        other_id = SCHEDULE_ID.replace("a", "b")
        assert ports.schedules.create(PLAIN)
        assert not ports.schedules.create(replace(FULL, id=other_id))
        assert not ports.schedules.create(replace(FULL, name="other"))
        assert ports.schedules.create(replace(FULL, tenant="zeta"))
        assert stored(ports) == PLAIN
        assert ports.schedules.name_of("acme", other_id) is None
        assert stored(ports, ScheduleKey("acme", "other")) is None

    def test_get_keeps_the_order_asked_for(self, ports: Ports) -> None:
        made = [make_schedule(name, id=SCHEDULE_ID.replace("a", name)) for name in ("b", "c")]
        for schedule in made:
            ports.schedules.create(schedule)
        keys = [ScheduleKey("acme", name) for name in ("c", "x", "b", "c")]
        assert list(ports.schedules.get(keys)) == [made[1], None, made[0], made[1]]

    def test_a_change_of_another_version_is_refused(self, ports: Ports) -> None:
        ports.schedules.create(PLAIN)
        second = replace(PLAIN, version=2, fired=1, look_at=START_MS)
        assert list(ports.schedules.replace_if_unchanged([(second, PLAIN)])) == [True]
        late = replace(PLAIN, version=2, fired=9, look_at=START_MS + 5, job=JOB)
        assert list(ports.schedules.replace_if_unchanged([(late, PLAIN)])) == [False]
        assert stored(ports) == second
        assert due(ports, 10) == ["nightly"]

    def test_a_change_of_a_deleted_or_newly_made_schedule_is_refused(self, ports: Ports) -> None:
        ports.schedules.create(PLAIN)
        assert ports.schedules.delete_if_unchanged(PLAIN)
        change = (replace(PLAIN, version=2, look_at=START_MS), PLAIN)
        assert list(ports.schedules.replace_if_unchanged([change])) == [False]
        again = replace(PLAIN, id=SCHEDULE_ID.replace("a", "b"))
        assert ports.schedules.create(again)
        assert list(ports.schedules.replace_if_unchanged([change])) == [False]
        assert stored(ports) == again
        assert due(ports, 10) == []

    def test_deleting_takes_everything_away(self, ports: Ports) -> None:
        schedule = replace(FULL, look_at=START_MS)
        ports.schedules.create(schedule)
        assert not ports.schedules.delete_if_unchanged(replace(schedule, version=6))
        assert ports.schedules.delete_if_unchanged(schedule)
        assert not ports.schedules.delete_if_unchanged(schedule)
        assert stored(ports) is None
        assert ports.schedules.name_of("acme", SCHEDULE_ID) is None
        assert due(ports, 10) == []
        assert list(ports.schedules.list("acme", "", 10)) == []
        assert ports.schedules.create(schedule)

    def test_due_schedules_come_soonest_first_and_not_before_their_time(self, ports: Ports) -> None:
        for number, at in enumerate((50, 10, 40, 20, 30)):
            name = f"s{at}"
            ports.schedules.create(make_schedule(name, id=SCHEDULE_ID[:-1] + str(number), look_at=START_MS + at))
        ports.schedules.create(make_schedule("never", look_at=None))
        assert due(ports, 30) == ["s10", "s20", "s30"]
        assert due(ports, 29) == ["s10", "s20"]
        assert due(ports, 100, limit=2) == ["s10", "s20"]

    def test_due_follows_changes(self, ports: Ports) -> None:
        seen = make_schedule(look_at=START_MS + 10)
        ports.schedules.create(seen)
        for look_at, expected in ((START_MS + 20, ["nightly"]), (None, []), (START_MS + 5, ["nightly"])):
            new = replace(seen, look_at=look_at, version=seen.version + 1)
            assert list(ports.schedules.replace_if_unchanged([(new, seen)])) == [True]
            assert due(ports, 100) == expected
            seen = new
        assert due(ports, 4) == []

    def test_schedules_are_listed_by_name_in_pages(self, ports: Ports) -> None:
        names = ["Z", "a", "a.1", "b", "c"]
        for number, name in enumerate(reversed(names)):
            ports.schedules.create(make_schedule(name, id=SCHEDULE_ID[:-1] + str(number)))
        ports.schedules.create(make_schedule("other", tenant="zeta"))
        assert [each.name for each in ports.schedules.list("acme", "", 10)] == names
        assert [each.name for each in ports.schedules.list("acme", "", 2)] == names[:2]
        assert [each.name for each in ports.schedules.list("acme", "a", 2)] == ["a.1", "b"]
        assert list(ports.schedules.list("nobody", "", 10)) == []

    def test_many_changes_at_once(self, ports: Ports) -> None:
        made = [make_schedule(f"s{n:02d}", id=SCHEDULE_ID[:-2] + f"{n:02d}", look_at=START_MS) for n in range(30)]
        for schedule in made:
            assert ports.schedules.create(schedule)
        changes = [(replace(each, version=2, look_at=START_MS + 10), each) for each in made]
        changes[7] = (changes[7][0], replace(changes[7][1], version=5))
        assert list(ports.schedules.replace_if_unchanged(changes)) == [number != 7 for number in range(30)]
        assert due(ports, 0) == ["s07"]

    def test_one_of_many_threads_wins(self, home: Home) -> None:
        ports = home.ports
        ports.schedules.create(PLAIN)
        won: list[int] = []

        def change(number: int) -> None:
            new = replace(PLAIN, version=2, fired=number, look_at=START_MS + number)
            if ports.schedules.replace_if_unchanged([(new, PLAIN)])[0]:
                won.append(number)
            ports.close()

        threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = won
        found = stored(ports)
        assert found is not None
        assert found.fired == winner
        assert due(ports, 100) == ["nightly"]
        assert due(ports, winner - 1) == []

    def test_a_hold_is_of_one_tenant_and_ends(self, ports: Ports) -> None:
        hold = Hold("ann", START_MS, "new disks")
        ports.schedules.set_hold("acme", hold)
        assert ports.schedules.hold_of("acme") == hold
        assert ports.schedules.hold_of("zeta") is None
        ports.schedules.set_hold("acme", Hold("bob", START_MS + 1))
        assert ports.schedules.hold_of("acme") == Hold("bob", START_MS + 1)
        ports.schedules.set_hold("acme", None)
        ports.schedules.set_hold("acme", None)
        assert ports.schedules.hold_of("acme") is None


class TestCron:
    def test_zones_are_checked(self, ports: Ports) -> None:
        ports.cron.check_zone("America/Argentina/Buenos_Aires")
        for zone in ("", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "Europe", "x" * 300, "a\0b"):
            with pytest.raises(InvalidInput):
                ports.cron.check_zone(zone)

    def test_the_next_match_and_its_local_time(self, ports: Ports) -> None:
        at = ports.cron.next_match(parse_cron("0 2 * * *"), "Asia/Kolkata", START_MS)
        assert at is not None
        assert ports.cron.local("Asia/Kolkata", at) == "2033-05-19T02:00:00+05:30"


def test_what_the_clock_reads_when_nothing_is_due_does_not_grow(aws: Cloud) -> None:
    """A minute with nothing due costs one query of a due shard each, whatever is stored."""
    ports = aws.reset()
    for number in range(50):
        ports.schedules.create(
            make_schedule(f"s{number}", id=SCHEDULE_ID[:-2] + f"{number:02d}", look_at=START_MS + 10**9)
        )
    requests: list[str] = []

    def note(model: Any, **_: Any) -> None:
        requests.append(model.name)

    events = aws.clients.dynamodb.meta.events
    events.register("before-call.dynamodb", note)
    try:
        assert list(ports.schedules.due(START_MS, 200)) == []
    finally:
        events.unregister("before-call.dynamodb", note)
    assert requests == ["Query"] * 4
