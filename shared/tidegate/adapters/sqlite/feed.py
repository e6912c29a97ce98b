"""The change feed of the embedded home: what DynamoDB Streams is in the cloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tidegate.domain.job import Ms

from .database import Database


class SqliteFeed:
    """Changes of jobs in the order of their commits, as the records of a DynamoDB stream event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, limit: int) -> Sequence[dict[str, Any]]:
        """The oldest records that were not dropped, at most `limit`."""
        sql = (
            "SELECT seq, tenant, id, old_state, state, attempt, name, queue, at, started_at, lease_until, "
            "details FROM changes ORDER BY seq LIMIT ?"
        )
        return [_record(*row) for row in self._database.rows(sql, (limit,))]

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        """Forget records that were handled: all up to the last of `records`."""
        if records:
            self._database.rows("DELETE FROM changes WHERE seq <= ?", (int(records[-1]["eventID"]),))


def _record(
    seq: int, tenant: str, job_id: str, old_state: str | None, state: str | None, attempt: int, name: str, queue: str,
    at: Ms, started_at: Ms | None, lease_until: Ms | None, details: str | None,
) -> dict[str, Any]:  # fmt: skip
    known = json.loads(details or "{}")
    old_attempt = {"N": str(known.pop("old_attempt", attempt))}
    common = {"tenant": {"S": tenant}, "id": {"S": job_id}, "name": {"S": name}, "queue": {"S": queue}}
    common |= {field: _attribute(value) for field, value in known.items() if value is not None}
    images: dict[str, Any] = {}
    if old_state is not None:
        images["OldImage"] = {**common, "state": {"S": old_state}, "attempt": old_attempt, "updated_at": {"N": str(at)}}
    if state is not None:
        numbers = {"attempt": attempt, "updated_at": at, "started_at": started_at, "lease_until": lease_until}
        present = {field: {"N": str(value)} for field, value in numbers.items() if value is not None}
        images["NewImage"] = {**common, **present, "state": {"S": state}}
    kind = "INSERT" if old_state is None else "MODIFY" if state is not None else "REMOVE"
    return {
        "eventID": str(seq),
        "eventName": kind,
        "eventSource": "tidegate:sqlite",
        "dynamodb": {**images, "SequenceNumber": str(seq), "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def _attribute(value: str | int | list[str]) -> dict[str, Any]:
    """A value as DynamoDB writes it."""
    if isinstance(value, list):
        return {"L": [{"S": each} for each in value]}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}
