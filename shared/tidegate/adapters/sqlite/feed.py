"""The change feed of the embedded home: what DynamoDB Streams is in the cloud."""

from __future__ import annotations

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
            "SELECT seq, tenant, id, old_state, state, attempt, name, queue, at, started_at, lease_until, webhook "
            "FROM changes ORDER BY seq LIMIT ?"
        )
        return [_record(*row) for row in self._database.rows(sql, (limit,))]

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        """Forget records that were handled: all up to the last of `records`."""
        if records:
            self._database.rows("DELETE FROM changes WHERE seq <= ?", (int(records[-1]["eventID"]),))


def _record(
    seq: int, tenant: str, job_id: str, old_state: str | None, state: str | None, attempt: int, name: str, queue: str,
    at: Ms, started_at: Ms | None, lease_until: Ms | None, webhook: str | None,
) -> dict[str, Any]:  # fmt: skip
    common = {"tenant": {"S": tenant}, "id": {"S": job_id}, "name": {"S": name}, "queue": {"S": queue}}
    images: dict[str, Any] = {}
    if old_state is not None:
        images["OldImage"] = {**common, "state": {"S": old_state}}
    if state is not None:
        numbers = {"attempt": attempt, "updated_at": at, "started_at": started_at, "lease_until": lease_until}
        present = {field: {"N": str(value)} for field, value in numbers.items() if value is not None}
        hook = {} if webhook is None else {"webhook": {"S": webhook}}
        images["NewImage"] = {**common, **present, **hook, "state": {"S": state}}
    kind = "INSERT" if old_state is None else "MODIFY" if state is not None else "REMOVE"
    return {
        "eventID": str(seq),
        "eventName": kind,
        "eventSource": "tidegate:sqlite",
        "dynamodb": {**images, "SequenceNumber": str(seq), "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }
