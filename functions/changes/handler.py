"""A batch of the jobs table's stream → counters and timers, once each; events, webhooks; and figures for CloudWatch."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from tidegate import runtime
from tidegate.domain.errors import Unavailable
from tidegate.execution.discreet import discreet
from tidegate.service.announce_changes import announce_changes
from tidegate.service.budgets import tell_budgets
from tidegate.service.call_back import call_back
from tidegate.service.record_changes import record_changes
from tidegate.service.release import release_after
from tidegate.service.webhooks import send_webhooks

from .figures import publish
from .records import Record, changes_in, number_of

_log = logging.getLogger("tidegate.changes")
_MOST_NAMED = 20
"""Requests that one line names."""


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Record all changes of the batch, or report its first record, from which the stream then starts again.

    `Records` are those of DynamoDB Streams, or the changes of the embedded home's feed.
    Only an unreachable store is worth another try: a record that cannot be read is logged and passed over.
    """
    app = runtime.current()
    records: Sequence[Record] = event["Records"]
    if not records:
        return {"batchItemFailures": []}
    changes = changes_in(records)
    try:
        record_changes(app.ports, batch_name(records), changes)
        told = tell_budgets(app.ports, changes)
        announce_changes(app.ports, changes)
        call_back(app.ports, changes)
        release_after(app.ports, changes)
        send_webhooks(app.ports, changes)
    except Unavailable as error:
        concerned = sorted(
            {str(each.details["correlation_id"]) for each in changes if "correlation_id" in each.details}
        )
        extra = {"action": "changes_delayed", "correlation_ids": concerned[:_MOST_NAMED]}
        _log.warning("changes not recorded: %s", error.message, extra=extra)
        return {"batchItemFailures": [{"itemIdentifier": number_of(records[0])}]}
    publish(app.settings.cloud_stage, changes, told)
    return {"batchItemFailures": []}


def batch_name(records: Sequence[Record]) -> str:
    """A name that these records, and only these, always arrive under."""
    return f"{number_of(records[0])}-{number_of(records[-1])}-{len(records)}"
