"""The change feed of the embedded home: what DynamoDB Streams is in the cloud."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tidegate.domain.change import Change, starts_later, waits_with
from tidegate.domain.events import DETAILS
from tidegate.domain.job import TERMINAL, Sla, State, retries_used
from tidegate.domain.sla import NO_DEADLINES, Deadlines

from .database import Database


class _Row(NamedTuple):
    """A row of `changes`: the job after its change, and what it was before where that is told."""

    seq: int
    tenant: str
    id: str
    name: str
    queue: str
    old_state: str | None
    state: str | None
    old_attempt: int | None
    attempt: int | None
    at: int | None
    started_at: int | None
    lease_until: int | None
    old_wake_at: int | None
    wake_at: int | None
    old_attempts_allowed: int | None
    attempts_allowed: int | None
    retry_limit: int | None
    old_priority: int | None
    old_blocked: int | None
    blocked: int | None
    old_cost: int | None
    cost: int | None
    data_ref: str | None
    result_ref: str | None
    details: str
    sla: str | None


_READ = f"SELECT {', '.join(_Row._fields)} FROM changes ORDER BY seq LIMIT ?"
_PRESSING = (
    f"SELECT MAX(seq), MAX(state IN ({', '.join(repr(state.value) for state in sorted(TERMINAL))})"
    " AND json_extract(details, '$.node') IS NOT NULL) FROM changes WHERE seq > ?"
)
_POLL_SECONDS = 0.002
_STATES: Mapping[str | None, State | None] = {None: None, **{state.value: state for state in State}}
_NO_SLA: Mapping[str, Any] = {}


class SqliteFeed:
    """`Feed` on one file: a table that triggers fill."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen = 0

    def read(self, limit: int) -> Sequence[Change]:
        """See `Feed.read`."""
        changes = [_change(_Row._make(row)) for row in self._database.rows(_READ, (limit,))]
        if changes:
            self._seen = int(changes[-1].id)
        return changes

    def drop(self, changes: Sequence[Change]) -> None:
        """See `Feed.drop`."""
        if changes:
            self._database.rows("DELETE FROM changes WHERE seq <= ?", (int(changes[-1].id),))

    def wait(self, seconds: float) -> None:
        """See `Feed.wait`. It looks at what came since it last looked, and only when another connection has written."""
        end, version = time.monotonic() + seconds, -1
        while (left := end - time.monotonic()) > 0:
            if version != (version := self._database.version()) and self._presses():
                return
            time.sleep(min(_POLL_SECONDS, left))

    def _presses(self) -> bool:
        ((newest, pressing),) = self._database.rows(_PRESSING, (self._seen,))
        self._seen = newest or self._seen
        return bool(pressing)


def _change(row: _Row) -> Change:
    old_state, state = _STATES[row.old_state], _STATES[row.state]
    job: dict[str, Any] = json.loads(row.details)
    sla: Mapping[str, Any] = _NO_SLA if row.sla is None else json.loads(row.sla)
    webhook = job.get("webhook")
    return Change(
        id=str(row.seq),
        tenant=row.tenant,
        job_id=row.id,
        old_state=old_state,
        state=state,
        attempt=(row.old_attempt if state is None else row.attempt) or 0,
        old_attempt=row.old_attempt,
        at=row.at or 0,
        started_at=row.started_at,
        lease_until=row.lease_until,
        dag_id=job.get("dag_id"),
        node=job.get("node"),
        name=row.name,
        queue=row.queue,
        owner=job.get("owner") or "",
        webhook=None if webhook is None else json.loads(webhook),
        details=_details({**job, **sla, "started_at": row.started_at}),
        old_retries=_retries(row.old_attempt, row.old_attempts_allowed, row.retry_limit),
        retries=_retries(row.attempt, row.attempts_allowed, row.retry_limit),
        was_delayed=old_state is not None and starts_later(old_state, row.old_wake_at),
        is_delayed=state is not None and starts_later(state, row.wake_at),
        was_waiting=_waits(old_state, row.old_wake_at, row.old_priority, row.old_blocked),
        is_waiting=_waits(state, row.wake_at, job.get("priority"), row.blocked),
        blobs=() if state is not None else tuple(ref for ref in (row.data_ref, row.result_ref) if ref is not None),
        created_at=sla.get("created_at") or 0,
        deadlines=Deadlines(sla["soft_sla"], sla["hard_sla"]) if sla else NO_DEADLINES,
        old_sla=Sla(sla.get("old_sla") or 0),
        sla=Sla(sla.get("sla") or 0),
        awaited=job.get("task_token") is not None,
        unique_key=job.get("unique_key"),
        counted=bool(job.get("counted")),
        old_cost=row.old_cost or 0,
        cost=row.cost or 0,
    )


def _details(job: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name in DETAILS if (value := job.get(name)) is not None}


def _retries(attempt: int | None, allowed: int | None, limit: int | None) -> int:
    return 0 if allowed is None else retries_used(attempt or 0, allowed, limit or 0)


def _waits(state: State | None, wake_at: int | None, priority: int | None, blocked: int | None) -> int | None:
    return None if state is None else waits_with(state, wake_at, priority, blocked=bool(blocked))
