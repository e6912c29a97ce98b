"""Logs of jobs to test with, and logs that fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from support.attempts import ADMIN
from support.clock import START_MS
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Job
from tidegate.domain.logs import (
    Level,
    LogChunk,
    LogLine,
    LogOf,
    LogPlace,
    LogUsage,
)
from tidegate.ports import Ports
from tidegate.service.read_log import LogPage, read_log

LOG = LogOf("acme", "report#1", START_MS)
TEXTS = ("", "grüße 🌊", 'a "quote"\\', "two\nlines", "\x00\x1b[31m")


def chunk(attempt: int, number: int, *texts: str, blob: str | None = None, **usage: int) -> LogChunk:
    lines = tuple(LogLine(START_MS + index, Level.INFO, text) for index, text in enumerate(texts))
    return LogChunk(LogPlace(attempt, number), lines, blob, LogUsage(**usage))


def page(ports: Ports, job: Job, **asked: Any) -> LogPage:
    return read_log(ports, ADMIN, job.id, **{"after": None, "limit": 1_000, **asked})


def messages(found: LogPage) -> list[str]:
    return [told.line.message for told in found.lines]


class Untouchable:
    """`Logs` that must not be used."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"logs.{name} was used")


class Broken:
    """`Logs` out of reach."""

    def __getattr__(self, name: str) -> Any:
        raise Unavailable


class Failing:
    """`Logs` whose first appends fail, before or after they took effect."""

    def __init__(self, logs: Any, times: int, *, after: bool = False) -> None:
        self._logs = logs
        self._left = times
        self._after = after
        self.calls = 0

    def among(self, ports: Ports) -> Ports:
        """The ports with this one among them."""
        return replace(ports, logs=cast("Any", self))

    def append(self, *arguments: Any) -> None:
        self.calls += 1
        if self._left and not self._after:
            self._left -= 1
            raise Unavailable
        self._logs.append(*arguments)
        if self._left:
            self._left -= 1
            raise Unavailable

    def __getattr__(self, name: str) -> Any:
        return getattr(self._logs, name)
