"""A home with very many jobs of all states: a day of work, and what waits at its end."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tidegate import PermanentError, runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import Json
from tidegate.domain.spec import MAX_BATCH, JobSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.local.background import pump_all
from tidegate.ports import Delivery
from tidegate.runtime import App
from tidegate.service.policies import pause_queue, put_queue
from tidegate.service.submit import submit

ROOT = Path(__file__).resolve().parents[2]
QUEUES = ("documents", "reports", "mail", "images", "default")
NAMES = ("extract", "classify", "render", "send", "summarise")
_CALLER = Caller("main", "bench", frozenset({Scope.ADMIN}))
_DAY_MS = 86_400_000
_FAILS = 20
"""One in so many jobs fails."""
_WAITS = 4
"""One in so many still waits at the end, in a queue that is paused."""


def fill(folder: Path, jobs: int) -> None:
    """Put so many jobs into a new home, as a day of work would have left them; a quarter of them waits."""
    sys.path.append(str(ROOT / "tests"))
    from support.clock import Clock

    class Yesterday(Clock):
        """A clock that begins a day ago and is moved by what is done."""

        def __init__(self) -> None:
            super().__init__()
            self._now = time.time_ns() // 1_000_000 - _DAY_MS

    clock = Yesterday()
    app = runtime.embedded(folder, now=clock.now, new_id=clock.new_id)
    try:
        for queue in QUEUES:
            put_queue(app.ports, _CALLER, queue, {})
        runner = Runner(app.ports, {name: Executor(name, _work) for name in NAMES}, worker_id="bench", lease_seconds=60)
        rounds = range(0, jobs * (_WAITS - 1) // _WAITS, MAX_BATCH)
        for first in rounds:
            _store(app, first, MAX_BATCH)
            clock.advance(_DAY_MS / 1000 / len(rounds))
            _drain(app, runner)
        pause_queue(app.ports, _CALLER, "mail", "the provider answers 503")
        for first in range(rounds.stop, jobs, MAX_BATCH):
            _store(app, first, min(MAX_BATCH, jobs - first), waits=True)
        pump_all(app)
    finally:
        app.ports.close()


def _store(app: App, first: int, count: int, *, waits: bool = False) -> None:
    submit(app.ports, _CALLER, [_job(number, waits) for number in range(first, first + count)])


def _job(number: int, waits: bool) -> JobSpec:
    return JobSpec(
        name=NAMES[number % len(NAMES)],
        queue="mail" if waits else QUEUES[number // 7 % len(QUEUES)],
        data={"document": f"inbox/{number}.pdf", "fails": number % _FAILS == 0},
        priority=number % 11,
        retry_limit=0,
        tags=(f"batch-{number // 1_000}",),
        metadata={"customer": f"c{number % 500}"},
    )


def _work(job: JobContext) -> Json:
    if isinstance(job.data, dict) and job.data["fails"]:
        raise PermanentError("the file is encrypted")
    return {"pages": 3}


def _drain(app: App, runner: Runner) -> None:
    with app.ports.together():
        while deliveries := app.ports.tickets.receive("default", 10, 0):
            for delivery in deliveries:
                runner.serve(delivery, lambda verdict, delivery=delivery: _finish(app, delivery, verdict))  # type: ignore[misc]
    pump_all(app)


def _finish(app: App, delivery: Delivery, verdict: Verdict) -> None:
    if isinstance(verdict, Again):
        app.ports.tickets.again(delivery, verdict.seconds)
    else:
        app.ports.tickets.finish([delivery])
