"""Jobs as items of the jobs table, and as the images of its stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tidegate.domain.guard import spot_of
from tidegate.domain.job import TERMINAL, Job, Ms, State

from .attributes import AttributeValue, Item, Shape
from .keys import job_key
from .spreads import Spreads

JOB: Shape[Job] = Shape(Job, sparse=True, always=frozenset({"attempt"}))
"""`attempt` is always stored, for the guards that compare it."""

TTL = "ttl"
"""Seconds since 1970 after which DynamoDB may delete the item, days late: readers pass it over at once."""


class Change(NamedTuple):
    """A job before and after one write; None where there was, or is, no such job."""

    old: Job | None
    new: Job | None


def item_of(job: Job, key: str, spreads: Spreads) -> Item:
    """The item of a job at a sort key, in its index spot."""
    pk, sk = job_key(job.tenant, key)
    item = {"pk": {"S": pk}, "sk": {"S": sk}, **JOB.dump(job), **spreads.attributes(spot_of(job), key)}
    if job.state in TERMINAL and job.keep_until is not None:
        item[TTL] = ttl_of(job.keep_until)
    return item


def job_of(item: Item) -> Job:
    """The job in an item."""
    return JOB.load(item)


def live_job(item: Item | None, now: Ms) -> Job | None:
    """The job in an item, unless there is none or its time to live has passed."""
    if item is None or (TTL in item and int(item[TTL]["N"]) * 1000 <= now):
        return None
    return job_of(item)


def ttl_of(keep_until: Ms) -> AttributeValue:
    """The time to live of an ended job: never before `keep_until`."""
    return {"N": str(-(-keep_until // 1000))}


def changes_of_values(values: Mapping[str, Any]) -> dict[str, AttributeValue | None]:
    """The attributes that a write of these fields sets, None for those it takes away.

    A write that ends a job and says `keep_until` gives it its time to live; one that reopens it takes it back.
    """
    changes = {name: JOB.attribute(name, value) for name, value in values.items()}
    if isinstance(state := values.get("state"), State):
        keep_until = values.get("keep_until")
        if state not in TERMINAL:
            changes[TTL] = None
        elif keep_until is not None:
            changes[TTL] = ttl_of(keep_until)
    return changes


def change_of(record: Mapping[str, Any]) -> Change | None:
    """What a record of the table's stream (NEW_AND_OLD_IMAGES) tells of a job; None if it is of something else."""
    images = record["dynamodb"]
    old, new = images.get("OldImage"), images.get("NewImage")
    if not _is_job(new or old):
        return None
    return Change(None if old is None else job_of(old), None if new is None else job_of(new))


def _is_job(image: Item | None) -> bool:
    return image is not None and "state" in image
