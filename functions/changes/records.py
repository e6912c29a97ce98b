"""Stream records as changes of jobs."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.domain.job import State
from tidegate.service.record_changes import Change

_log = logging.getLogger("tidegate.changes")
Image = Mapping[str, Mapping[str, str]]


def changes_in(records: Iterable[Mapping[str, Any]]) -> list[Change]:
    """The changes of jobs among the records of a stream event, in their order."""
    return [change for record in records if (change := _change_or_none(record)) is not None]


def _change_or_none(record: Mapping[str, Any]) -> Change | None:
    try:
        return change_of(record)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        number = (record.get("dynamodb") or {}).get("SequenceNumber")
        _log.error("record %s cannot be read: %s", number, type(error).__name__, extra={"action": "change_skipped"})
        return None


def change_of(record: Mapping[str, Any]) -> Change | None:
    """The change of a job that a record tells of; None for an item that is no job, such as a pointer to one.

    Raises KeyError, ValueError or TypeError for a record that has not the shape of DynamoDB's.
    """
    images = record["dynamodb"]
    old: Image | None = images.get("OldImage")
    new: Image | None = images.get("NewImage")
    image = new or old
    if image is None or "state" not in image:
        return None
    return Change(
        tenant=image["tenant"]["S"],
        job_id=image["id"]["S"],
        old_state=None if old is None else State(old["state"]["S"]),
        state=None if new is None else State(new["state"]["S"]),
        attempt=_number(image, "attempt") or 0,
        at=_number(image, "updated_at") or 0,
        started_at=_number(image, "started_at"),
        lease_until=_number(image, "lease_until"),
        queue=image["queue"]["S"],
        webhook=json.loads(image["webhook"]["S"]) if "webhook" in image else None,
    )


def _number(image: Image, name: str) -> int | None:
    return int(image[name]["N"]) if name in image else None
