"""The schedules of the job queue guide (seed 002): its Python snippets and its command lines, as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from home import START, Home
from tidegate.cli.main import app as cli
from tidegate.client import Client
from tidegate.domain.errors import Conflict, NotFound
from tidegate.scheduler import TrainingScheduler

Run = Callable[..., str]


class TrainingConfig:
    """The guide's."""

    def to_dict(self) -> dict[str, Any]:
        return {"learning_rate": 5e-5, "batch_size": 4, "epochs": 10}


@pytest.fixture
def scheduler(home: Home) -> TrainingScheduler:
    return TrainingScheduler(home.app)


def create_the_guides_three(scheduler: TrainingScheduler) -> str:
    config = TrainingConfig()
    # Daily training at 2am
    schedule_id = scheduler.create_schedule(
        name="daily-retrain",
        job_type="training",
        config={"training_config": config.to_dict()},
        schedule_expr="0 2 * * *",  # minute hour day month weekday
        priority=5,
    )
    # Hourly evaluation
    scheduler.create_schedule(
        name="hourly-eval",
        job_type="evaluation",
        config={"dataset": "test"},
        schedule_expr="0 * * * *",  # Every hour at minute 0
        priority=3,
    )
    # Every 6 hours
    scheduler.create_schedule(
        name="periodic-check", job_type="evaluation", config={}, schedule_expr="0 */6 * * *", priority=4
    )
    return schedule_id


def test_create_schedules(scheduler: TrainingScheduler) -> None:
    schedule_id = create_the_guides_three(scheduler)
    found = {each.name: each for each in scheduler.list_schedules()}
    assert set(found) == {"daily-retrain", "hourly-eval", "periodic-check"}
    daily = found["daily-retrain"]
    assert (daily.schedule_id, daily.job_type, daily.schedule_expr) == (schedule_id, "training", "0 2 * * *")
    assert (daily.priority, daily.enabled, daily.last_run) == (5, True, None)
    assert daily.config == {"training_config": TrainingConfig().to_dict()}
    assert daily.created_at == datetime.fromtimestamp(START / 1000, UTC)
    assert daily.next_run == datetime(2033, 5, 19, 2, tzinfo=UTC)
    assert found["hourly-eval"].next_run == datetime(2033, 5, 18, 4, tzinfo=UTC)
    assert found["periodic-check"].next_run == datetime(2033, 5, 18, 6, tzinfo=UTC)
    with pytest.raises(Conflict):
        create_the_guides_three(scheduler)


@pytest.mark.parametrize(
    ("expression", "next_run"),
    [
        ("0 2 * * *", "2033-05-19T02:00:00"),
        ("0 */6 * * *", "2033-05-18T06:00:00"),
        ("30 14 * * *", "2033-05-18T14:30:00"),
        ("0 * * * *", "2033-05-18T04:00:00"),
        ("0 0 * * 0", "2033-05-22T00:00:00"),
        ("0 0 1 * *", "2033-06-01T00:00:00"),
    ],
)
def test_cron_expression_format(scheduler: TrainingScheduler, expression: str, next_run: str) -> None:
    scheduler.create_schedule(name="s", job_type="training", config={}, schedule_expr=expression)
    (schedule,) = scheduler.list_schedules()
    assert schedule.next_run == datetime.fromisoformat(next_run).replace(tzinfo=UTC)


def test_check_due_schedules(
    scheduler: TrainingScheduler, home: Home, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's loop: check, then sleep for a minute; here the clock is moved instead."""
    create_the_guides_three(scheduler)
    for _ in range(24 * 60):
        # Check for schedules due to run
        job_ids = scheduler.check_due_schedules()

        if job_ids:
            print(f"Created {len(job_ids)} jobs from schedules")  # noqa: T201

        home.clock.advance(60)
    assert scheduler.check_due() == []
    lines = capsys.readouterr().out.splitlines()
    assert lines.count("Created 1 jobs from schedules") == 19
    assert lines.count("Created 2 jobs from schedules") == 5
    assert {"training", "evaluation"} == {home.job(job_id).name for job_id in ids_of(home)}
    assert len(ids_of(home)) == 24 + 4 + 1


def ids_of(home: Home) -> list[str]:
    from tidegate.ports import JobQuery

    return [job.id for job in home.ports.jobs.page(JobQuery(tenant="main", limit=200)).jobs]


def test_enable_and_disable(scheduler: TrainingScheduler, home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    schedule_id = create_the_guides_three(scheduler)
    # Disable for maintenance
    scheduler.disable_schedule(schedule_id)
    schedules = scheduler.list_schedules(enabled_only=True)
    assert [s.name for s in schedules] == ["hourly-eval", "periodic-check"]

    # Re-enable
    scheduler.enable_schedule(schedule_id)

    # List enabled schedules
    schedules = scheduler.list_schedules(enabled_only=True)
    for s in schedules:
        print(f"{s.name}: next run at {s.next_run}")  # noqa: T201
    assert "daily-retrain: next run at 2033-05-19 02:00:00+00:00" in capsys.readouterr().out
    with pytest.raises(NotFound):
        scheduler.disable_schedule("no-such")


def test_a_scheduler_on_a_path_of_its_own(tmp_path: Path) -> None:
    """As in a crontab: each minute a new process checks; jobs are made once."""
    scheduler = TrainingScheduler(tmp_path / "jobs.db")
    scheduler.create_schedule(name="s", job_type="training", config={}, schedule_expr="every 1s")
    scheduler.close()
    code = (
        "import sys, time; from tidegate.scheduler import TrainingScheduler; time.sleep(2.1); "
        "print(len(TrainingScheduler(sys.argv[1]).check_due_schedules()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "jobs.db")], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) >= 1


class TestCommandLine:
    @pytest.fixture(autouse=True)
    def config_file(self, tidegate: Run, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text(json.dumps({"epochs": 10}))

    def create(self, tidegate: Run) -> str:
        return tidegate(
            "schedule", "create",
            "--name", "daily-train",
            "--type", "training",
            "--expr", "0 2 * * *",
            "--config", "config.json",
            "--priority", "5",
        )  # fmt: skip

    def test_create(self, tidegate: Run, client: Client) -> None:
        first, second, third = self.create(tidegate).splitlines()
        schedule = client.schedule("daily-train")
        assert first == f"✅ Created schedule 'daily-train' with ID={schedule.id}"
        assert second == "   Expression: 0 2 * * *"
        assert third == "   Next run: 2033-05-19T02:00:00"
        assert (schedule.job_type, schedule.config, schedule.priority) == ("training", {"epochs": 10}, 5)

    def test_list(self, tidegate: Run, client: Client) -> None:
        self.create(tidegate)
        tidegate("schedule", "create", "--name", "hourly-eval", "--type", "evaluation", "--expr", "0 * * * *")
        tidegate("schedule", "disable", "hourly-eval")
        heading, *rows = tidegate("schedule", "list").splitlines()
        assert re.split(r"\s{2,}", heading.strip()) == ["ID", "Name", "Type", "Expression", "Enabled", "Next Run"]
        assert [re.split(r"\s{2,}", row.strip())[1:] for row in rows] == [
            ["daily-train", "training", "0 2 * * *", "✓", "2033-05-19T02:00:00"],
            ["hourly-eval", "evaluation", "0 * * * *", "✗", "-"],
        ]
        assert "hourly-eval" not in tidegate("schedule", "list", "--enabled-only")

    def test_disable_and_enable(self, tidegate: Run, client: Client) -> None:
        self.create(tidegate)
        schedule_id = client.schedule("daily-train").id
        for ref in (schedule_id, schedule_id[:8], "daily-train"):
            assert tidegate("schedule", "disable", ref) == f"✅ Disabled schedule {ref}\n"
            assert not client.schedule(schedule_id).enabled
            assert tidegate("schedule", "enable", ref) == f"✅ Enabled schedule {ref}\n"
            assert client.schedule(schedule_id).enabled

    def test_what_the_guide_has_not(self, tidegate: Run, client: Client, home: Home) -> None:
        line = tidegate(
            "schedule", "create", "--name", "s", "--type", "work", "--expr", "30 2 * * *",
            "--timezone", "Europe/Berlin", "--overlap", "skip", "--misfire", "run_all", "--tag", "a",
        )  # fmt: skip
        assert (
            line.splitlines()[2] == "   Next run: 2033-05-19T00:30:00 UTC, 2033-05-19T02:30:00+02:00 in Europe/Berlin"
        )
        table = tidegate("schedule", "next", "s", "-n", "2").splitlines()
        assert table[1].split() == ["2033-05-19T02:30:00+02:00", "2033-05-19", "00:30:00"]
        assert len(table) == 3
        job_id = tidegate("schedule", "trigger", "s").split()[-1]
        assert client.get(job_id).tags == ("a", "schedule:s")
        told = tidegate("schedule", "backfill", "s", "--from", "2020-01-01", "--until", "2020-01-10")
        assert told == "✅ 9 past runs of s are being made, 60 a minute\n"
        assert tidegate("schedule", "set", "s", "expression=every 1h", "priority=9").startswith("✅ Schedule s set")
        home.clock.advance(3_600)
        home.tick()
        shown = tidegate("schedule", "show", "s")
        assert "overlap: skip" in shown
        assert re.search(r"2033-05-18 04:33:20 +fired +[0-9a-f-]{36} +CREATED", shown)
        assert tidegate("schedule", "pause-all", "--reason", "disks") == "✅ Paused all schedules\n"
        assert tidegate("schedule", "list").startswith("All schedules are paused by admin: disks")
        assert tidegate("schedule", "resume-all") == "✅ Resumed all schedules\n"
        assert tidegate("schedule", "delete", "s") == "✅ Deleted schedule s\n"
        assert tidegate("schedule", "list") == "No schedules\n"

    def test_json_everywhere(self, tidegate: Run) -> None:
        made = json.loads(tidegate("schedule", "create", "--name", "s", "--type", "w", "--every", "90s", "--json"))
        assert (made["name"], made["expression"]) == ("s", "every 90s")
        for command, keys in {
            "list": {"schedules", "hold"},
            "show s": set(made),
            "next s": {"timezone", "next_runs"},
            "enable s": set(made),
            "disable s": set(made),
            "set s priority=1": set(made),
            "backfill s --from 2020-01-01": set(),
            "pause-all": {"paused"},
            "resume-all": {"paused"},
            "delete s": {"schedule_id"},
        }.items():
            if not keys:
                continue
            assert set(json.loads(tidegate("schedule", *command.split(), "--json"))) == keys, command

    @pytest.mark.parametrize(
        ("args", "code", "told"),
        [
            (["show", "nothing"], 3, "there is no schedule 'nothing'"),
            (["create", "--name", "s", "--type", "w", "--expr", "0 0 31 2 *"], 2, "it would never run"),
            (["create", "--name", "s", "--type", "w"], 2, "expression"),
            (["create", "--name", "s", "--type", "w", "--every", "5"], 2, "interval"),
            (["backfill", "s", "--from", "2999-01-01"], 2, "past"),
        ],
    )
    def test_what_is_wrong_is_told(self, tidegate: Run, args: list[str], code: int, told: str) -> None:
        assert told in tidegate("schedule", *args, code=code)

    def test_the_group_is_there(self) -> None:
        assert "schedule" in {group.name for group in cli.registered_groups}


@pytest.fixture(autouse=True)
def closed(home: Home) -> Iterator[None]:
    yield
    home.close()
