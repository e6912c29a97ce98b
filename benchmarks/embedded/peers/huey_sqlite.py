"""Huey on SQLite, as installed; with results where BENCH_RESULTS is set, unsynchronised where BENCH_NO_FSYNC is."""

from __future__ import annotations

import os
from pathlib import Path

from huey import SqliteHuey

from benchmarks.embedded import sink

FILE = Path(os.environ["BENCH_FOLDER"]) / "huey.db"
huey = SqliteHuey(
    "bench",
    filename=str(FILE),
    results=bool(os.environ.get("BENCH_RESULTS")),
    fsync=False if os.environ.get("BENCH_NO_FSYNC") else None,
)


@huey.task()
def noop(number: int) -> int:
    """The body of a job."""
    return sink.noop(number)


@huey.task()
def slow(number: int) -> int:
    """The body of a long job."""
    return sink.slow(number)


def setup() -> None:
    """Begin with an empty file."""
    huey.storage.flush_all()


def one(kind: str, number: int) -> None:
    """Submit one job."""
    (noop if kind == "noop" else slow)(number)
