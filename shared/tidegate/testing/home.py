"""A home in one process: jobs run when told to, and time passes when told to."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tidegate import runtime
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.job import TERMINAL, WAITING, Job, State
from tidegate.domain.priority import parse_priority
from tidegate.domain.queue import Queue
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor, load_executors
from tidegate.execution.runner import Again, Runner, Verdict
from tidegate.local.background import pump_all
from tidegate.ports import Delivery, JobQuery, Ports
from tidegate.runtime import App
from tidegate.service import control
from tidegate.service.definitions import spec_from
from tidegate.service.payloads import with_payloads
from tidegate.service.policies import put_queue
from tidegate.service.submit import submit_one
from tidegate.service.tick import Ticked, tick

from .clock import Clock

TENANT = "main"
ADMIN = Caller(TENANT, "admin", frozenset({Scope.ADMIN}))
LEASE_SECONDS = 10.0
_LONGEST_STEP_SECONDS = 60.0
"""The clock of the cloud ticks each minute."""
_MOST_JOBS = 10_000
_PAGE = 200

Run = Callable[[JobContext], Any]


class Bench:
    """An App on a clock moved by hand, worked by the calling thread: what `Home` and Tidegate's own tests share."""

    def __init__(self, app: App, clock: Clock) -> None:
        self.app = app
        self.ports: Ports = app.ports
        self.clock = clock

    def close(self) -> None:
        """Give back what this thread holds open."""
        self.ports.close()

    def receive(self) -> Delivery | None:
        """The next ticket, if one is visible."""
        found = self.ports.tickets.receive("default", 1, 0)
        return found[0] if found else None

    def serve_one(self, runner: Runner) -> Verdict | None:
        """Take one ticket and do what it asks for; None when there is none."""
        delivery = self.receive()
        return None if delivery is None else runner.serve(delivery, self.acknowledge(delivery))

    def acknowledge(self, delivery: Delivery) -> Callable[[Verdict], None]:
        """What a worker does with a ticket that was served."""

        def acknowledge(verdict: Verdict) -> None:
            if isinstance(verdict, Again):
                self.ports.tickets.again(delivery, verdict.seconds)
            else:
                self.ports.tickets.finish([delivery])

        return acknowledge

    def tick(self, period: float = 1.0) -> Ticked:
        """What the clock does each `period` seconds."""
        return tick(self.ports, period, self.clock.now() - round(period * 1000))

    def pump(self) -> bool:
        """Hand all changes to the change feed's function (counters, webhooks); answers whether there were any."""
        return pump_all(self.app)


class Home(Bench):
    """All of Tidegate on a folder, for tests of handlers.

    Executors are those that have been imported, and those given to `handle`. Nothing runs by itself:
    `run_until_idle` runs what may run now, `advance` lets time pass and runs what falls due meanwhile. Nothing
    ever sleeps. Time starts in the year 2033. Webhooks may go to this machine.
    """

    def __init__(self, folder: Path, *, clock: Clock | None = None, seed: int = 1) -> None:
        clock = clock or Clock()
        app = runtime.embedded(folder, now=clock.now, new_id=clock.new_id, rng=random.Random(seed), development=True)  # noqa: S311 - reproducible on purpose
        super().__init__(app, clock)
        self._handlers: dict[str, Executor] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def handle(self, name: str, run: Run, *, timeout: float | None = None) -> None:
        """Let `run` be the executor of the jobs called `name`, in this home alone."""
        self._handlers[name] = Executor(name, run, timeout)

    def submit(self, name: str | None = None, data: Any = None, **fields: Any) -> Job:
        """Submit a job; fields are those of `Client.submit`. Raises what the API would answer."""
        given = {key: value for key, value in {"name": name, "data": data, **fields}.items() if value is not None}
        definition = given.pop("definition", None)
        spec = _spec(given) if definition is None else self._spec_from(definition, given)
        return submit_one(self.ports, ADMIN, spec).job

    def queue(self, name: str, **settings: Any) -> Queue:
        """Make a queue or set it anew."""
        return put_queue(self.ports, ADMIN, name, settings)

    def job(self, job_id: str) -> Job:
        """The job as it is now, with its data and result. Raises NotFound."""
        return control.get_job(self.ports, ADMIN, job_id)

    def jobs(self, *states: State, **filters: Any) -> list[Job]:
        """The jobs in any of the states (all, unless given), newest first; filters are those of `JobQuery`."""
        query = JobQuery(tenant=TENANT, states=frozenset(states), limit=_PAGE, **filters)
        found = list(self.ports.jobs.page(query).jobs)
        return [with_payloads(self.ports.blobs, job) for job in found]

    def cancel(self, job_id: str) -> Job:
        """Stop a job."""
        return control.cancel(self.ports, ADMIN, job_id)

    def retry(self, job_id: str) -> Job:
        """Start an ended job over."""
        return control.retry(self.ports, ADMIN, job_id)

    def run_until_idle(self) -> int:
        """Run every job that may start now, and what that leads to, at the present time; answers how many attempts.

        Raises AssertionError when they do not come to an end.
        """
        runner, ran, quiet = self._runner(), 0, False
        self.tick()
        while not quiet:
            quiet = True
            while (verdict := self.serve_one(runner)) is not None:
                quiet = False
                ran += verdict.ran
                if ran > _MOST_JOBS:
                    raise AssertionError(f"more than {_MOST_JOBS} attempts and still not idle")
            quiet = not self.pump() and quiet
        return ran

    def advance(self, seconds: float) -> int:
        """Let so many seconds pass, running what falls due on the way, in its order; answers how many attempts ran.

        Jobs that may start now are run first. Time moves from one waiting job to the next, a minute at most.
        """
        end = self.clock.now() + round(seconds * 1000)
        ran = self.run_until_idle()
        while self.clock.now() < end:
            self.clock.advance((self._next_stop(end) - self.clock.now()) / 1000)
            ran += self.run_until_idle()
        return ran

    def run_until_done(self, job_id: str, *, within: float = 86_400.0) -> Job:
        """Let time pass until the job has ended, at most `within` seconds; answers it as it is then."""
        end = self.clock.now() + round(within * 1000)
        self.run_until_idle()
        while self.job(job_id).state not in TERMINAL and self.clock.now() < end:
            self.advance((self._next_stop(end) - self.clock.now()) / 1000)
        return self.job(job_id)

    def _next_stop(self, end: int) -> int:
        now = self.clock.now()
        waiting = self.ports.jobs.page(JobQuery(tenant=TENANT, states=WAITING, limit=_PAGE)).jobs
        wakes = [job.wake_at for job in waiting if job.wake_at is not None and job.wake_at > now]
        return min(end, now + round(_LONGEST_STEP_SECONDS * 1000), *wakes)

    def _runner(self) -> Runner:
        executors: Mapping[str, Executor] = {
            **load_executors(()),
            **runtime.own_executors(self.ports),
            **self._handlers,
        }
        return Runner(self.ports, executors, worker_id="test", lease_seconds=LEASE_SECONDS)

    def _spec_from(self, definition: str, given: Mapping[str, Any]) -> JobSpec:
        return spec_from(self.ports, TENANT, definition, _fields(given))


def _spec(given: Mapping[str, Any]) -> JobSpec:
    fields = _fields(given)
    data = fields.get("data")
    if "name" not in fields and isinstance(data, dict) and isinstance(data.get("agent"), str):
        fields["name"] = data["agent"]
    return JobSpec(**{"name": "", **fields})


def _fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """As the domain wants them: times in milliseconds, priorities as numbers, tags as a tuple."""
    fields: dict[str, Any] = {
        key: round(value.timestamp() * 1000) if isinstance(value, datetime) else value for key, value in given.items()
    }
    if "priority" in fields:
        fields["priority"] = parse_priority(fields["priority"])
    if "tags" in fields:
        fields["tags"] = tuple(fields["tags"])
    return fields
