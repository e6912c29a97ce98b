"""Who works, as the server tells it. Times are in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .models import Progress, progress_of, text_of, time_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A job that a worker runs."""

    job_id: str
    name: str = ""
    queue: str = ""
    attempt: int = 0
    started_at: datetime | None = None
    progress: Progress | None = None

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Running:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(
            job_id=text_of(wire["job_id"]),
            name=text_of(wire["name"]),
            queue=text_of(wire["queue"]),
            attempt=int(wire["attempt"]),
            started_at=time_of(wire.get("started_at")),
            progress=progress_of(wire.get("progress")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """A worker that was seen in the last minute: `busy` counts what it runs, `running` is what one may see of it."""

    id: str
    kind: str
    pool: str = "default"
    queues: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    host: str = ""
    version: str = ""
    concurrency: int = 1
    busy: int = 0
    started_at: datetime | None = None
    seen_at: datetime | None = None
    running: tuple[Running, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Worker:
        """Read the server's form. Raises LookupError, TypeError or ValueError where it is not one."""
        return cls(
            id=text_of(wire["id"]),
            kind=text_of(wire["kind"]),
            pool=text_of(wire["pool"]),
            queues=tuple(wire.get("queues") or ()),
            names=tuple(wire.get("names") or ()),
            host=wire.get("host") or "",
            version=wire.get("version") or "",
            concurrency=int(wire.get("concurrency") or 1),
            busy=int(wire.get("busy") or 0),
            started_at=time_of(wire.get("started_at")),
            seen_at=time_of(wire.get("seen_at")),
            running=tuple(Running.from_wire(each) for each in wire.get("running") or ()),
            raw=wire,
        )
