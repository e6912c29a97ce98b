"""What all processes of a history share: the project's SQLite home, in memory."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tidegate.adapters.sqlite.database import Database
from tidegate.adapters.sqlite.feed import SqliteFeed
from tidegate.adapters.sqlite.jobs import SqliteJobs
from tidegate.adapters.sqlite.tickets import SqliteTickets
from tidegate.domain.job import Ms
from tidegate.ports import Delivery, JobKey

from .faults import Faults
from .watch import Watch
from .world import Process, Task, World

MAX_RECEIVES = 25
"""As in the deployed stack: then a ticket is a dead letter."""
NO_LIMIT = 10**9
"""The embedded home has no dead letters."""
_TABLES = (
    "jobs",
    "changes",
    "tickets",
    "queues",
    "lanes",
    "slots",
    "semaphores",
    "rates",
    "unique_keys",
    "timers",
    "figures",
    "dags",
    "logs",
    "events",
    "batches",
    "tokens",
)


def open_store() -> Database:
    """An empty database in memory, to be used by one seed after the other."""
    return Database(Path(":memory:"))


@dataclass(slots=True)
class Store:
    """What all processes share: the tables, the tickets, the blobs, and the tickets given up."""

    world: World
    faults: Faults
    watch: Watch
    database: Database
    visibility: float
    latency: Ms = 60
    """Of a call, at most, in milliseconds."""
    max_receives: int = MAX_RECEIVES
    blobs: dict[str, bytes] = field(default_factory=dict)
    dead: list[Delivery] = field(default_factory=list)
    waiting: dict[str, dict[Task, Ms]] = field(default_factory=lambda: {"ticket": {}, "change": {}, "letter": {}})
    """Who waits for what, and until when."""
    spread: bool = False
    """Whether queues may be spread over several keys of the index."""
    keys: dict[JobKey, int] = field(default_factory=dict)
    """The key of the index on which each job was last put in line."""
    numbers: int = 0
    jobs: SqliteJobs = field(init=False)
    tickets: SqliteTickets = field(init=False)
    feed: SqliteFeed = field(init=False)
    _connection: sqlite3.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.jobs = SqliteJobs(self.database, lambda: self.world.now)
        self.tickets = SqliteTickets(self.database, lambda: self.world.now, self.visibility)
        self.feed = SqliteFeed(self.database)
        with self.database.transaction() as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")
            self._connection = connection

    def one(self, sql: str) -> Any:
        """The only value of the only row."""
        return self._connection.execute(sql).fetchone()[0]

    def new_id(self) -> str:
        """A fresh id."""
        self.numbers += 1
        return f"j{self.numbers:03d}"

    def next_ticket(self) -> Ms | None:
        """When the next ticket can be seen."""
        at: Ms | None = self.one("SELECT MIN(visible_at) FROM tickets")
        return at

    def wait(self, thing: str, process: Process, until: Ms) -> None:
        """Sleep until `until`, or until the thing can be had."""
        task, waiting = self.world.current(), self.waiting[thing]
        waiting[task] = until
        try:
            process.sleep(max(0, until - self.world.now))
        finally:
            del waiting[task]

    def stir(self, thing: str, at: Ms) -> None:
        """The thing can be had from `at` on: let those who wait for it look then."""
        waiting = self.waiting[thing]
        for task, until in waiting.items():
            if at < until:
                waiting[task] = at
                self.world.wake(task, max(at, self.world.now))
