"""Tidegate on a folder: the service called directly, as a program on the same machine would."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.spec import MAX_BATCH, JobSpec
from tidegate.ports import Ports
from tidegate.service.submit import submit, submit_one
from tidegate.settings import settings_from

FOLDER = Path(os.environ["BENCH_FOLDER"]) / "tidegate"
CALLER = Caller("main", "bench", frozenset({Scope.SUBMIT}))


def setup() -> None:
    """Begin with an empty folder."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    ports()


def one(kind: str, number: int) -> None:
    """Submit one job."""
    submit_one(ports(), CALLER, JobSpec(name=kind, data=number))


def many(first: int, count: int) -> None:
    """Submit `count` no-op jobs, a hundred in one call."""
    for start in range(first, first + count, MAX_BATCH):
        numbers = range(start, min(start + MAX_BATCH, first + count))
        submit(ports(), CALLER, [JobSpec(name="noop", data=number) for number in numbers])


@cache
def ports() -> Ports:
    """The folder's ports."""
    return runtime.build(settings_from({**os.environ, "TIDEGATE_DATA": str(FOLDER)})).ports
