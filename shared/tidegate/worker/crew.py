"""A worker, put together: its threads, its signals, and what it says of itself."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Protocol

from tidegate import __version__, runtime
from tidegate.client import Retries
from tidegate.client.work import WorkClient
from tidegate.domain.exposition import exposed
from tidegate.domain.job import Job
from tidegate.execution.attempt_runner import AttemptRunner, time_is_up
from tidegate.execution.presence import Presence, describe
from tidegate.execution.registry import load_executors
from tidegate.execution.runner import Runner
from tidegate.execution.tally import Tally
from tidegate.ports import Worker
from tidegate.runtime import App
from tidegate.service.claim_lanes import Wanted
from tidegate.settings import settings_from

from .budget import Budget
from .claims import ClaimLoop, Counted, LaneSource
from .http import HttpAttempts, HttpSource, tell
from .options import WorkerOptions
from .pull import PullLoop

_EMBEDDED_PAUSES = (0.05, 0.25)
_CLOUD_FIRST_PAUSE = 1.0
_OTHERS_SECONDS = 30.0
"""How long the other jobs of a process may go on once one of them could not be interrupted."""
_JOIN_SECONDS = 0.2
_FIRST_LEASE_SECONDS = 10.0
"""Until the server has said how long its leases last."""
_TRIES = 6


class Loop(Protocol):
    """One thread of a worker, or all of them."""

    def run(self) -> int:
        """Work; answers how many jobs were run."""

    def stop(self) -> None:
        """Finish the running jobs and return from `run`."""


def run(options: WorkerOptions) -> int:
    """Work until `max_jobs` are done, SIGTERM or SIGINT comes, or the parent is gone; answers the jobs done.

    Jobs that run when a signal comes are finished first.
    """
    load_executors(options.handlers)  # first: they may set up OpenTelemetry themselves
    runtime.start_tracing()
    if options.url is not None:
        return _run_over_http(options)
    return _run_in_home(_home(options), options)


def _home(options: WorkerOptions) -> App:
    if options.data is not None:
        return runtime.build(settings_from({**os.environ, "TIDEGATE_DATA": str(options.data)}))
    if options.stack is not None:
        return runtime.build(runtime.settings_of_stack(options.stack))
    return runtime.current()


def _run_in_home(app: App, options: WorkerOptions) -> int:
    worker_id, budget = options.worker_id or runtime.default_worker_id(), Budget(options.max_jobs)
    crew = Crew(options)
    runners = [
        runtime.runner(
            app, options.handlers, worker_id=worker_id, pulling=True, end_process=crew.end_process, tally=crew.tally
        )
        for _ in range(options.concurrency)
    ]
    crew.runners = runners
    kind = "pull" if app.settings.data is None else "embedded"
    presence = Presence(
        _about(options, worker_id, kind, runners[0].names),
        app.ports.workers.put,
        crew.running,
        now=app.ports.now,
        close=app.ports.close,
    )
    crew.loops = _loops(app, options, worker_id, runners, budget, crew.tally)
    return crew.work(presence, budget, app.ports.close)


def _loops(
    app: App, options: WorkerOptions, worker_id: str, runners: Sequence[Runner], budget: Budget, tally: Tally
) -> Sequence[Loop]:
    if not options.queues:
        return [PullLoop(app, runner, options, budget, tally) for runner in runners]
    first, longest = _EMBEDDED_PAUSES
    if app.settings.data is None:
        first, longest = min(_CLOUD_FIRST_PAUSE, options.poll_interval), options.poll_interval
    wanted = Wanted(
        worker_id=worker_id,
        pool=options.pool,
        queues=frozenset(options.queues),
        names=frozenset(runners[0].takes),
        lease_seconds=runtime.lease_seconds(app),
    )
    source = Counted(LaneSource(app.ports, wanted, first, longest), tally)
    return [ClaimLoop(source, runners, budget, app.ports.close)]


def _run_over_http(options: WorkerOptions) -> int:
    worker_id, budget = options.worker_id or runtime.default_worker_id(), Budget(options.max_jobs)
    crew, executors = Crew(options), load_executors(options.handlers)
    with (
        WorkClient(options.url, options.token, data=options.data, retries=Retries(tries=_TRIES)) as client,
        WorkClient(options.url, options.token, data=options.data, retries=Retries(tries=1)) as logs,
    ):
        store = HttpAttempts(client, logs)
        runners = [
            AttemptRunner(
                store, executors, lease_seconds=_FIRST_LEASE_SECONDS, end_process=crew.end_process, tally=crew.tally
            )
            for _ in range(options.concurrency)
        ]
        crew.runners = runners

        def lease_lasts(seconds: float) -> None:
            for runner in runners:
                runner.lease_lasts(seconds)

        presence = Presence(_about(options, worker_id, "http", executors), partial(tell, client), crew.running)
        source = Counted(HttpSource(client, options, worker_id, lease_lasts, runners[0].takes), crew.tally)
        crew.loops = [ClaimLoop(source, runners, budget, _nothing)]
        return crew.work(presence, budget, _nothing)


def _about(options: WorkerOptions, worker_id: str, kind: str, names: Collection[str]) -> Worker:
    return describe(
        worker_id,
        kind=kind,
        pool=options.pool,
        version=__version__,
        names=names,
        queues=options.queues,
        concurrency=options.concurrency,
    )


class Crew:
    """The loops of one worker process and the runners they use."""

    def __init__(self, options: WorkerOptions | None = None) -> None:
        self.loops: Sequence[Loop] = ()
        self.runners: Sequence[AttemptRunner] = ()
        self.tally = Tally()
        self._options = options or WorkerOptions()

    def running(self) -> list[Job | None]:
        """The jobs that run now."""
        return [runner.running for runner in self.runners]

    def stop(self) -> None:
        """Finish the running jobs, take no more."""
        for loop in self.loops:
            loop.stop()

    def work(self, presence: Presence, budget: Budget, close: Callable[[], object]) -> int:
        """Run the loops, the only one on this thread; answers how many jobs were run."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())
        signal.signal(signal.SIGALRM, time_is_up)
        with self._figures_served():
            presence.start()
            try:
                if len(self.loops) == 1:
                    self.loops[0].run()
                else:
                    self._run_on_threads(close)
            finally:
                presence.stop()
        return budget.spent

    def _figures_served(self) -> AbstractContextManager[object]:
        """Answer who asks this worker for its figures, if a port was given."""
        if self._options.metrics_port is None:
            return nullcontext()
        from .metrics import served

        return served(self._options.metrics_host, self._options.metrics_port, self._figures)

    def _figures(self) -> str:
        running = sum(job is not None for job in self.running())
        return exposed(self.tally.families(running, self._options.concurrency))

    def end_process(self, code: int) -> None:
        """End this process with `code` because one attempt cannot be interrupted; the others may finish first."""
        self.stop()
        end = time.monotonic() + _OTHERS_SECONDS
        while sum(runner.running is not None for runner in self.runners) > 1 and time.monotonic() < end:
            time.sleep(_JOIN_SECONDS)
        os._exit(code)

    def _run_on_threads(self, close: Callable[[], object]) -> None:
        def work(loop: Loop) -> None:
            try:
                loop.run()
            finally:
                close()

        threads = [threading.Thread(target=work, args=(loop,), name="tidegate-hand") for loop in self.loops]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            threads[0].join(_JOIN_SECONDS)
            if not threads[0].is_alive():
                time.sleep(_JOIN_SECONDS / 4)


def _nothing() -> None:
    return None
