"""A home under test: short names for what the tests do all the time, on a clock moved by hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from support.clock import START_MS as START
from support.clock import Clock
from tidegate import runtime
from tidegate.domain.caller import Caller
from tidegate.domain.job import Job
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Runner
from tidegate.local.functions import invoke
from tidegate.ports import JobKey
from tidegate.service.submit import submit_one
from tidegate.testing.home import LEASE_SECONDS, Bench

__all__ = ["ADMIN", "LEASE_SECONDS", "START", "Clock", "Home", "RealClock", "executors"]

ADMIN = Caller("main", "admin", frozenset({"admin"}))


class RealClock(Clock):
    """The machine's clock, for what really waits."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000


def executors(**functions: Callable[[JobContext], Any]) -> Mapping[str, Executor]:
    """Executors by name."""
    return {name: Executor(name, run) for name, run in functions.items()}


class Home(Bench):
    """An App and its clock."""

    def submit(self, name: str = "work", caller: Caller = ADMIN, **fields: Any) -> Job:
        return submit_one(self.ports, caller, JobSpec(name=name, **fields)).job

    def job(self, job_id: str, tenant: str = "main") -> Job:
        (job,) = self.ports.jobs.get([JobKey(tenant, job_id)])
        assert job is not None
        return job

    def runner(self, worker_id: str = "w-1", **functions: Callable[[JobContext], Any]) -> Runner:
        return Runner(self.ports, executors(**functions), worker_id=worker_id, lease_seconds=LEASE_SECONDS)

    def drain(self, runner: Runner, limit: int = 1_000) -> int:
        """Serve tickets until none is visible; answers how many were served."""
        for served in range(limit):
            if self.serve_one(runner) is None:
                return served
        raise AssertionError(f"still tickets after {limit}")

    def drain_and_close(self, runner: Runner) -> None:
        """`drain` for a thread of its own."""
        self.drain(runner)
        self.close()

    def settle(self, runner: Runner, seconds: float = 3600, step: float = 1.0) -> None:
        """Let time pass in steps, with everything that runs by itself, until all is quiet."""
        for _ in range(round(seconds / step)):
            self.drain(runner)
            self.pump()
            self.tick(step)
            self.clock.advance(step)

    def changes(self, *, drop: bool = True) -> int:
        """Hand one batch of changes to the change feed's function; answers how many it had."""
        assert self.app.feed is not None
        records = list(self.app.feed.read(1_000))
        with runtime.use(self.app):
            if records:
                invoke("changes", {"Records": records})
        if drop:
            self.app.feed.drop(records)
        return len(records)

    def with_ports(self, **ports: Any) -> Home:
        """The same home with some ports exchanged."""
        return Home(replace(self.app, ports=replace(self.ports, **ports)), self.clock)
