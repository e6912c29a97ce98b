"""All ports of the cloud home."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from tidegate.adapters.caching import CachedQueues, CachedTenants, Memory
from tidegate.adapters.caching_definitions import CachedDefinitions
from tidegate.adapters.late import late
from tidegate.domain.job import Ms
from tidegate.ports import AlwaysPolled, Cron, Ports, Schedules

from .clients import Clients
from .dynamodb_audit import DynamoAudit
from .dynamodb_dags import DynamoDags
from .dynamodb_definitions import DynamoDefinitions
from .dynamodb_feed import DynamoFigures, DynamoTimers
from .dynamodb_jobs import DynamoJobs
from .dynamodb_limits import DynamoBacklogs, DynamoRates, DynamoSlots
from .dynamodb_logs import DynamoLogs
from .dynamodb_registry import DynamoLanes, DynamoQueues, DynamoTokens
from .dynamodb_tenants import DynamoTenants
from .dynamodb_upkeep import DynamoUpkeep
from .dynamodb_webhook_secrets import DynamoWebhookSecrets
from .dynamodb_workers import DynamoWorkers
from .eventbridge import bus_named
from .lambda_polling import LambdaPolling
from .parameters import Parameters
from .s3_blobs import S3Blobs
from .sqs_tickets import SqsTickets
from .step_functions import supervisors_of
from .tables import Table
from .unique_keys import DynamoUniqueKeys

LEASE_GRACE_MS = 30_000
"""Clocks of machines anywhere are set over the network; one that is wrong by more is wrong in every log too.

With leases of a minute, renewed each twenty seconds, two clocks may differ by a minute before a job is taken from a
worker that lives. Even then it is fenced, and costs an attempt.
"""

SHARDS_SECONDS = 5.0
"""How long the number of a queue's keys is believed beyond what its policy is; `domain.spread` allows for far more."""


NO_LAMBDAS: Mapping[str, int] = MappingProxyType({})


def open_ports(
    *,
    jobs_table: str,
    registry_table: str,
    bucket: str,
    pools: Mapping[str, Mapping[str, str]],
    now: Callable[[], Ms],
    new_id: Callable[[], str],
    rng: random.Random,
    clients: Clients | None = None,
    event_bus: str = "",
    state_machine: str = "",
    calls_back: bool = False,
    lambda_pools: Mapping[str, int] = NO_LAMBDAS,
    own_memory: int = 0,
    mappings: Sequence[str] = (),
    policy_seconds: float = 0.0,
    head_ms: Ms = 0,
) -> Ports:
    """Every port on AWS. Nothing is connected to before it is used.

    `pools` has the queue URLs of each pool by band (`critical`, `high`, `normal`, `low`); an empty mapping
    suits a function that has no tickets. A table or bucket that a function does not use may be any text.
    `event_bus` is the bus that transitions are announced on, `state_machine` the ARN of the one that supervises
    runs; none if empty. `calls_back`: other state machines may wait for jobs. `lambda_pools` are those with Lambdas
    and their memory in MB, `own_memory` is this process's own if it is one of those;
    `mappings` the UUIDs of the event source mappings that sleep while nothing is to be done. What people set is
    remembered for `policy_seconds`, the head of a lane shared by claims for `head_ms`.

    Region, credentials and endpoint come from the environment; `clients` may be shared with other ports.
    """
    clients = clients or Clients()
    registry = Table(clients, registry_table)
    queues = CachedQueues(DynamoQueues(registry), now, policy_seconds)
    return Ports(
        jobs=DynamoJobs(Table(clients, jobs_table), now, CachedQueues(queues, now, SHARDS_SECONDS).get),
        tickets=SqsTickets(clients, pools),
        blobs=S3Blobs(clients, bucket),
        logs=DynamoLogs(registry, now),
        queues=queues,
        tenants=CachedTenants(DynamoTenants(registry), now, policy_seconds),
        definitions=CachedDefinitions(DynamoDefinitions(registry), now, policy_seconds),
        webhook_secrets=DynamoWebhookSecrets(registry, Parameters(clients, f"/tidegate/{registry_table}/webhooks")),
        lanes=DynamoLanes(registry, now),
        slots=DynamoSlots(registry),
        rates=DynamoRates(registry),
        backlogs=DynamoBacklogs(registry),
        unique_keys=DynamoUniqueKeys(Table(clients, jobs_table)),
        timers=DynamoTimers(registry),
        schedules=late(lambda: _schedules(registry)),
        cron=late(_cron),
        figures=DynamoFigures(registry, now),
        dags=DynamoDags(registry),
        tokens=DynamoTokens(registry),
        audit=DynamoAudit(registry),
        events=bus_named(clients, event_bus),
        upkeep=DynamoUpkeep(Table(clients, jobs_table), registry, now),
        supervisors=supervisors_of(clients, state_machine, calls_back=calls_back),
        workers=DynamoWorkers(registry),
        now=now,
        new_id=new_id,
        rng=rng,
        pools=frozenset(pools),
        lambda_pools=lambda_pools,
        own_memory=own_memory,
        polling=LambdaPolling(clients, mappings, now) if mappings else AlwaysPolled(),
        clock_seconds=60.0,
        lease_grace_ms=LEASE_GRACE_MS,
        remember=Memory(now).remember,
        policy_seconds=policy_seconds,
        head_ms=head_ms,
    )


def _schedules(registry: Table) -> Schedules:
    from .dynamodb_schedules import DynamoSchedules

    return DynamoSchedules(registry)


def _cron() -> Cron:
    from tidegate.adapters.cron import ZonedCron

    return ZonedCron()
