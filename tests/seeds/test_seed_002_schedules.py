"""The schedules of the job queue guide (seed 002): its Python snippets and its command lines, as they stand there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bridge import client_of
from gateway import Api
from snippets import Enough, run

from home import START, Clock, Home
from tidegate import runtime
from tidegate.cli import session
from tidegate.cli.main import main
from tidegate.client import Client
from tidegate.domain.errors import Conflict, NotFound
from tidegate.manager import JobManager, TrainingScheduler
from tidegate.scheduler import TrainingScheduler as SchedulerOfApp

Run = Callable[..., str]
ADMIN = Api(user="admin", scopes="admin")
_FIGURES = re.compile(r'^{"_aws".*\n', re.MULTILINE)


class TrainingConfig:
    """What the document's snippets configure: not part of the queue."""

    def to_dict(self) -> dict[str, Any]:
        return {"learning_rate": 5e-5, "batch_size": 4, "epochs": 10}


CREATE = """
    from tidegate.manager import TrainingScheduler

    scheduler = TrainingScheduler('jobs.db')

    # Daily training at 2am
    schedule_id = scheduler.create_schedule(
        name='daily-retrain',
        job_type='training',
        config={'training_config': config.to_dict()},
        schedule_expr='0 2 * * *',  # minute hour day month weekday
        priority=5
    )

    # Hourly evaluation
    scheduler.create_schedule(
        name='hourly-eval',
        job_type='evaluation',
        config={'dataset': 'test'},
        schedule_expr='0 * * * *',  # Every hour at minute 0
        priority=3
    )

    # Every 6 hours
    scheduler.create_schedule(
        name='periodic-check',
        job_type='evaluation',
        config={},
        schedule_expr='0 */6 * * *',
        priority=4
    )
"""

CHECK = """
    # Typically run by cron or daemon
    while True:
        # Check for schedules due to run
        job_ids = scheduler.check_due_schedules()

        if job_ids:
            print(f"Created {len(job_ids)} jobs from schedules")

        time.sleep(60)  # Check every minute
"""

SWITCH = """
    # Disable for maintenance
    scheduler.disable_schedule(schedule_id)
    disabled = [s.name for s in scheduler.list_schedules(enabled_only=True)]

    # Re-enable
    scheduler.enable_schedule(schedule_id)

    # List enabled schedules
    schedules = scheduler.list_schedules(enabled_only=True)
    for s in schedules:
        print(f"{s.name}: next run at {s.next_run}")
"""

CRONTAB = "from tidegate.manager import TrainingScheduler; print(TrainingScheduler('jobs.db').check_due_schedules())"


class TestPython:
    """On a folder whose clock the test moves."""

    @pytest.fixture
    def clock(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Clock:
        clock, real = Clock(), runtime.embedded
        monkeypatch.setattr(runtime, "embedded", lambda folder: real(folder, now=clock.now))
        monkeypatch.chdir(tmp_path)
        return clock

    @pytest.fixture
    def names(self, clock: Clock) -> Iterator[dict[str, Any]]:
        """What is known after the guide's schedules have been made."""
        made = run(CREATE, config=TrainingConfig())
        yield made
        made["scheduler"].close()

    def test_create_schedules(self, names: dict[str, Any]) -> None:
        scheduler: TrainingScheduler = names["scheduler"]
        found = {each.name: each for each in scheduler.list_schedules()}
        assert set(found) == {"daily-retrain", "hourly-eval", "periodic-check"}
        daily = found["daily-retrain"]
        assert (daily.schedule_id, daily.job_type) == (names["schedule_id"], "training")
        assert (daily.schedule_expr, daily.priority, daily.enabled, daily.last_run) == ("0 2 * * *", 5, True, None)
        assert daily.config == {"training_config": TrainingConfig().to_dict()}
        assert daily.created_at == datetime.fromtimestamp(START / 1000, UTC)
        assert daily.next_run == datetime(2033, 5, 19, 2, tzinfo=UTC)
        assert found["hourly-eval"].next_run == datetime(2033, 5, 18, 4, tzinfo=UTC)
        assert found["periodic-check"].next_run == datetime(2033, 5, 18, 6, tzinfo=UTC)
        with pytest.raises(Conflict):
            run(CREATE, config=TrainingConfig())

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
    def test_cron_expression_format(self, clock: Clock, expression: str, next_run: str) -> None:
        scheduler = TrainingScheduler("jobs.db")
        scheduler.create_schedule(name="s", job_type="training", config={}, schedule_expr=expression)
        (schedule,) = scheduler.list_schedules()
        assert schedule.next_run == datetime.fromisoformat(next_run).replace(tzinfo=UTC)
        scheduler.close()

    def test_check_due_schedules(self, names: dict[str, Any], clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
        """The guide's loop, in which a day goes by."""
        scheduler: TrainingScheduler = names["scheduler"]

        class Time:
            @staticmethod
            def sleep(seconds: float) -> None:
                clock.advance(seconds)
                if clock.now() >= START + 86_400_000:
                    raise Enough

        with pytest.raises(Enough):
            run(CHECK, names, time=Time)
        assert scheduler.check_due() == []
        lines = capsys.readouterr().out.splitlines()
        assert lines.count("Created 1 jobs from schedules") == 19
        assert lines.count("Created 2 jobs from schedules") == 5
        with JobManager("jobs.db") as manager:
            made = manager.list_jobs()
            assert sorted({(job.job_type, job.priority) for job in made}) == [
                ("evaluation", 3), ("evaluation", 4), ("training", 5),
            ]  # fmt: skip
            assert len(made) == 24 + 4 + 1
            first = manager.claim_job("worker-01")
            assert first is not None
            assert (first.job_type, first.config["training_config"]["epochs"]) == ("training", 10)

    def test_enable_and_disable(self, names: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
        after = run(SWITCH, names)
        assert after["disabled"] == ["hourly-eval", "periodic-check"]
        assert "daily-retrain: next run at 2033-05-19 02:00:00+00:00\n" in capsys.readouterr().out
        with pytest.raises(NotFound):
            names["scheduler"].disable_schedule("no-such")


def test_each_line_of_a_crontab_is_a_process_of_its_own_and_makes_a_job_once(tmp_path: Path) -> None:
    """Made a minute ago, due half a minute ago; then two processes come by."""
    past = datetime.now(UTC) - timedelta(seconds=60)
    app = runtime.embedded(tmp_path / "jobs.db.tidegate", now=lambda: round(past.timestamp() * 1000))
    due = (past + timedelta(seconds=30)).isoformat()
    SchedulerOfApp(app).create_schedule(name="s", job_type="training", config={}, schedule_expr=f"at {due}")
    app.ports.close()
    told = [
        subprocess.run([sys.executable, "-c", CRONTAB], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
        for _ in range(2)
    ]
    with JobManager(tmp_path / "jobs.db") as manager:
        (job,) = manager.list_jobs()
    assert told == [f"['{job.job_id}']\n", "[]\n"]


class TestCommandLine:
    """In both homes."""

    @pytest.fixture
    def client(self, home: Home) -> Iterator[Client]:
        with client_of(ADMIN) as made:
            yield made

    @pytest.fixture
    def tidegate(
        self, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> Run:
        """Runs a command line that must end with `code`; answers what it told."""
        monkeypatch.setattr(session.Session, "client", lambda *_, **__: client_of(ADMIN))
        monkeypatch.chdir(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps({"epochs": 10}))

        def run_it(*args: str, code: int = 0) -> str:
            with pytest.raises(SystemExit) as caught:
                main(list(args))
            out, err = capsys.readouterr()
            assert int(caught.value.code or 0) == code, err
            # The API is in this process, and what its function tells CloudWatch goes to the same output.
            return _FIGURES.sub("", out) if code == 0 else err

        return run_it

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
        made = json.loads(tidegate("schedule", "create", "--name", "s", "--type", "w", "--expr", "@daily", "--json"))
        assert (made["name"], made["expression"]) == ("s", "@daily")
        for command, keys in {
            "list": {"schedules", "hold"},
            "show s": set(made),
            "next s": {"timezone", "next_runs"},
            "enable s": set(made),
            "disable s": set(made),
            "set s priority=1": set(made),
            "backfill s --from 2020-01-01 --until 2020-01-03": {"runs"},
            "pause-all": {"paused"},
            "resume-all": {"paused"},
            "delete s": {"schedule_id"},
        }.items():
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
