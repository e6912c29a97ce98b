"""How long a tenant's first job waits while another tenant has ever more jobs waiting."""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Table
from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.spec import MAX_BATCH, JobSpec
from tidegate.ports import Ports
from tidegate.service.submit import submit, submit_one

from .processes import Session, wait_for
from .sink import VARIABLE, Sink

_TENANTS = 41
"""Newcomers, one after the other, each with one job; the first only warms up."""
_AT_ONCE = 10
"""Batches stored in one commit while the backlog is made."""
_OF_NOISY = 0
_PATIENCE_SECONDS = 30.0
_NOISY = Caller("noisy", "bench", frozenset({Scope.SUBMIT}))


def measure(folder: Path, sizes: Sequence[int]) -> Table:
    """Milliseconds from acceptance to start of first jobs, behind backlogs of these sizes."""
    table = Table(
        "Embedded: milliseconds that a tenant's first job waits behind another tenant's backlog, one worker process",
        ("jobs waiting before it", "p50", "longest", "jobs of the other started meanwhile, at most"),
    )
    for size in sizes:
        waits, overtaken = _behind(folder / f"fair-{size}", size)
        table.add(f"{size:,}", statistics.median(waits), max(waits), overtaken)
    table.notes.append(f"{_TENANTS - 1} newcomers, one after the other, each with one no-op job of the same priority.")
    return table


def _behind(folder: Path, size: int) -> tuple[list[float], int]:
    ports = runtime.embedded(folder).ports
    for _ in range(size // (MAX_BATCH * _AT_ONCE)):
        with ports.together():
            for _ in range(_AT_ONCE):
                submit(ports, _NOISY, [JobSpec(name="noop", data=_OF_NOISY)] * MAX_BATCH)
    sink = Sink(folder / "sink")
    sink.clear()
    command = [sys.executable, "-m", "tidegate", "worker", "--data", str(folder)]
    command += ["--handlers", "benchmarks/embedded/handlers.py"]
    worker = Session(command, {**os.environ, VARIABLE: str(sink.path)}, folder / "worker.log")
    try:
        wait_for("the worker", worker, lambda: size == 0 or sink.count() > 0)
        found = [_first_job(ports, sink, worker, number) for number in range(1, _TENANTS + 1)]
    finally:
        worker.kill()
        ports.close()
    return [waited for waited, _ in found[1:]], max(overtaken for _, overtaken in found[1:])


def _first_job(ports: Ports, sink: Sink, worker: Session, number: int) -> tuple[float, int]:
    """How long a newcomer's job waited, in milliseconds, and how many of the others' were started meanwhile."""
    submit_one(ports, Caller(f"newcomer-{number}", "bench", _NOISY.scopes), JobSpec(name="noop", data=number))
    accepted = time.monotonic()
    while worker.alive() and time.monotonic() - accepted < _PATIENCE_SECONDS:
        marks = sink.marks()
        for own in (mark for mark in marks if mark.number == number):
            return max(0.0, own.at - accepted) * 1e3, sum(accepted <= mark.at < own.at for mark in marks)
        time.sleep(0.001)
    raise TimeoutError(f"newcomer {number} was not started within {_PATIENCE_SECONDS:.0f} s; see {worker.log}")
