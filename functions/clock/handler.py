"""EventBridge's minute → one tick; how late it was done becomes a figure."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from tidegate import runtime
from tidegate.domain.errors import InvalidInput
from tidegate.execution.discreet import discreet
from tidegate.service.tick import tick

from .gauges import publish

_log = logging.getLogger("tidegate.clock")
PERIOD_SECONDS = 60.0


@discreet
def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:  # noqa: ARG001
    """Do what is due; answer what was done, in numbers, and `lag_seconds` from the event to the end.

    `detail.period_seconds` tells when the next event comes, a minute from now unless it says otherwise;
    `detail.last_tick_ms`, sent where events come more often than each minute, when the last one was handled.
    Raises what a part of it raised once all others are done: the next tick does the rest.
    """
    app = runtime.current()
    try:
        done = asdict(tick(app.ports, period_of(event), last_tick_of(event)))
    finally:
        lag = max(0.0, app.ports.now() / 1000 - datetime.fromisoformat(event["time"]).timestamp())
        if app.settings.cloud_stage is not None:
            publish(app.ports, app.settings.cloud_stage, lag)
    _log.debug("ticked: %s", done, extra={"action": "tick", **done})
    return {**done, "lag_seconds": lag}


def period_of(event: Mapping[str, Any]) -> float:
    """Seconds until the next tick. Raises InvalidInput."""
    period = (event.get("detail") or {}).get("period_seconds", PERIOD_SECONDS)
    if isinstance(period, bool) or not isinstance(period, int | float) or not 0 < period <= 3600:
        raise InvalidInput.field("detail.period_seconds", "must be a number above 0, at most 3600")
    return float(period)


def last_tick_of(event: Mapping[str, Any]) -> int | None:
    """When the tick before was, in ms since 1970; None if the event does not say. Raises InvalidInput."""
    last = (event.get("detail") or {}).get("last_tick_ms")
    if last is not None and (isinstance(last, bool) or not isinstance(last, int)):
        raise InvalidInput.field("detail.last_tick_ms", "must be milliseconds since 1970")
    return last
