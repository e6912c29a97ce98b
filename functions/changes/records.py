"""Stream records as changes of jobs. The embedded home's feed hands over changes as they are."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from tidegate.domain.change import Change, starts_later, waits_with
from tidegate.domain.events import DETAILS
from tidegate.domain.job import Sla, State, retries_used
from tidegate.domain.sla import Deadlines

_log = logging.getLogger("tidegate.changes")
Image = Mapping[str, Mapping[str, Any]]
Record = Mapping[str, Any] | Change


def changes_in(records: Iterable[Record]) -> list[Change]:
    """The changes of jobs among the records of a stream event, in their order."""
    found = (record if isinstance(record, Change) else _change_or_none(record) for record in records)
    return [change for change in found if change is not None]


def number_of(record: Record) -> str:
    """What the stream calls the record: it starts again from there when it is told so."""
    return record.id if isinstance(record, Change) else str(record["dynamodb"]["SequenceNumber"])


def _change_or_none(record: Mapping[str, Any]) -> Change | None:
    try:
        return change_of(record)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        number = (record.get("dynamodb") or {}).get("SequenceNumber")
        extra = {"action": "change_skipped", "correlation_id": _correlation_or_none(record)}
        _log.error("record %s cannot be read: %s", number, type(error).__name__, extra=extra)
        return None


def _correlation_or_none(record: Mapping[str, Any]) -> str | None:
    """The request that made the job of a record that may have any shape."""
    try:
        images = record["dynamodb"]
        return str((images.get("NewImage") or images["OldImage"])["correlation_id"]["S"])
    except (KeyError, TypeError, AttributeError):
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
        dag_id=_text_or_none(image, "dag_id"),
        node=_text_or_none(image, "node"),
        id=str(record.get("eventID", "")),
        name=_text(image, "name"),
        queue=_text(image, "queue"),
        owner=_text(image, "owner"),
        webhook=json.loads(_text(image, "webhook") or "null"),
        old_attempt=None if old is None else _number(old, "attempt"),
        details={name: _value(image[name]) for name in DETAILS if name in image},
        old_retries=0 if old is None else _retries(old),
        retries=0 if new is None else _retries(new),
        was_delayed=old is not None and _is_delayed(old),
        is_delayed=new is not None and _is_delayed(new),
        was_waiting=None if old is None else _waiting(old),
        is_waiting=None if new is None else _waiting(new),
        blobs=() if new is not None else _blobs(image),
        created_at=_number(image, "created_at") or 0,
        deadlines=Deadlines(_number(image, "soft_sla"), _number(image, "hard_sla")),
        old_sla=Sla((None if old is None else _number(old, "sla")) or 0),
        sla=Sla((None if new is None else _number(new, "sla")) or 0),
        awaited="task_token" in image,
        unique_key=_text_or_none(image, "unique_key"),
        old_cost=_cost(old),
        cost=_cost(new),
        counted=bool(image.get("counted", {}).get("BOOL")),
    )


def _text_or_none(image: Image, name: str) -> str | None:
    return image[name]["S"] if name in image else None


def _cost(image: Image | None) -> int:
    return 0 if image is None else _number(image, "cost") or 0


def _blobs(image: Image) -> tuple[str, ...]:
    return tuple(image[name]["S"] for name in ("data_ref", "result_ref") if name in image)


def _retries(image: Image) -> int:
    numbers = [_number(image, name) for name in ("attempt", "attempts_allowed", "retry_limit")]
    attempt, allowed, limit = (number or 0 for number in numbers)
    return retries_used(attempt, allowed, limit) if "attempts_allowed" in image else 0


def _is_delayed(image: Image) -> bool:
    return starts_later(State(image["state"]["S"]), _number(image, "wake_at"))


def _waiting(image: Image) -> int | None:
    blocked = image.get("blocked", {}).get("BOOL", False)
    return waits_with(
        State(image["state"]["S"]), _number(image, "wake_at"), _number(image, "priority"), blocked=blocked
    )


def _number(image: Image, name: str) -> int | None:
    return int(image[name]["N"]) if name in image else None


def _text(image: Image, name: str) -> str:
    return str(image[name]["S"]) if name in image else ""


def _value(attribute: Mapping[str, Any]) -> str | int | list[str]:
    """A text, a whole number, or a list of texts."""
    if "L" in attribute:
        return [str(each["S"]) for each in attribute["L"]]
    return int(attribute["N"]) if "N" in attribute else str(attribute["S"])
