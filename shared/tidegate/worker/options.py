"""How a worker is to run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from tidegate.domain.errors import InvalidInput
from tidegate.domain.queue import DEFAULT_POOL, check_name

PARENT_VARIABLE = "TIDEGATE_PARENT_PID"
MAX_CONCURRENCY = 256
_MAX_PORT = 65_535


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """How a worker is to run. `poll_interval` in seconds.

    It works on the folder `data`, on the deployed `stack` (its name; needs AWS credentials), over HTTP for the server
    at `url` with `token`, or, with none of them, on the home that `TIDEGATE_*` variables name.
    """

    data: Path | None = None
    stack: str | None = None
    url: str | None = None
    token: str | None = None
    pool: str = DEFAULT_POOL
    queues: tuple[str, ...] = ()
    """The queues whose jobs to run; empty: all of the pool."""
    concurrency: int = 1
    """How many jobs to run at once, each on a thread of its own."""
    max_jobs: int | None = None
    worker_id: str | None = None
    poll_interval: float = 5.0
    handlers: tuple[str, ...] = ()
    metrics_port: int | None = None
    """Where the worker tells its own figures, on `metrics_host`; None: nowhere. 0: a port that is free."""
    metrics_host: str = "127.0.0.1"

    def __post_init__(self) -> None:
        for queue in self.queues:
            check_name("queue", queue)
        if not 1 <= self.concurrency <= MAX_CONCURRENCY:
            raise InvalidInput.field("concurrency", f"must be from 1 to {MAX_CONCURRENCY}")
        if self.metrics_port is not None and not 0 <= self.metrics_port <= _MAX_PORT:
            raise InvalidInput.field("metrics_port", f"must be from 0 to {_MAX_PORT}")


class Parent:
    """The process that started this one, if it is one that its workers must not outlive."""

    def __init__(self) -> None:
        self._pid = int(os.environ.get(PARENT_VARIABLE, "0"))

    @property
    def is_gone(self) -> bool:
        """Whether it has ended."""
        return self._pid != 0 and os.getppid() != self._pid
