"""Waiting for the commit of another process: at once where the kernel tells of writes, by short sleeps elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidegate.adapters.sqlite import bell as module
from tidegate.adapters.sqlite.bell import Bell
from tidegate.adapters.sqlite.database import Database


class Time:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=made.sleep, monotonic=made.monotonic))
    return made


@pytest.fixture
def rung(tmp_path: Path) -> Iterator[tuple[Path, Bell]]:
    path = tmp_path / "file"
    path.write_bytes(b"")
    bell = Bell(path)
    yield path, bell
    bell.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's kernel tells of writes")
def test_a_write_rings_and_its_commit_is_looked_for_until_it_must_be_there(rung: tuple[Path, Bell], time: Time) -> None:
    path, bell = rung
    path.write_bytes(b"x")
    bell.wait(60)
    assert time.slept == [], "it waited for the kernel's word alone"
    while time.now < 1_000.0 + module._SEEN_SECONDS:
        bell.wait(60)
    assert set(time.slept) == {module._SOON_SECONDS, module._POLL_SECONDS}
    looks = len(time.slept)
    path.write_bytes(b"y")
    bell.wait(60)
    assert len(time.slept) == looks


def test_where_nobody_tells_of_writes_it_is_a_short_sleep(
    tmp_path: Path, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    bell = Bell(tmp_path / "file")
    for seconds in (60.0, 0.0004):
        bell.wait(seconds)
    assert time.slept == [module._POLL_SECONDS, 0.0004]


def test_a_file_that_is_not_there_cannot_be_watched(tmp_path: Path, time: Time) -> None:
    Bell(tmp_path / "absent").wait(60)
    assert time.slept == [module._POLL_SECONDS]


def test_a_commit_of_another_connection_rings(tmp_path: Path, time: Time) -> None:
    database, other = Database(tmp_path / "db"), Database(tmp_path / "db")
    database.wait(0)
    version = database.version()
    other.rows("INSERT INTO batches VALUES ('x')")
    database.wait(60)
    assert database.version() != version
    database.close()
    other.close()
