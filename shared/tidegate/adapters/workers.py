"""Workers as JSON and back: what both homes store."""

from __future__ import annotations

import json
from dataclasses import asdict

from tidegate.ports import Held, Worker

KEPT_SECONDS = 3_600
"""An entry is dropped so long after it was last put: a worker says at least every minute that it is alive."""


def dump(worker: Worker) -> str:
    """A worker as compact JSON text."""
    return json.dumps(asdict(worker), separators=(",", ":"), ensure_ascii=False)


def load(text: str) -> Worker:
    """The worker in a text that `dump` made."""
    values = json.loads(text)
    running = tuple(Held(*held) for held in values["running"])
    lists = {name: tuple(values[name]) for name in ("queues", "names")}
    return Worker(**{**values, **lists, "running": running})
