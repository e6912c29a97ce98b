"""The job that every contender runs: one record appended to one file, nothing else.

All processes share the monotonic clock, so the file tells when each job ran, whoever ran it.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

VARIABLE = "BENCH_SINK"
SLOW_SECONDS = 2.0
_RECORD = struct.Struct("<IdI")
_opened: list[int] = []


class Mark(NamedTuple):
    """A job began to run: which, when (monotonic seconds), and in which process."""

    number: int
    at: float
    pid: int


def noop(number: int) -> int:
    """The job body; answers its number, which is the result to be kept where results are kept."""
    _append(number)
    return number


def slow(number: int) -> int:
    """A job long enough to have its worker killed under it."""
    _append(number)
    time.sleep(SLOW_SECONDS)
    return number


class Sink:
    """Reads the file, from the process that leads the benchmark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def clear(self) -> None:
        """Start anew."""
        self.path.write_bytes(b"")

    def count(self) -> int:
        """How many jobs have begun."""
        return self.path.stat().st_size // _RECORD.size

    def marks(self) -> list[Mark]:
        """Every job that has begun, in the order of their beginning."""
        content = self.path.read_bytes()
        whole = len(content) - len(content) % _RECORD.size
        return [Mark(*fields) for fields in _RECORD.iter_unpack(content[:whole])]

    def reaches(self, count: int, seconds: float, alive: Callable[[], bool], poll: float = 0.002) -> bool:
        """Wait until so many jobs have begun; False after `seconds`, or when nobody is left to run them."""
        end = time.monotonic() + seconds
        while self.count() < count:
            if time.monotonic() > end or not alive():
                return False
            time.sleep(poll)
        return True


def _append(number: int) -> None:
    if not _opened:
        _opened.append(os.open(os.environ[VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    os.write(_opened[0], _RECORD.pack(number, time.monotonic(), os.getpid()))
