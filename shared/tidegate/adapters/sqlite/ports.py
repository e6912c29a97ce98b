"""All ports of the embedded home, on one folder."""

from __future__ import annotations

import random
from collections.abc import Callable, Set
from pathlib import Path

from tidegate.adapters.cron import ZonedCron
from tidegate.adapters.unsupervised import ClockAlone
from tidegate.domain.errors import Unavailable
from tidegate.domain.job import Ms
from tidegate.ports import Ports

from .audit import SqliteAudit
from .blobs import FolderBlobs
from .dags import SqliteDags
from .database import Database
from .definitions import SqliteDefinitions
from .events import SqliteEvents
from .jobs import SqliteJobs
from .limits import SqliteBacklogs, SqliteRates, SqliteSlots
from .logs import SqliteLogs
from .pools import EveryPool
from .registry import SqliteFigures, SqliteLanes, SqliteQueues, SqliteTimers, SqliteTokens
from .schedules import SqliteSchedules
from .tenants import SqliteTenants
from .tickets import SqliteTickets
from .unique_keys import SqliteUniqueKeys
from .upkeep import SqliteUpkeep
from .webhook_secrets import SqliteWebhookSecrets
from .workers import SqliteWorkers

FILE_NAME = "tidegate.db"
EVERY_POOL = EveryPool()
_FIRST_LOOK = 3
"""Whoever claims within a transaction is alone with the lane."""
OWN_MEMORY = 512
"""The MB of the Lambda that an attempt here would need in the cloud: what jobs cost is told as if they ran there."""


def open_database(folder: Path, synchronous: str = "NORMAL") -> Database:
    """The database of a data folder, made when absent. Raises Unavailable when it cannot be used."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(f"the data folder {folder} cannot be made: {error.strerror}") from error
    return Database(folder / FILE_NAME, synchronous)


def open_ports(
    folder: Path,
    *,
    now: Callable[[], Ms],
    new_id: Callable[[], str],
    rng: random.Random,
    pools: Set[str] = EVERY_POOL,
    visibility: float = 15.0,
    database: Database | None = None,
) -> Ports:
    """Every port on `folder`. `visibility` is in seconds."""
    database = database or open_database(folder)
    return Ports(
        jobs=SqliteJobs(database, now),
        tickets=SqliteTickets(database, now, visibility),
        blobs=FolderBlobs(folder / "blobs"),
        logs=SqliteLogs(database),
        queues=SqliteQueues(database),
        tenants=SqliteTenants(database),
        definitions=SqliteDefinitions(database),
        webhook_secrets=SqliteWebhookSecrets(database),
        lanes=SqliteLanes(database),
        slots=SqliteSlots(database),
        rates=SqliteRates(database),
        backlogs=SqliteBacklogs(database),
        unique_keys=SqliteUniqueKeys(database),
        timers=SqliteTimers(database),
        schedules=SqliteSchedules(database),
        cron=ZonedCron(),
        figures=SqliteFigures(database),
        dags=SqliteDags(database),
        tokens=SqliteTokens(database),
        audit=SqliteAudit(database),
        events=SqliteEvents(database),
        upkeep=SqliteUpkeep(database, now),
        supervisors=ClockAlone(),
        workers=SqliteWorkers(database),
        now=now,
        new_id=new_id,
        rng=rng,
        pools=pools,
        own_memory=OWN_MEMORY,
        first_look=_FIRST_LOOK,
        together=database.transaction,
        close=database.close,
    )
