"""Events on an EventBridge bus."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tidegate.domain.events import AnyEvent, body_of
from tidegate.ports import EventBus

from .clients import Clients, request
from .tables import chunks, pauses

_log = logging.getLogger("tidegate.events")
BATCH = 10
"""Entries that PutEvents takes in one request."""
SOURCE = "tidegate"
_PASSING = frozenset({"InternalFailure", "InternalException", "ThrottlingException", "ServiceUnavailable"})

Entry = Mapping[str, Any]


class EventBridgeBus:
    """`EventBus` on one bus: ten events a request, several requests at once, so their order is not kept.

    An event that EventBridge will never take is logged and passed over: it must not hold up those behind it.
    """

    def __init__(self, clients: Clients, name: str) -> None:
        self._clients = clients
        self._name = name
        self._parallel = clients.parallel

    def publish(self, events: Sequence[AnyEvent]) -> None:
        """See `EventBus.publish`. An entry that failed in passing is sent again; Unavailable when it keeps failing."""
        entries = [self._entry(event) for event in events]
        self._parallel.map(self._put, list(chunks(entries, BATCH)))

    def _entry(self, event: AnyEvent) -> Entry:
        return {
            "EventBusName": self._name,
            "Source": SOURCE,
            "DetailType": event.type,
            "Time": datetime.fromtimestamp(event.at / 1000, UTC),
            "Detail": json.dumps(body_of(event), separators=(",", ":"), ensure_ascii=False),
        }

    def _put(self, entries: Sequence[Entry]) -> None:
        left = entries
        for pause in pauses():
            answer = request(self._clients.events.put_events, Entries=left)
            results = zip(left, answer["Entries"], strict=True)
            left = [entry for entry, result in results if _failed_in_passing(result)]
            if not left:
                return
            pause()


class NoBus:
    """`EventBus` of a stage that has none."""

    def publish(self, events: Sequence[AnyEvent]) -> None:
        """Nothing is announced."""


def bus_named(clients: Clients, name: str) -> EventBus:
    """The bus of that name; an empty name means there is none."""
    return EventBridgeBus(clients, name) if name else NoBus()


def _failed_in_passing(result: Mapping[str, Any]) -> bool:
    """Whether an entry is worth sending again."""
    code = result.get("ErrorCode")
    if code is not None and code not in _PASSING:
        _log.error("EventBridge refused an event: %s", code, extra={"action": "event_refused", "code": code})
        return False
    return code is not None
