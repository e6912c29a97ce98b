"""Who works, in the registry table.

    item      pk                  sk
    worker    workers             {tenant}#{id}

All are in one partition, which takes 1,000 writes a second: enough for 20,000 workers that each say every 20 s
that they are alive. An entry of up to ten attempts is one write unit.
"""

from __future__ import annotations

from collections.abc import Sequence

from tidegate.adapters.workers import KEPT_SECONDS, dump, load
from tidegate.domain.job import Ms
from tidegate.ports import Worker

from .records import TTL
from .tables import Table, place

_PARTITION = "workers"


class DynamoWorkers:
    """`Workers` on the registry table; entries have a time to live."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def put(self, worker: Worker) -> None:
        """See `Workers.put`."""
        key = (_PARTITION, f"{worker.tenant}#{worker.id}")
        self._table.put(
            {
                **place(key),
                "seen_at": {"N": str(worker.seen_at)},
                "worker": {"S": dump(worker)},
                TTL: {"N": str(worker.seen_at // 1000 + KEPT_SECONDS)},
            }
        )

    def list(self, seen_from: Ms) -> Sequence[Worker]:
        """See `Workers.list`. Costs a read unit for every 8 KB of entries, those of the last hour."""
        items = self._table.query(
            KeyConditionExpression="pk = :pk",
            FilterExpression="seen_at >= :from",
            ExpressionAttributeValues={":pk": {"S": _PARTITION}, ":from": {"N": str(seen_from)}},
        )
        workers = (load(item["worker"]["S"]) for item in items)
        return sorted(workers, key=lambda worker: (worker.tenant, worker.id))
