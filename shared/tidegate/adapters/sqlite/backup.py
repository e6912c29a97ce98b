"""A copy of the embedded home while it runs."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from tidegate.domain.errors import Conflict, NotFound, Unavailable

from .ports import FILE_NAME

_PAGES = 1_000
"""Pages copied at a time, between which writers get their turn."""
_BLOBS = "blobs"


def back_up(folder: Path, target: Path, told: Callable[[int, int], object] = lambda *_: None) -> int:
    """Copy a data folder into a new or empty one, which can be served afterwards; answers the bytes copied.

    The database is copied by SQLite's online backup, which gives one moment of it whatever is written meanwhile.
    Large values are copied before it and again after it: each that the copied jobs refer to is there, unless its job
    was erased while the copy was made. `told` hears how many of the database's pages are copied, and how many there
    are. Raises NotFound, Conflict when the target is not empty, Unavailable.
    """
    source = folder / FILE_NAME
    if not source.is_file():
        raise NotFound(f"there is no database in {folder}", folder=str(folder))
    try:
        target.mkdir(parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise Conflict(f"{target} is not empty", target=str(target))
        _copy_blobs(folder / _BLOBS, target / _BLOBS)
        _copy_database(source, target / FILE_NAME, told)
        _copy_blobs(folder / _BLOBS, target / _BLOBS)
        return sum(file.stat().st_size for file in target.rglob("*") if file.is_file())
    except (OSError, sqlite3.DatabaseError) as error:
        raise Unavailable(f"the backup failed: {error}") from error


def _copy_database(source: Path, target: Path, told: Callable[[int, int], object]) -> None:
    """Into a file beside it first, so that a backup cut short is never taken for one."""
    partial = target.with_suffix(".partial")
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    with closing(reading), closing(sqlite3.connect(partial)) as writing:
        reading.backup(writing, pages=_PAGES, progress=lambda _, left, all_: told(all_ - left, all_), sleep=0.001)
        (verdict,) = writing.execute("PRAGMA quick_check").fetchone()
    if verdict != "ok":
        raise Unavailable(f"the copy is damaged: {verdict}")
    partial.replace(target)


def _copy_blobs(source: Path, target: Path) -> None:
    for file in _files(source):
        copy = target / file.relative_to(source)
        if copy.exists():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(file, copy)
        except FileNotFoundError:
            copy.unlink(missing_ok=True)  # its job was erased a moment ago


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if file.is_file() and not file.name.startswith("."))
