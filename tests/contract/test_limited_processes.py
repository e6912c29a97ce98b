"""A queue with one slot, served by processes that share nothing but the file."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from pathlib import Path
from typing import Any

from contract.limited import held, limited, submitted
from home import Home
from support.clock import Clock
from tidegate.adapters.sqlite.ports import open_ports
from tidegate.domain.job import TERMINAL, State
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.runtime import App
from tidegate.settings import Settings

PROCESSES = 3
JOBS = 40
SECONDS = 40.0


class _Now(Clock):
    """This machine's time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


def _home(folder: Path) -> Home:
    clock = _Now()
    ports = open_ports(folder, now=clock.now, new_id=clock.new_id, rng=random.Random(), visibility=30)
    return Home(App(ports, Settings(pools={"default": {}})), clock)


def serve(folder: Path, begin: Any) -> None:
    """Serve tickets until told to stop; a second handler beside one that runs is put on record."""
    busy, overlaps = folder / "busy", folder / "overlaps"

    def work(job: JobContext) -> None:
        try:
            os.close(os.open(busy, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            overlaps.write_text(job.id)
            return
        time.sleep(0.002)
        busy.unlink()

    home = _home(folder)
    runner = home.runner(f"p-{os.getpid()}", work=work)
    begin.wait(SECONDS)
    until = time.monotonic() + SECONDS
    while not (folder / "stop").exists() and time.monotonic() < until:
        home.serve_one(runner)
        time.sleep(0.005)  # the slot is free meanwhile: else who just gave it back takes it again
    home.close()


def test_of_one_slot_never_two_jobs_run_in_several_processes(tmp_path: Path) -> None:
    home = _home(tmp_path)
    limited(home, slots=1)
    jobs = submitted(home, [JobSpec(name="work", queue="narrow") for _ in range(JOBS)])
    context = multiprocessing.get_context("spawn")
    begin = context.Barrier(PROCESSES)
    processes = [context.Process(target=serve, args=(tmp_path, begin)) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    until = time.monotonic() + SECONDS
    while any(home.job(job.id).state not in TERMINAL for job in jobs) and time.monotonic() < until:
        time.sleep(0.02)
    (tmp_path / "stop").touch()
    for process in processes:
        process.join()
    ended = [home.job(job.id) for job in jobs]
    assert {job.state for job in ended} == {State.COMPLETED}
    assert not (tmp_path / "overlaps").exists()
    assert held(home.ports) == {}
    assert len({job.worker_id for job in ended}) > 1, "several processes had a share"
    home.close()
