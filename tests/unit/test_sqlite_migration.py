"""A file of an earlier version is brought to the present schema, with all that is in it."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from importlib.resources import files
from pathlib import Path

import pytest

from home import ADMIN, Home
from support.clock import Clock
from tidegate import runtime
from tidegate.adapters.sqlite.database import SCHEMA_VERSION, Database
from tidegate.adapters.sqlite.ports import FILE_NAME
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import State
from tidegate.domain.spec import JobSpec
from tidegate.ports import JobKey
from tidegate.service.submit import submit_one

SCHEMA = files("tidegate.adapters.sqlite").joinpath("schema.sql").read_text()
FIRST = Path(__file__).with_name("schemas").joinpath("1.sql").read_text()


def opened(folder: Path) -> Home:
    clock = Clock()
    return Home(runtime.embedded(folder, now=clock.now, new_id=clock.new_id), clock)


def things(path: Path) -> set[tuple[str, str, str]]:
    connection = sqlite3.connect(path)
    found = set(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    connection.close()
    return found


def of_the_first_schema(path: Path) -> None:
    """Leave in the file what the first version would have written: its tables, and their columns alone."""
    old = path.with_suffix(".old")
    connection = sqlite3.connect(old)
    connection.executescript(FIRST)
    connection.execute("ATTACH DATABASE ? AS present", (str(path),))
    for trigger in ("jobs_created", "jobs_changed", "jobs_erased"):
        connection.execute(f"DROP TRIGGER {trigger}")
    tables = [name for (name,) in connection.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = ", ".join(f'"{row[1]}"' for row in connection.execute(f'PRAGMA main.table_info("{table}")'))
        connection.execute(f'INSERT INTO main."{table}" SELECT {columns} FROM present."{table}"')
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    old.rename(path)


def test_a_home_of_the_first_version_keeps_its_jobs_and_goes_on(tmp_path: Path) -> None:
    before = opened(tmp_path)
    ended = submit_one(before.ports, ADMIN, JobSpec(name="work", data={"n": 1}, tags=("a",))).job
    before.drain(before.runner(work=lambda job: job.data))
    waiting = submit_one(before.ports, ADMIN, JobSpec(name="work", data={"n": 2}, priority=8)).job
    before.ports.close()
    of_the_first_schema(tmp_path / FILE_NAME)

    home = opened(tmp_path)
    found = home.ports.jobs.get([JobKey("main", job.id) for job in (ended, waiting)])
    assert [job and (job.state, job.data, job.priority) for job in found] == [
        (State.COMPLETED, {"n": 1}, 5),
        (State.CREATED, {"n": 2}, 8),
    ]
    home.drain(home.runner(work=lambda job: job.data))
    (job,) = home.ports.jobs.get([JobKey("main", waiting.id)])
    assert job is not None
    assert (job.state, job.result) == (State.COMPLETED, {"n": 2})
    home.ports.close()

    opened(tmp_path / "fresh").ports.close()
    assert things(tmp_path / FILE_NAME) == things(tmp_path / "fresh" / FILE_NAME)


def test_numbers_that_were_given_once_are_not_given_again(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.executescript(FIRST)
    connection.execute("INSERT INTO changes (seq, tenant, id) VALUES (41, 'main', 'a')")
    connection.execute("DELETE FROM changes")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    database = Database(path)
    database.rows("INSERT INTO changes (tenant, id) VALUES ('main', 'b')")
    assert database.rows("SELECT seq FROM changes") == [(42,)]
    database.close()


def test_rows_that_do_not_fit_leave_the_file_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE tokens (id TEXT PRIMARY KEY, tenant TEXT) STRICT, WITHOUT ROWID")
    connection.execute("INSERT INTO tokens VALUES ('t', 'main')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    seen = things(path)
    with pytest.raises(Unavailable, match="of schema 1 cannot be brought to schema"):
        runtime.embedded(tmp_path)
    assert things(path) == seen


def test_of_several_that_open_a_file_at_once_one_migrates_it(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    connection = sqlite3.connect(path)
    connection.executescript(FIRST)
    connection.execute("INSERT INTO batches VALUES ('b')")
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    found: list[object] = []

    def open_it() -> None:
        database = Database(path)
        found.append(database.rows("SELECT name FROM batches"))
        database.close()

    threads = [threading.Thread(target=open_it) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[("b",)]] * 6


def test_a_change_of_the_schema_raises_its_version() -> None:
    """Else the files that are in use would never be migrated: put the new digest here beside the new version."""
    digest = hashlib.sha256(SCHEMA.encode()).hexdigest()[:16]
    assert (SCHEMA_VERSION, digest) == (4, "2ff59da384938421")
