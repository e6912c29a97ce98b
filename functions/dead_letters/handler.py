"""SQS batch of a dead-letter queue → each is renewed, dropped or put aside."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

from tidegate import runtime
from tidegate.domain.errors import Unavailable
from tidegate.execution.correlating import correlated
from tidegate.execution.discreet import discreet
from tidegate.execution.emf import publish
from tidegate.service.bury import Burial, bury, correlation_of

_log = logging.getLogger("tidegate.dead_letters")
FATES: Mapping[Burial, str] = {
    Burial.RENEWED: "TicketsRenewed",
    Burial.SPENT: "TicketsSpent",
    Burial.PUT_ASIDE: "TicketsPutAside",
}


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Deal with every message; the answer names those that SQS must deliver again, the store being out of reach."""
    failed, fates = [], Counter[str]()
    for record in event["Records"]:
        with correlated(correlation_of(record["body"])):
            burial = _dealt_with(record)
        if burial is None:
            failed.append(record["messageId"])
        else:
            fates[FATES[burial]] += 1
    publish(runtime.current().settings.cloud_stage, fates)
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _dealt_with(record: Mapping[str, Any]) -> Burial | None:
    source = record["eventSourceARN"].rpartition(":")[2]
    extra = {"action": "dead_letter", "message_id": record["messageId"], "source": source}
    try:
        burial = bury(runtime.current().ports, record["body"], source)
    except Unavailable as error:
        _log.warning("dead letter kept: %s", error.message, extra=extra)
        return None
    _log.warning("dead letter %s: %s", record["messageId"], burial, extra={**extra, "burial": str(burial)})
    return burial
