"""Unique keys in the jobs table: a record leads from the key to the last job that took it.

A job and its record are written in one transaction, which also checks that the job that had the key still is out of
the way. So two submissions, or a submission and a restart, never both get the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from tidegate.domain.job import TERMINAL, Job, Ms, UniquePolicy
from tidegate.domain.ticket import Lane
from tidegate.domain.uniqueness import stands_in_way

from .expressions import Placeholders, equal_or_absent
from .keys import job_key, unique_key
from .records import live_job
from .tables import Table, place

Action = Mapping[str, Mapping[str, Any]]


class DynamoUniqueKeys:
    """`UniqueKeys` on the jobs table."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def holder(self, lane: Lane, key: str) -> str | None:
        """See `UniqueKeys.holder`."""
        record = self._table.get(unique_key(lane, key))
        return None if record is None else str(record["id"]["S"])

    def drop_if_held(self, lane: Lane, key: str, job_id: str) -> None:
        """See `UniqueKeys.drop_if_held`."""
        self._table.delete(unique_key(lane, key), **equal_or_absent({"id": {"S": job_id}}))


class Owner(NamedTuple):
    """Whose a unique key is: the place of the last job that took it, and that job unless it is gone."""

    place: str | None
    job: Job | None


class KeyTaking:
    """What a transaction must contain so that a job takes its unique key."""

    def __init__(self, table: Table, now: Callable[[], Ms]) -> None:
        self._table = table
        self._now = now

    def owner(self, job: Job) -> Owner:
        """Whose the job's unique key is now."""
        record = self._table.get(_record_key(job))
        if record is None:
            return Owner(None, None)
        found: str = record["key"]["S"]
        return Owner(found, live_job(self._table.get(job_key(job.tenant, found)), self._now()))

    def actions(self, job: Job, key: str, owner: Owner) -> list[Action]:
        """Give the key to `job`, kept at sort key `key`, if it still is as `owner` says."""
        record = {**place(_record_key(job)), "key": {"S": key}, "id": {"S": job.id}}
        unchanged = equal_or_absent({"key": None if owner.place is None else {"S": owner.place}})
        actions: list[Action] = [{"Put": {"Item": record, **unchanged}}]
        if owner.job is not None and owner.place is not None and owner.place != key:
            where = place(job_key(job.tenant, owner.place))
            actions.append({"ConditionCheck": {"Key": where, **_out_of_the_way(job)}})
        return actions


def blocker(job: Job, owner: Owner) -> Job | None:
    """The job that stands in the way of `job`, if one does."""
    return owner.job if owner.job is not None and stands_in_way(job, owner.job) else None


def _record_key(job: Job) -> tuple[str, str]:
    return unique_key(Lane(job.tenant, job.queue), job.unique_key or "")


def _out_of_the_way(job: Job) -> dict[str, Any]:
    """The condition that another job does not stand in the way: `stands_in_way`, said of an item."""
    marks = Placeholders()
    ended = f"{marks.name('state')} IN ({', '.join(marks.text(state) for state in sorted(TERMINAL))})"
    stopping = f" OR attribute_exists({marks.name('cancel_requested')})" if job.policy is UniquePolicy.REPLACE else ""
    return {"ConditionExpression": ended + stopping, **marks.arguments()}
