"""A database in trouble: clear errors, nothing half written, and all is well once the trouble is over."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from home import ADMIN, Home
from tidegate import runtime
from tidegate.adapters.sqlite import database as database_module
from tidegate.adapters.sqlite.database import Database, Transaction
from tidegate.adapters.sqlite.ports import FILE_NAME
from tidegate.domain.errors import Unavailable
from tidegate.domain.spec import JobSpec
from tidegate.domain.ticket import Lane
from tidegate.service.submit import submit


def file_of(home: Home) -> Path:
    assert home.app.settings.data is not None
    return home.app.settings.data / FILE_NAME


def pragma(home: Home, text: str) -> None:
    """Set a pragma on the connection that this thread's calls use."""
    transaction = home.ports.together()
    assert isinstance(transaction, Transaction)
    transaction._connection.execute(f"PRAGMA {text}")


def counts(home: Home) -> tuple[int, int]:
    """Jobs and tickets stored, read by a connection of its own."""
    connection = sqlite3.connect(file_of(home))
    try:
        (jobs,), (tickets,) = connection.execute("SELECT COUNT(*) FROM jobs UNION ALL SELECT COUNT(*) FROM tickets")
    finally:
        connection.close()
    return jobs, tickets


def test_a_full_disk_refuses_a_batch_whole_and_says_so(home: Home) -> None:
    home.submit()
    before = counts(home)
    pragma(home, "max_page_count = 1")  # SQLite takes the present size where that is larger
    with pytest.raises(Unavailable, match="full"):
        submit(home.ports, ADMIN, [JobSpec(name="work", data="x" * 4_000) for _ in range(100)])
    assert counts(home) == before
    pragma(home, "max_page_count = 1073741823")
    home.submit()
    home.drain(home.runner(work=lambda job: 1))
    assert home.ports.jobs.head(Lane("main", "default"), 10) == []


def test_a_read_only_file_is_told(home: Home) -> None:
    pragma(home, "query_only = ON")
    with pytest.raises(Unavailable, match="readonly"):
        home.submit()
    pragma(home, "query_only = OFF")
    home.submit()
    assert counts(home) == (1, 1)


def test_a_file_locked_by_another_process_is_told_after_a_while(home: Home) -> None:
    home.submit()
    pragma(home, "busy_timeout = 50")
    other = sqlite3.connect(file_of(home), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unavailable, match="locked"):
        home.submit()
    other.execute("ROLLBACK")
    other.close()
    home.submit()
    assert counts(home) == (2, 2)


@pytest.mark.parametrize("damage", [b"this is no database", b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_a_damaged_file_is_not_opened(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(damage)
    with pytest.raises(Unavailable, match="database"):
        runtime.embedded(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == damage


def test_a_newer_file_is_not_touched(tmp_path: Path) -> None:
    runtime.embedded(tmp_path).ports.close()
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    connection.execute(f"PRAGMA user_version = {database_module.SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(Unavailable, match="newer"):
        runtime.embedded(tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match="folder"):
        runtime.embedded(tmp_path / "file" / "data")


@pytest.mark.parametrize("mode", ["NORMAL", "FULL"])
def test_the_durability_asked_for_is_in_force(tmp_path: Path, mode: str) -> None:
    database = Database(tmp_path / FILE_NAME, mode)
    (level,) = database.rows("PRAGMA synchronous")[0]
    (journal,) = database.rows("PRAGMA journal_mode")[0]
    database.close()
    assert (level, journal) == ({"NORMAL": 1, "FULL": 2}[mode], "wal")


def test_a_failed_transaction_leaves_nothing_behind(home: Home) -> None:
    before = counts(home)

    def fail() -> None:
        with home.ports.together():
            home.submit()
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        fail()
    assert counts(home) == before
    home.submit()
    assert counts(home) == (1, 1)
