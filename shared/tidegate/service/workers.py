"""Who works, and what each runs.

A worker says so at its start, then at most every 20 s, and when it stops. What it said it runs is looked up again in
the jobs: only what is still so is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tidegate.domain.caller import Caller, Scope
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import Job, State
from tidegate.ports import Held, JobKey, Ports, Worker

ALIVE_MS = 60_000
"""Who was seen in the last minute is alive."""
MAX_RUNNING = 100
"""Attempts that one worker tells of."""
MAX_TEXT = 128
MAX_NAMES = 100
"""Names of handlers that one worker tells of; one with more does not tell of any."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A worker that is alive, and the jobs of it that the caller may see."""

    worker: Worker
    running: Sequence[Job]


def list_workers(ports: Ports, caller: Caller) -> Sequence[Seen]:
    """The workers that are alive and work for the caller's tenant, among others or alone."""
    caller.require(Scope.READ)
    workers = [each for each in ports.workers.list(ports.now() - ALIVE_MS) if not each.stopped]
    mine = [each for each in workers if each.tenant in ("", caller.tenant)]
    jobs = _visible(ports, caller, (held for worker in mine for held in worker.running))
    return [Seen(worker, [jobs[held] for held in worker.running if held in jobs]) for worker in mine]


def report(ports: Ports, caller: Caller, worker: Worker) -> Worker:
    """Store what a worker of the caller's tenant says of itself, as seen now. Raises Forbidden, InvalidInput."""
    caller.require(Scope.WORK)
    for name in ("id", "pool", "host", "version"):
        if len(getattr(worker, name)) > MAX_TEXT:
            raise InvalidInput.field(name, f"must have at most {MAX_TEXT} characters")
    if len(worker.running) > MAX_RUNNING:
        raise InvalidInput.field("running", f"must have at most {MAX_RUNNING} entries")
    now = ports.now()
    own = tuple(held._replace(tenant=caller.tenant) for held in worker.running)
    started_at = min(worker.started_at, now)
    seen = replace(worker, tenant=caller.tenant, kind="http", seen_at=now, started_at=started_at, running=own)
    ports.workers.put(seen)
    return seen


def _visible(ports: Ports, caller: Caller, running: Iterable[Held]) -> Mapping[Held, Job]:
    """What still runs as it was told, as far as the caller may see it."""
    asked = [held for held in running if held.tenant == caller.tenant]
    keys = [JobKey(held.tenant, held.job_id) for held in asked]
    found = zip(asked, ports.jobs.get(keys) if keys else (), strict=True)
    return {held: job for held, job in found if job is not None and _runs(job, held) and _may_see(caller, job)}


def _runs(job: Job, held: Held) -> bool:
    return job.state is State.ACTIVE and job.attempt == held.attempt


def _may_see(caller: Caller, job: Job) -> bool:
    return caller.sees_all_users() or job.owner == caller.user


def held_by(jobs: Iterable[Job | None]) -> tuple[Held, ...]:
    """What a worker tells of the jobs that it runs."""
    return tuple(Held(job.tenant, job.id, job.attempt) for job in jobs if job is not None)[:MAX_RUNNING]
