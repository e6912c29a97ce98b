"""Attempts of jobs in either home: submit, let a worker serve the tickets, look."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tidegate.adapters.aws.ports import LEASE_GRACE_MS
from tidegate.domain.caller import Caller
from tidegate.domain.job import Job
from tidegate.domain.spec import JobSpec
from tidegate.execution.context import JobContext
from tidegate.execution.registry import Executor
from tidegate.execution.runner import Again, Done, Runner, Verdict
from tidegate.ports import Delivery, JobKey, Ports
from tidegate.service.submit import submit_one

ADMIN = Caller("main", "admin", frozenset({"admin"}))
LEASE_SECONDS = 10.0
LAPSED_SECONDS = LEASE_SECONDS + LEASE_GRACE_MS / 1000 + 1
"""After so long the job of a silent worker is taken over, in either home."""


def submitted(ports: Ports, name: str = "work", **fields: Any) -> Job:
    """A new job of `ADMIN`."""
    return submit_one(ports, ADMIN, JobSpec(name=name, **fields)).job


def stored(ports: Ports, job: Job) -> Job:
    """The job as it is now."""
    (found,) = ports.jobs.get([JobKey(job.tenant, job.id)])
    assert found is not None
    return found


def worker(ports: Ports, *made: Executor, **functions: Callable[[JobContext], Any]) -> Runner:
    """A worker with these executors."""
    executors: Mapping[str, Executor] = {name: Executor(name, run) for name, run in functions.items()}
    named = {executor.name: executor for executor in made}
    return Runner(ports, {**executors, **named}, worker_id="w-1", lease_seconds=LEASE_SECONDS)


def serve(ports: Ports, runner: Runner) -> int:
    """Serve every ticket that can be seen; answers how many there were."""
    served = 0
    while found := ports.tickets.receive("default", 1, 0):
        runner.serve(found[0], _acknowledge(ports, found[0]))
        served += 1
    return served


def _acknowledge(ports: Ports, delivery: Delivery) -> Callable[[Verdict], None]:
    def acknowledge(verdict: Verdict) -> None:
        match verdict:
            case Again(seconds):
                ports.tickets.again(delivery, seconds)
            case Done():
                ports.tickets.finish([delivery])

    return acknowledge
