"""The change feed of the embedded home: what DynamoDB Streams is in the cloud."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from .database import Database

_COLUMNS = (
    "seq", "tenant", "id", "name", "queue", "old_state", "state", "attempt", "at", "started_at", "lease_until",
    "wake_at", "attempts_allowed", "retry_limit", "data_ref", "result_ref", "old_wake_at", "old_attempt",
    "old_attempts_allowed", "old_priority", "blocked", "old_blocked", "details", "sla", "cost", "old_cost",
)  # fmt: skip


class SqliteFeed:
    """Changes of jobs in the order of their commits, as the records of a DynamoDB stream event."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def read(self, limit: int) -> Sequence[dict[str, Any]]:
        """The oldest records that were not dropped, at most `limit`."""
        sql = f"SELECT {', '.join(_COLUMNS)} FROM changes ORDER BY seq LIMIT ?"
        rows = self._database.rows(sql, (limit,))
        return [_record(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def drop(self, records: Sequence[dict[str, Any]]) -> None:
        """Forget records that were handled: all up to the last of `records`."""
        if records:
            self._database.rows("DELETE FROM changes WHERE seq <= ?", (int(records[-1]["eventID"]),))


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    same = {name: row[name] for name in ("tenant", "id", "name", "queue", "retry_limit")}
    same |= json.loads(row["details"])
    sla = json.loads(row["sla"] or "{}")
    same |= {name: sla.get(name) for name in ("soft_sla", "hard_sla", "created_at")}
    images: dict[str, Any] = {}
    if row["old_state"] is not None:
        kept = ("state", "wake_at", "attempt", "attempts_allowed", "priority", "cost")
        before = {name: row[f"old_{name}"] for name in kept} | _blocked(row["old_blocked"])
        left = {name: row[name] for name in ("data_ref", "result_ref")}
        images["OldImage"] = _image({**same, **before, **left, "sla": sla.get("old_sla"), "updated_at": row["at"]})
    if row["state"] is not None:
        names = ("state", "attempt", "started_at", "lease_until", "wake_at", "attempts_allowed", "cost")
        after = {name: row[name] for name in names} | _blocked(row["blocked"])
        images["NewImage"] = _image({**same, **after, "sla": sla.get("sla"), "updated_at": row["at"]})
    kind = "INSERT" if row["old_state"] is None else "MODIFY" if row["state"] is not None else "REMOVE"
    return {
        "eventID": str(row["seq"]),
        "eventName": kind,
        "eventSource": "tidegate:sqlite",
        "dynamodb": {**images, "SequenceNumber": str(row["seq"]), "StreamViewType": "NEW_AND_OLD_IMAGES"},
    }


def _blocked(flag: int | None) -> dict[str, bool]:
    """As on DynamoDB, where what equals its default is left out."""
    return {"blocked": True} if flag else {}


def _image(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as DynamoDB has them: numbers as text, and nothing for None."""
    present = {name: value for name, value in values.items() if value is not None}
    return {name: _attribute(value) for name, value in present.items()}


def _attribute(value: str | bool | int | list[str]) -> dict[str, Any]:
    """A value as DynamoDB writes it."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, list):
        return {"L": [{"S": each} for each in value]}
    return {"S": value} if isinstance(value, str) else {"N": str(value)}
