"""Purge, archive and retry many jobs, and take jobs from attempts that are stuck. Jobs of open runs are kept.

Each call does a bounded part and says how to go on, so that it fits a Lambda. Nothing is done without `confirm`:
a dry run goes the same way and only counts. A call that dies half-way may be repeated: what was done is not found
again, and an archive is written before what it holds is deleted.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

from tidegate.domain import guarded
from tidegate.domain.caller import Caller, Scope
from tidegate.domain.dag.run import OPEN_RUNS
from tidegate.domain.errors import InvalidInput
from tidegate.domain.job import RESTARTABLE, TERMINAL, Job, Ms, State
from tidegate.ports import JobQuery, Ports

from .announce import announce, remember_lanes
from .archive import archive
from .audit import audited
from .limits import leave

MAX_JOBS = 500
"""Jobs that one call acts on."""
_BUDGET_MS = 10_000
"""A call begins no further page after so long: API Gateway waits 30 seconds."""


class Action(StrEnum):
    """What to do with ended jobs."""

    PURGE = "purge"
    """Delete them."""
    ARCHIVE = "archive"
    """Write them to the blob store as JSON lines, then delete them."""
    RETRY = "retry"
    """Start them over with a fresh set of attempts."""


_ALLOWED = {Action.PURGE: TERMINAL, Action.ARCHIVE: TERMINAL, Action.RETRY: RESTARTABLE}
_DEFAULT = {Action.PURGE: TERMINAL, Action.ARCHIVE: TERMINAL, Action.RETRY: frozenset({State.FAILED})}
_PAGES = {Action.PURGE: 100, Action.ARCHIVE: 50, Action.RETRY: 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which ended jobs: of these states (empty: all that the action takes), this queue, name and tag, of all users.

    `older_than` are seconds since they ended. Nothing given at all is refused unless `all` says that it is meant.
    """

    states: frozenset[State] = frozenset()
    queue: str | None = None
    name: str | None = None
    tag: str | None = None
    older_than: float | None = None
    all: bool = False

    def __post_init__(self) -> None:
        given = (self.states, self.queue, self.name, self.tag, self.older_than)
        if not self.all and not any(part is not None and part != frozenset() for part in given):
            raise InvalidInput.field("all", "must be true to mean every ended job: no filter was given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintained:
    """What one call did, or would do: `matched` jobs were found, `done` were acted on, the others changed meanwhile."""

    dry_run: bool
    matched: int = 0
    done: int = 0
    archives: tuple[str, ...] = ()
    continuation: str | None = None
    """Give it with the same request to go on; None at the end."""


def maintain(
    ports: Ports,
    caller: Caller,
    action: Action,
    selection: Selection,
    *,
    confirm: bool,
    limit: int = MAX_JOBS,
    continuation: str | None = None,
) -> Maintained:
    """Do a part of `action` on the selected jobs. Raises InvalidInput for states that the action does not take."""
    caller.require(Scope.OPERATE)
    begun = ports.now()
    query = _query(caller.tenant, action, selection, begun, continuation)
    if confirm:
        audited(ports, caller, f"maintenance.{action}", selection=_told(selection), goes_on=continuation is not None)
    total = Maintained(dry_run=not confirm)
    open_runs: dict[str, bool] = {}
    while True:
        page = ports.jobs.page(replace(query, limit=min(_PAGES[action], limit - total.matched)))
        jobs = page.jobs if action is Action.RETRY else _free(ports, page.jobs, open_runs)
        done, archives = _act(ports, action, jobs) if confirm and jobs else (0, ())
        query = replace(query, cursor=page.next_cursor)
        total = replace(
            total,
            matched=total.matched + len(jobs),
            done=total.done + done,
            archives=total.archives + tuple(archives),
            continuation=None if page.next_cursor is None else _encode(query),
        )
        if page.next_cursor is None or total.matched >= limit or ports.now() - begun >= _BUDGET_MS:
            return total


def reset_stuck(ports: Ports, caller: Caller, older_than: float, *, confirm: bool) -> tuple[list[Job], int]:
    """Take jobs from attempts that started more than `older_than` seconds ago; answers the jobs, and how many waited.

    The holders are locked out by the guard on `attempt`; the jobs wait again, and no retry of theirs is used up.
    Jobs that were asked to stop are left to stop.
    """
    caller.require(Scope.OPERATE)
    now = ports.now()
    found = ports.upkeep.running(caller.tenant, now - round(older_than * 1000), MAX_JOBS)
    jobs = [job for job in found if not job.cancel_requested]
    if not confirm or not jobs:
        return jobs, 0
    audited(ports, caller, "maintenance.reset", jobs=len(jobs), older_than=older_than)
    remember_lanes(ports, jobs)
    why = f"reset by {caller.user}: it ran longer than {older_than:g} seconds"
    outcomes = ports.jobs.apply([guarded.reset_if_held(job, why, now) for job in jobs])
    reset = [outcome.job for outcome in outcomes if outcome.applied and outcome.job is not None]
    for job in reset:
        leave(ports, job)
    announce(ports, reset)
    return jobs, len(reset)


def _told(selection: Selection) -> dict[str, Any]:
    """The selection as the audit log has it."""
    told = {**asdict(selection), "states": sorted(selection.states)}
    return {name: value for name, value in told.items() if value not in (None, [], False)}


def _query(tenant: str, action: Action, selection: Selection, now: Ms, continuation: str | None) -> JobQuery:
    states = selection.states or _DEFAULT[action]
    if not states <= _ALLOWED[action]:
        allowed = ", ".join(sorted(_ALLOWED[action]))
        raise InvalidInput.field("states", f"{action} takes {allowed}; not {', '.join(sorted(states - TERMINAL))}")
    query = JobQuery(
        tenant=tenant,
        states=states,
        queue=selection.queue,
        name=selection.name,
        tag=selection.tag,
        ended_before=now + 1 - round((selection.older_than or 0) * 1000),
    )
    return query if continuation is None else _decode(query, continuation)


def _free(ports: Ports, jobs: Sequence[Job], open_runs: dict[str, bool]) -> list[Job]:
    """The jobs without those of open runs: others of the run may need them yet. `open_runs` are the ones looked at."""
    for job in jobs:
        if job.dag_id is not None and job.dag_id not in open_runs:
            run = ports.dags.get(job.tenant, job.dag_id)
            open_runs[job.dag_id] = run is not None and run.state in OPEN_RUNS
    return [job for job in jobs if not open_runs.get(job.dag_id or "", False)]


def _act(ports: Ports, action: Action, jobs: Sequence[Job]) -> tuple[int, Sequence[str]]:
    if action is Action.PURGE:
        return sum(ports.upkeep.erase_unchanged(jobs)), ()
    if action is Action.ARCHIVE:
        return archive(ports, jobs)
    return _retry(ports, jobs), ()


def _retry(ports: Ports, jobs: Sequence[Job]) -> int:
    remember_lanes(ports, jobs)
    outcomes = ports.jobs.apply([guarded.restart_if_ended(job, ports.now()) for job in jobs])
    restarted = [outcome.job for outcome in outcomes if outcome.applied and outcome.job is not None]
    announce(ports, restarted)
    return len(restarted)


def _encode(query: JobQuery) -> str:
    """Where to go on, and before which end: jobs that end meanwhile are not gone after."""
    text = json.dumps([query.ended_before, query.cursor], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(query: JobQuery, text: str) -> JobQuery:
    try:
        before, cursor = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        before = cursor = None
    if type(before) is not int or type(cursor) is not str or not 0 <= before <= (query.ended_before or 0):
        raise InvalidInput.field("continuation", "must be one that the same request answered")
    return replace(query, ended_before=before, cursor=cursor)
